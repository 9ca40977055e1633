package cluster

// The supervisor: the one process inside that starts the parts, runs the command
// and answers the control socket. It deliberately leaves killing the rest to
// the kernel, which does it when this process and with it the first one ends.

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"lab/spawn"
)

// commandLimit is how long an interrupted command may take to clean up.
const commandLimit = 10 * time.Second

// SuperviseMain brings the cluster up, runs the command and returns its exit code.
func SuperviseMain(folder string) int {
	plan, err := readPlan(folder)
	if err != nil {
		return fail(err)
	}
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	begin := time.Now()
	lab := newCluster(plan)
	if err := lab.upUnless(signals); err != nil {
		return fail(err)
	}
	if err := lab.serveControl(); err != nil {
		return fail(err)
	}
	if plan.Forward {
		if err := listenInside(plan); err != nil {
			return fail(err)
		}
	}
	fmt.Fprintf(os.Stderr, "lab: up in %.1f s\n", time.Since(begin).Seconds())
	if err := os.WriteFile(plan.path("ready"), nil, 0o600); err != nil {
		return fail(err)
	}
	if len(plan.Command) == 0 {
		<-signals
		return 0
	}
	return runCommand(plan, signals)
}

// upUnless gives up at the first signal.
func (c *cluster) upUnless(signals <-chan os.Signal) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	result := make(chan error, 1)
	go func() { result <- c.up(ctx) }()
	select {
	case err := <-result:
		return err
	case <-signals:
		return errors.New("interrupted")
	}
}

// runCommand stays in the terminal's process group if there is a terminal, so that
// a shell can take it over; then Ctrl-C reaches the command without us.
func runCommand(plan Plan, signals <-chan os.Signal) int {
	// The command itself is looked up where it will look up its own.
	if err := os.Setenv("PATH", plan.path("bin")+string(filepath.ListSeparator)+os.Getenv("PATH")); err != nil {
		return fail(err)
	}
	command := exec.Command(plan.Command[0], plan.Command[1:]...)
	command.Stdin, command.Stdout, command.Stderr = os.Stdin, os.Stdout, os.Stderr
	command.Env = append(os.Environ(), environment(plan)...)
	start := spawn.StartGroup
	if plan.Terminal {
		start = spawn.Start
	}
	if err := start(command); err != nil {
		return fail(fmt.Errorf("failed to start the command: %w", err))
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = command.Wait()
	}()
	select {
	case <-ended:
		return exitCode(command.ProcessState)
	case received := <-signals:
		number := received.(syscall.Signal)
		switch {
		case !plan.Terminal:
			spawn.SignalGroup(command, number)
		case number != syscall.SIGINT:
			_ = command.Process.Signal(number)
		}
		select {
		case <-ended:
		case <-time.After(commandLimit):
		}
		return 128 + int(number)
	}
}

// environment is the contract with the command; README.md lists it.
func environment(plan Plan) []string {
	return []string{
		"KUBECONFIG=" + plan.path("kubeconfig-admin"),
		"TIDEGATE_LAB=1",
		"TIDEGATE_LAB_DIR=" + plan.Folder,
		"TIDEGATE_LAB_BIN=" + plan.path("bin", "lab"),
		"TIDEGATE_LAB_AUDIT_LOG=" + plan.auditLog(),
		"TIDEGATE_LAB_GATEWAY=http://" + gatewayAddress,
		"TIDEGATE_LAB_ENVOY=http://" + envoyStatsAddress,
		"TIDEGATE_LAB_PROMETHEUS=http://" + prometheusAddress,
		"TIDEGATE_LAB_SCRAPE_INTERVAL=" + plan.ScrapeInterval.String(),
		// A proxy of the machine cannot be reached from inside.
		"NO_PROXY=*", "no_proxy=*",
	}
}

func waitListening(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, readyLimit)
	defer cancel()
	for {
		connection, err := net.DialTimeout("tcp", address, time.Second)
		if err == nil {
			return connection.Close()
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("nothing listens on %s: %w", address, err)
		case <-time.After(readyPause):
		}
	}
}
