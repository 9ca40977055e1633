package cluster

// The first process of the lab's process namespace. The kernel hands it every
// orphan, so it reaps; and when it ends, the kernel kills all the others. It deliberately
// does nothing else: what does little does not crash.

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// aliveDescriptor is a pipe that the process outside holds open. The parent-death signal is
// not enough: the kernel forgets it when a process enters a user namespace.
const aliveDescriptor = 3

// FirstMain starts the supervisor, reaps until it has ended, and returns its exit code.
func FirstMain(folder string) int {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	syscall.CloseOnExec(aliveDescriptor)
	go func() {
		alive := os.NewFile(aliveDescriptor, "alive")
		_, _ = alive.Read(make([]byte, 1)) // returns at the end of file, when the process outside is gone
		os.Exit(128 + int(syscall.SIGKILL))
	}()
	if err := setUpNamespaces(); err != nil {
		return fail(err)
	}
	binary, err := os.Executable()
	if err != nil {
		return fail(fmt.Errorf("failed to find the lab binary: %w", err))
	}
	supervisor, err := os.StartProcess(binary, []string{binary, "inside", "supervise", folder}, &os.ProcAttr{
		Files: []*os.File{os.Stdin, os.Stdout, os.Stderr},
	})
	if err != nil {
		return fail(fmt.Errorf("failed to start the supervisor: %w", err))
	}
	go func() {
		for received := range signals {
			_ = syscall.Kill(supervisor.Pid, received.(syscall.Signal))
		}
	}()
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, 0, nil)
		switch {
		case err == syscall.EINTR:
		case err != nil:
			return fail(fmt.Errorf("failed to wait for the supervisor: %w", err))
		case pid == supervisor.Pid && status.Signaled():
			return 128 + int(status.Signal())
		case pid == supervisor.Pid && status.Exited():
			return status.ExitStatus()
		}
	}
}
