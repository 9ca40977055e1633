// Package app is the demo application: a server of HTTP and gRPC that answers
// with its version, a settable share of errors and a settable latency, and that
// drains on SIGTERM as a well-behaved application does.
//
// It deliberately knows nothing of Kubernetes: its whole contract is its
// environment, its port and its metrics.
package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"
)

// shutdownLimit bounds how long requests in flight may hold up the exit after the drain.
const shutdownLimit = 30 * time.Second

// Main runs the application until SIGTERM or SIGINT and returns its exit code.
func Main() int {
	settings, err := settingsFromEnvironment(os.Getenv)
	if err != nil {
		fmt.Fprintf(os.Stderr, "lab app: %v\n", err)
		return 2
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	if err := serve(settings, stop); err != nil {
		fmt.Fprintf(os.Stderr, "lab app: %v\n", err)
		return 1
	}
	return 0
}

// serve answers on every address until a stop signal, goes on answering for
// the drain period (routers need time to hear that this pod is leaving), then
// lets the requests in flight finish.
func serve(settings Settings, stop <-chan os.Signal) error {
	// No timeout: it would also close a connection that the gateway has opened and not used yet, and a request that is
	// just being sent on it would be a failure of ours.
	server := &http.Server{Handler: New(settings).Handler(), Protocols: protocols()}
	failed := make(chan error, len(settings.Addresses))
	for _, address := range settings.Addresses {
		listener, err := net.Listen("tcp", address)
		if err != nil {
			return fmt.Errorf("failed to listen: %w", err)
		}
		go func() { failed <- server.Serve(listener) }()
	}
	fmt.Printf("version %s listens on %v\n", settings.Version, settings.Addresses)
	select {
	case err := <-failed:
		return err
	case <-stop:
	}
	fmt.Printf("stopping: draining for %s\n", settings.Drain)
	time.Sleep(settings.Drain)
	ctx, cancel := context.WithTimeout(context.Background(), shutdownLimit)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil && !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("failed to finish the requests in flight: %w", err)
	}
	return nil
}

// App holds what may change while it runs; everything else is in Settings.
type App struct {
	settings  Settings
	started   time.Time
	errorRate atomic.Value // float64
	served    atomic.Uint64
	latency   atomic.Int64 // milliseconds
	metrics   *metrics
}

// New returns an application that counts its readiness delay from now.
func New(settings Settings) *App {
	app := &App{settings: settings, started: time.Now(), metrics: newMetrics()}
	app.errorRate.Store(settings.ErrorRate)
	app.latency.Store(int64(settings.LatencyMilliseconds))
	return app
}

// Handler routes the application's few paths.
func (app *App) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /readyz", app.ready)
	mux.HandleFunc("GET /metrics", app.metrics.serve)
	mux.HandleFunc("POST /-/errors", app.setErrors)
	mux.HandleFunc("POST /-/latency", app.setLatency)
	mux.HandleFunc("GET /slow", func(writer http.ResponseWriter, request *http.Request) {
		milliseconds, err := strconv.Atoi(request.URL.Query().Get("ms"))
		if err != nil || milliseconds < 0 {
			http.Error(writer, "ms must be a number of milliseconds", http.StatusBadRequest)
			return
		}
		app.answer(writer, time.Duration(milliseconds)*time.Millisecond)
	})
	mux.HandleFunc("/", func(writer http.ResponseWriter, _ *http.Request) {
		app.answer(writer, app.drawLatency())
	})
	return http.HandlerFunc(func(writer http.ResponseWriter, request *http.Request) {
		if isCall(request) {
			app.echo(writer, request)
			return
		}
		mux.ServeHTTP(writer, request)
	})
}

// answer sends the version, or an error, and counts it.
func (app *App) answer(writer http.ResponseWriter, latency time.Duration) {
	begin := time.Now()
	if latency > 0 {
		time.Sleep(latency)
	}
	code := http.StatusOK
	if app.fails() {
		code = http.StatusInternalServerError
	}
	body, _ := json.Marshal(map[string]string{"version": app.settings.Version, "pod": app.settings.Pod})
	writer.Header().Set("X-Version", app.settings.Version)
	writer.Header().Set("Content-Type", "application/json")
	writer.WriteHeader(code)
	_, _ = writer.Write(append(body, '\n'))
	app.metrics.observe(code, time.Since(begin))
}

// fails spreads the errors evenly instead of drawing them: a test then knows how many there are.
func (app *App) fails() bool {
	rate, served := app.errorRate.Load().(float64), float64(app.served.Add(1))
	return math.Floor(served*rate) > math.Floor((served-1)*rate)
}

func (app *App) drawLatency() time.Duration {
	latency := time.Duration(app.latency.Load()) * time.Millisecond
	if jitter := app.settings.LatencyJitterMilliseconds; jitter > 0 {
		latency += time.Duration(rand.IntN(jitter+1)) * time.Millisecond
	}
	return latency
}

func (app *App) ready(writer http.ResponseWriter, _ *http.Request) {
	if app.settings.NeverReady || time.Since(app.started) < app.settings.ReadyAfter {
		http.Error(writer, "not ready", http.StatusServiceUnavailable)
		return
	}
	_, _ = writer.Write([]byte("ready\n"))
}

func (app *App) setErrors(writer http.ResponseWriter, request *http.Request) {
	rate, err := parseRate(request.URL.Query().Get("rate"))
	if err != nil {
		http.Error(writer, err.Error(), http.StatusBadRequest)
		return
	}
	app.errorRate.Store(rate)
}

func (app *App) setLatency(writer http.ResponseWriter, request *http.Request) {
	milliseconds, err := strconv.Atoi(request.URL.Query().Get("ms"))
	if err != nil || milliseconds < 0 {
		http.Error(writer, "ms must be a number of milliseconds", http.StatusBadRequest)
		return
	}
	app.latency.Store(int64(milliseconds))
}
