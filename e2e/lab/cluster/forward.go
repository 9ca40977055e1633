package cluster

// The forwarder of `lab up`: a TCP port outside, a unix socket in the lab's folder
// between the namespaces, the real port inside. It deliberately listens on loopback only.

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// forwardedPort is one port inside and where it is seen outside.
type forwardedPort struct {
	what, flag, inside string
	preferred          int
	outside            int // 0: not chosen by a flag
}

func forwardedPorts() []forwardedPort {
	return []forwardedPort{
		{what: "the API server", flag: "api-port", inside: apiAddress, preferred: 6443},
		{what: "the gateway", flag: "gateway-port", inside: gatewayAddress, preferred: 8888},
		{what: "Prometheus", flag: "prometheus-port", inside: prometheusAddress, preferred: 9090},
	}
}

func (p forwardedPort) socket(plan Plan) string { return plan.path(p.flag + ".sock") }

// listenInside opens every unix socket in the supervisor, where the real ports are.
func listenInside(plan Plan) error {
	for _, port := range forwardedPorts() {
		listener, err := net.Listen("unix", port.socket(plan))
		if err != nil {
			return fmt.Errorf("failed to forward %s: %w", port.what, err)
		}
		go forward(listener, "tcp", port.inside)
	}
	return nil
}

// forwarder is the outside half.
type forwarder struct {
	ports     []forwardedPort
	listeners []net.Listener
}

// listenOutside takes the ports before the cluster comes up: a port in use is said at once.
func listenOutside(plan Plan, ports []forwardedPort) (*forwarder, error) {
	outside := &forwarder{ports: ports}
	for index := range ports {
		listener, err := listenOn(ports[index])
		if err != nil {
			outside.Close()
			return nil, fmt.Errorf("failed to forward %s: %w", ports[index].what, err)
		}
		ports[index].outside = listener.Addr().(*net.TCPAddr).Port
		outside.listeners = append(outside.listeners, listener)
		go forward(listener, "unix", ports[index].socket(plan))
	}
	return outside, nil
}

// listenOn takes any free port if nobody asked for a certain one and the usual one is in use.
func listenOn(port forwardedPort) (net.Listener, error) {
	if port.outside != 0 {
		return net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port.outside))
	}
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port.preferred))
	if errors.Is(err, syscall.EADDRINUSE) {
		return net.Listen("tcp", "127.0.0.1:0")
	}
	return listener, err
}

// Close stops listening; connections end with the lab.
func (f *forwarder) Close() {
	for _, listener := range f.listeners {
		_ = listener.Close()
	}
}

// announce prints how to reach the lab once it is up.
func (f *forwarder) announce(plan Plan, ended <-chan struct{}) {
	if len(f.ports) == 0 {
		return
	}
	for {
		if _, err := os.Stat(plan.path("ready")); err == nil {
			break
		}
		select {
		case <-ended:
			return
		case <-time.After(readyPause):
		}
	}
	kubeconfig := plan.path("kubeconfig-outside")
	if err := writeKubeconfig(plan, "admin", kubeconfig, fmt.Sprintf("127.0.0.1:%d", f.ports[0].outside)); err != nil {
		fmt.Fprintf(os.Stderr, "lab: %v\n", err)
		return
	}
	fmt.Printf(`export KUBECONFIG=%s
export TIDEGATE_LAB_DIR=%s
export TIDEGATE_LAB_GATEWAY=http://127.0.0.1:%d
export TIDEGATE_LAB_PROMETHEUS=http://127.0.0.1:%d
export PATH=%s:$PATH
`, kubeconfig, plan.Folder, f.ports[1].outside, f.ports[2].outside, plan.path("bin"))
	fmt.Fprintln(os.Stderr, "lab: put these lines into another shell; Ctrl-C ends the lab. For a shell inside: lab run -- bash")
}

func forward(listener net.Listener, network, address string) {
	for {
		client, err := listener.Accept()
		if err != nil {
			return
		}
		go func() {
			defer client.Close()
			server, err := net.DialTimeout(network, address, 5*time.Second)
			if err != nil {
				return
			}
			defer server.Close()
			join(client, server)
		}()
	}
}

// join copies both ways and passes on each side's end of sending.
func join(left, right net.Conn) {
	var both sync.WaitGroup
	pass := func(to, from net.Conn) {
		_, _ = io.Copy(to, from)
		if half, ok := to.(interface{ CloseWrite() error }); ok {
			_ = half.CloseWrite()
		}
	}
	both.Go(func() { pass(left, right) })
	both.Go(func() { pass(right, left) })
	both.Wait()
}
