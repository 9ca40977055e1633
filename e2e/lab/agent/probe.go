package agent

// The readiness probe: when it asks, and what its answers add up to. It deliberately
// knows HTTP and TCP only, and neither liveness nor startup probes: a lab has no hung processes.

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// firstPause is how soon a container that was never ready is asked again. The pause doubles up to
// the probe's period: a kubelet would leave a fresh container waiting for a whole period.
const firstPause = 50 * time.Millisecond

// probe is a readiness probe after defaulting.
type probe struct {
	initialDelay     time.Duration
	period           time.Duration
	timeout          time.Duration
	successThreshold int
	failureThreshold int
	ask              func(ctx context.Context) error
}

// newProbe returns nil if the container has no probe the agent knows.
func newProbe(container corev1.Container, address string) (*probe, error) {
	spec := container.ReadinessProbe
	if spec == nil {
		return nil, nil
	}
	result := &probe{
		initialDelay:     time.Duration(spec.InitialDelaySeconds) * time.Second,
		period:           time.Duration(max(spec.PeriodSeconds, 1)) * time.Second,
		timeout:          time.Duration(max(spec.TimeoutSeconds, 1)) * time.Second,
		successThreshold: int(max(spec.SuccessThreshold, 1)),
		failureThreshold: int(max(spec.FailureThreshold, 1)),
	}
	switch {
	case spec.HTTPGet != nil:
		port, err := portNumber(spec.HTTPGet.Port, container)
		if err != nil {
			return nil, err
		}
		result.ask = httpProbe(spec.HTTPGet, address, port)
	case spec.TCPSocket != nil:
		port, err := portNumber(spec.TCPSocket.Port, container)
		if err != nil {
			return nil, err
		}
		result.ask = tcpProbe(net.JoinHostPort(address, strconv.Itoa(port)))
	default:
		return nil, nil
	}
	return result, nil
}

func portNumber(port intstr.IntOrString, container corev1.Container) (int, error) {
	if port.Type == intstr.Int {
		return port.IntValue(), nil
	}
	for _, declared := range container.Ports {
		if declared.Name == port.StrVal {
			return int(declared.ContainerPort), nil
		}
	}
	number, err := strconv.Atoi(port.StrVal)
	if err != nil {
		return 0, fmt.Errorf("the readiness probe names port %q, which container %s does not declare", port.StrVal, container.Name)
	}
	return number, nil
}

func httpProbe(action *corev1.HTTPGetAction, address string, port int) func(context.Context) error {
	scheme := "http"
	if action.Scheme == corev1.URISchemeHTTPS {
		scheme = "https"
	}
	host := address
	if action.Host != "" {
		host = action.Host
	}
	url := scheme + "://" + net.JoinHostPort(host, strconv.Itoa(port)) + "/" + trimSlash(action.Path)
	// No connection is kept: a probe is also the question whether a new one is accepted.
	client := &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true, TLSClientConfig: trustAll()},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return func(ctx context.Context) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		for _, header := range action.HTTPHeaders {
			request.Header.Add(header.Name, header.Value)
			if http.CanonicalHeaderKey(header.Name) == "Host" {
				request.Host = header.Value
			}
		}
		response, err := client.Do(request)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, 10_000))
		if response.StatusCode < 200 || response.StatusCode >= 400 {
			return fmt.Errorf("the probe answers %s", response.Status)
		}
		return nil
	}
}

func tcpProbe(target string) func(context.Context) error {
	return func(ctx context.Context) error {
		connection, err := (&net.Dialer{}).DialContext(ctx, "tcp", target)
		if err != nil {
			return err
		}
		return connection.Close()
	}
}

// run asks until the context ends and reports each change of the verdict.
func (p *probe) run(ctx context.Context, report func(ready bool)) {
	verdict := verdict{successThreshold: p.successThreshold, failureThreshold: p.failureThreshold}
	pause := p.initialDelay
	early := min(firstPause, p.period)
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		asked, cancel := context.WithTimeout(ctx, p.timeout)
		err := p.ask(asked)
		cancel()
		if ctx.Err() != nil {
			return
		}
		if verdict.count(err == nil) {
			report(verdict.ready)
		}
		pause = p.period
		if !verdict.everSucceeded && early < p.period {
			pause, early = early, early*2
		}
	}
}

// verdict counts answers against the thresholds.
type verdict struct {
	successThreshold int
	failureThreshold int

	ready         bool
	everSucceeded bool
	streak        int // equal answers in a row
	last          bool
}

// count adds one answer and reports whether it changed the verdict.
func (v *verdict) count(success bool) bool {
	if success != v.last {
		v.streak = 0
	}
	v.last = success
	v.streak++
	v.everSucceeded = v.everSucceeded || success
	switch {
	case success && !v.ready && v.streak >= v.successThreshold:
		v.ready = true
	case !success && v.ready && v.streak >= v.failureThreshold:
		v.ready = false
	default:
		return false
	}
	return true
}
