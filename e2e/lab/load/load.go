// Package load sends a constant rate of requests and counts every answer: the
// judge of "no failed request".
//
// It is an open loop: the schedule deliberately does not slow down when answers
// are slow, because users do not either. It does not retry, and it does not follow redirects.
package load

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// mostWorkers bounds the connections, each of which is a file descriptor.
const mostWorkers = 20_000

// Options is the command line after validation.
type Options struct {
	URL      string
	Host     string
	GRPC     bool
	Rate     float64 // requests per second
	Duration time.Duration
	Workers  int // most requests in flight
	Timeout  time.Duration
	Out      string
}

// Main runs a load until its duration is over or a signal, and returns the exit code.
func Main(args []string) int {
	options, err := parse(args)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "lab load: %v\n", err)
		return 2
	}
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer cancel()
	tally := NewTally(time.Now())
	if err := run(ctx, options, tally); err != nil {
		fmt.Fprintf(os.Stderr, "lab load: %v\n", err)
		return 1
	}
	tally.Print(os.Stdout)
	return 0
}

func parse(args []string) (Options, error) {
	var options Options
	flags := flag.NewFlagSet("lab load", flag.ContinueOnError)
	flags.StringVar(&options.URL, "url", "", "where to send GET requests; with --grpc its path is /SERVICE/METHOD")
	flags.BoolVar(&options.GRPC, "grpc", false, "send unary gRPC calls, over HTTP/2 without TLS; codes are then grpc:CODE")
	flags.StringVar(&options.Host, "host", "", "the Host header, if not the URL's")
	flags.Float64Var(&options.Rate, "rate", 10, "requests per second")
	flags.DurationVar(&options.Duration, "duration", 0, "how long; 0 means until a signal")
	flags.IntVar(&options.Workers, "workers", 0, "most requests in flight (default rate times timeout); one more is counted as error:overload")
	flags.DurationVar(&options.Timeout, "timeout", 5*time.Second, "how long to wait for an answer")
	flags.StringVar(&options.Out, "out", "", "the file to write the tally to, once a second")
	if err := flags.Parse(args); err != nil {
		return options, err
	}
	switch {
	case options.URL == "":
		return options, errors.New("--url is required")
	case options.Out == "":
		return options, errors.New("--out is required")
	case options.Rate <= 0 || options.Rate > 100_000:
		return options, errors.New("--rate must be above 0 and at most 100000")
	case options.Workers < 0 || options.Workers > mostWorkers:
		return options, fmt.Errorf("--workers must be at most %d", mostWorkers)
	case options.Timeout <= 0:
		return options, errors.New("--timeout must be above 0")
	}
	if options.Workers == 0 {
		// More cannot be in flight: whatever is older has timed out. A busy machine that
		// stalls for a second must not look like a gateway that fails.
		options.Workers = min(int(options.Rate*options.Timeout.Seconds())+100, mostWorkers)
	}
	return options, nil
}

// run sends until the end, waits for the answers in flight and writes the file a last time.
func run(ctx context.Context, options Options, tally *Tally) error {
	if options.Duration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, options.Duration)
		defer cancel()
	}
	sender, err := newSender(options, tally)
	if err != nil {
		return err
	}
	if err := tally.WriteFile(options.Out, time.Now()); err != nil {
		return err
	}
	written := make(chan error, 1)
	finished := make(chan struct{})
	go func() { written <- writeEverySecond(finished, tally, options.Out) }()
	sender.schedule(ctx, options.Rate)
	sender.inFlight.Wait()
	close(finished)
	return <-written
}

func writeEverySecond(finished <-chan struct{}, tally *Tally, path string) error {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			// A full disk may be over by the next second; only the last write must succeed.
			if err := tally.WriteFile(path, time.Now()); err != nil {
				fmt.Fprintf(os.Stderr, "lab load: %v\n", err)
			}
		case <-finished:
			return tally.WriteFile(path, time.Now())
		}
	}
}

type sender struct {
	client   *http.Client
	request  *http.Request
	ask      func() (version, code string)
	tally    *Tally
	slots    chan struct{}
	inFlight sync.WaitGroup
}

func newSender(options Options, tally *Tally) (*sender, error) {
	request, err := http.NewRequest(http.MethodGet, options.URL, nil)
	if err != nil {
		return nil, fmt.Errorf("failed to read --url: %w", err)
	}
	if options.Host != "" {
		request.Host = options.Host
	}
	transport := &http.Transport{
		DialContext:         (&net.Dialer{Timeout: options.Timeout}).DialContext,
		MaxIdleConnsPerHost: options.Workers,
		// Shorter than any gateway's: a connection the gateway closes while idle would count as a failure.
		IdleConnTimeout: 20 * time.Second,
	}
	client := &http.Client{
		Transport:     transport,
		Timeout:       options.Timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	s := &sender{client: client, request: request, tally: tally, slots: make(chan struct{}, options.Workers)}
	s.ask = s.get
	if options.GRPC {
		transport.Protocols = onlyHTTP2()
		s.ask = s.call
	}
	return s, nil
}

// schedule sends request n at start + n/rate. Late wake-ups send all that is due, so the
// rate holds on a busy machine.
func (s *sender) schedule(ctx context.Context, rate float64) {
	start := time.Now()
	for sent := 0; ; sent++ {
		due := start.Add(time.Duration(float64(sent) / rate * float64(time.Second)))
		if wait := time.Until(due); wait > 0 {
			select {
			case <-ctx.Done():
				return
			case <-time.After(wait):
			}
		} else if ctx.Err() != nil {
			return
		}
		s.tally.Send()
		select {
		case s.slots <- struct{}{}:
			s.inFlight.Go(func() {
				version, code := s.ask()
				<-s.slots
				s.tally.Answer(time.Now(), version, code)
			})
		default:
			s.tally.Answer(time.Now(), "", "error:overload")
		}
	}
}

// get sends one request and reads the whole answer: an answer cut short is an error too.
func (s *sender) get() (version, code string) {
	response, err := s.client.Do(s.request.Clone(context.Background()))
	if err != nil {
		return "", "error:" + kind(err)
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return "", "error:" + kind(err)
	}
	return response.Header.Get("X-Version"), strconv.Itoa(response.StatusCode)
}

// kind sorts a transport error into few names, so that the number of counters is bounded.
func kind(err error) string {
	var timeout net.Error
	switch {
	case errors.As(err, &timeout) && timeout.Timeout():
		return "timeout"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "refused"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "reset"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "eof"
	default:
		return "other"
	}
}
