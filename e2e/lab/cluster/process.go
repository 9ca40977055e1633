package cluster

// A part as a running process. It deliberately does not restart a part that
// ends by itself: that is a finding, and it is said out loud.

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"lab/spawn"
)

const (
	stopLimit  = 3 * time.Second // between SIGTERM and SIGKILL; the API server alone would take ten
	readyLimit = 60 * time.Second
	readyPause = 50 * time.Millisecond
	tailBytes  = 3000
)

// process is one part: how it is started, and the running command if any.
type process struct {
	name      string
	binary    string
	arguments []string
	logPath   string
	ready     func(context.Context) error // nil: ready once started

	mutex   sync.Mutex
	command *exec.Cmd
	ended   chan struct{} // closed when command has ended
	wanted  bool          // false while it is stopped on purpose
}

func (p *process) start() error {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if p.running() {
		return fmt.Errorf("%s is already running", p.name)
	}
	log, err := os.OpenFile(p.logPath, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return fmt.Errorf("failed to open the log of %s: %w", p.name, err)
	}
	defer log.Close()
	command := exec.Command(p.binary, p.arguments...)
	command.Stdout, command.Stderr = log, log
	if err := spawn.StartGroup(command); err != nil {
		return fmt.Errorf("failed to start %s: %w", p.name, err)
	}
	ended := make(chan struct{})
	p.command, p.ended, p.wanted = command, ended, true
	go p.watch(command, ended)
	return nil
}

func (p *process) watch(command *exec.Cmd, ended chan struct{}) {
	_ = command.Wait()
	close(ended)
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if p.wanted && p.command == command {
		fmt.Fprintf(os.Stderr, "lab: %s ended by itself (%s); its log says:\n%s\n", p.name, command.ProcessState, p.tail())
	}
}

// running is called with the mutex held.
func (p *process) running() bool {
	if p.command == nil {
		return false
	}
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// waitReady waits for the part's own word that it is ready.
func (p *process) waitReady(ctx context.Context) error {
	if p.ready == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, readyLimit)
	defer cancel()
	p.mutex.Lock()
	ended := p.ended
	p.mutex.Unlock()
	for {
		err := p.ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ended:
			return fmt.Errorf("%s ended before it was ready; its log says:\n%s", p.name, p.tail())
		case <-ctx.Done():
			return fmt.Errorf("%s did not become ready (%w); its log says:\n%s", p.name, err, p.tail())
		case <-time.After(readyPause):
		}
	}
}

// stop ends the part and returns when it is gone.
func (p *process) stop(first syscall.Signal) error {
	p.mutex.Lock()
	if !p.running() {
		p.mutex.Unlock()
		return fmt.Errorf("%s is not running", p.name)
	}
	p.wanted = false
	command, ended := p.command, p.ended
	p.mutex.Unlock()
	spawn.SignalGroup(command, first)
	spawn.SignalGroup(command, syscall.SIGCONT) // a paused process does not see SIGTERM
	select {
	case <-ended:
	case <-time.After(stopLimit):
		spawn.SignalGroup(command, syscall.SIGKILL)
		<-ended
	}
	return nil
}

// signal is for SIGSTOP and SIGCONT: a part that hangs is a different fault from one that is gone.
func (p *process) signal(signal syscall.Signal) error {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if !p.running() {
		return fmt.Errorf("%s is not running", p.name)
	}
	spawn.SignalGroup(p.command, signal)
	return nil
}

func (p *process) tail() string {
	file, err := os.Open(p.logPath)
	if err != nil {
		return err.Error()
	}
	defer file.Close()
	if size, err := file.Seek(0, io.SeekEnd); err == nil {
		_, _ = file.Seek(max(0, size-tailBytes), io.SeekStart)
	}
	text, err := io.ReadAll(file)
	if err != nil && !errors.Is(err, io.EOF) {
		return err.Error()
	}
	return string(text)
}
