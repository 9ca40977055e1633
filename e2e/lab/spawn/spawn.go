// Package spawn starts programs that cannot outlive their parent.
//
// The kernel sends the parent-death signal when the *thread* that started a
// program ends, so every start happens on one thread that is kept for it.
// It deliberately does not wait for programs or restart them.
package spawn

import (
	"os/exec"
	"runtime"
	"sync"
	"syscall"
)

type request struct {
	command *exec.Cmd
	result  chan error
}

var (
	once     sync.Once
	requests chan request
)

// Start starts the command with SIGKILL as its parent-death signal. What else is set in
// SysProcAttr is kept.
func Start(command *exec.Cmd) error {
	once.Do(func() {
		requests = make(chan request)
		go serve()
	})
	if command.SysProcAttr == nil {
		command.SysProcAttr = &syscall.SysProcAttr{}
	}
	command.SysProcAttr.Pdeathsig = syscall.SIGKILL
	result := make(chan error, 1)
	requests <- request{command: command, result: result}
	return <-result
}

// StartGroup is Start in a process group of its own, which SignalGroup then reaches as a whole.
func StartGroup(command *exec.Cmd) error {
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return Start(command)
}

// SignalGroup signals a command of StartGroup and all it started; a group that is gone is no error.
func SignalGroup(command *exec.Cmd, signal syscall.Signal) {
	_ = syscall.Kill(-command.Process.Pid, signal)
}

func serve() {
	runtime.LockOSThread()
	for request := range requests {
		request.result <- request.command.Start()
	}
}
