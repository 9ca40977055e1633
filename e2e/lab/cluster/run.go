// Package cluster brings a whole cluster up in namespaces of its own, runs a
// command inside, and takes everything down.
//
// Three processes share the work. The one outside (this file) owns the folder and
// the forwarded ports. Inside, the first process (first.go) only reaps, and
// the supervisor (supervise.go) starts the parts. When the first process
// ends, the kernel ends everything inside: nothing here deliberately tries to stop
// parts in order at the end, since their data is thrown away.
package cluster

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"

	"lab/parts"
	"lab/spawn"
)

// Exit codes of the lab itself; any other is the command's.
const (
	exitFailed = 125 // the lab did not come up
	exitUsage  = 2
)

type options struct {
	scrapeInterval time.Duration
	keepLogs       string
	command        []string
	ports          []forwardedPort
}

// RunMain is `lab run`: a command inside a fresh cluster.
func RunMain(args []string) int {
	var chosen options
	flags := newFlags("lab run", "lab run [flags] -- COMMAND ARGS...", &chosen)
	if code, done := parseFlags(flags, args); done {
		return code
	}
	chosen.command = flags.Args()
	if len(chosen.command) == 0 {
		fmt.Fprintln(os.Stderr, "lab run: name a command, as in `lab run -- bash`")
		return exitUsage
	}
	return outside(chosen)
}

// UpMain is `lab up`: a fresh cluster, reachable from outside, until Ctrl-C.
func UpMain(args []string) int {
	var chosen options
	flags := newFlags("lab up", "lab up [flags]", &chosen)
	chosen.ports = forwardedPorts()
	for index := range chosen.ports {
		port := &chosen.ports[index]
		flags.IntVar(&port.outside, port.flag, 0, fmt.Sprintf("port of %s outside (default %d, or a free one)", port.what, port.preferred))
	}
	if code, done := parseFlags(flags, args); done {
		return code
	}
	if flags.NArg() > 0 {
		fmt.Fprintln(os.Stderr, "lab up: takes no command; use `lab run -- COMMAND`")
		return exitUsage
	}
	return outside(chosen)
}

func newFlags(name, usage string, chosen *options) *flag.FlagSet {
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	flags.DurationVar(&chosen.scrapeInterval, "scrape-interval", 2*time.Second, "how often Prometheus scrapes")
	flags.StringVar(&chosen.keepLogs, "keep-logs", "", "copy the logs to this folder at the end")
	flags.Usage = func() {
		fmt.Fprintln(os.Stderr, "usage:", usage)
		flags.PrintDefaults()
	}
	return flags
}

func parseFlags(flags *flag.FlagSet, args []string) (code int, done bool) {
	err := flags.Parse(args)
	switch {
	case err == nil:
		return 0, false
	case errors.Is(err, flag.ErrHelp):
		return 0, true
	default:
		return exitUsage, true
	}
}

func outside(chosen options) int {
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	set, err := parts.Ensure(ctx, os.Stderr)
	cancel()
	if err == nil {
		err = parts.RequireNamespaces()
	}
	if err != nil {
		return fail(err)
	}
	folder, remove, err := makeFolder(time.Now())
	if err != nil {
		return fail(err)
	}
	defer remove()
	if chosen.keepLogs != "" {
		defer keepLogs(folder, chosen.keepLogs)
	}
	code, err := enter(chosen, set, folder)
	if err != nil {
		return fail(err)
	}
	return code
}

func fail(err error) int {
	fmt.Fprintf(os.Stderr, "lab: %v\n", err)
	return exitFailed
}

// enter starts the first process inside and waits for it, passing signals on.
func enter(chosen options, set parts.Set, folder string) (int, error) {
	binary, err := os.Executable()
	if err != nil {
		return 0, fmt.Errorf("failed to find the lab binary: %w", err)
	}
	plan := Plan{
		Folder: folder, Parts: set, Binary: binary, Command: chosen.command,
		ScrapeInterval: chosen.scrapeInterval, Terminal: isTerminal(os.Stdin), Forward: len(chosen.ports) > 0,
	}
	if err := plan.write(); err != nil {
		return 0, err
	}
	forwarder, err := listenOutside(plan, chosen.ports)
	if err != nil {
		return 0, err
	}
	defer forwarder.Close()
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	command := exec.Command(binary, "inside", "first", folder)
	command.Stdin, command.Stdout, command.Stderr = os.Stdin, os.Stdout, os.Stderr
	command.SysProcAttr = parts.Separate()
	alive, hold, err := os.Pipe()
	if err != nil {
		return 0, fmt.Errorf("failed to make a pipe: %w", err)
	}
	defer hold.Close()
	command.ExtraFiles = []*os.File{alive} // becomes aliveDescriptor
	if err := spawn.Start(command); err != nil {
		return 0, fmt.Errorf("failed to enter the lab's namespaces: %w", err)
	}
	_ = alive.Close()
	ended := make(chan struct{})
	go passSignals(signals, ended, command)
	go forwarder.announce(plan, ended)
	_ = command.Wait()
	close(ended)
	return exitCode(command.ProcessState), nil
}

// passSignals hands signals inside; a third one, or a supervisor that does not end, is answered by force.
func passSignals(signals <-chan os.Signal, ended <-chan struct{}, command *exec.Cmd) {
	for count := 1; ; count++ {
		select {
		case <-ended:
			return
		case received := <-signals:
			if count >= 3 {
				_ = command.Process.Kill()
				continue
			}
			_ = command.Process.Signal(received)
		}
	}
}

func exitCode(state *os.ProcessState) int {
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal())
	}
	return state.ExitCode()
}
