package agent

// A container as a process: the command in a process group of its own, its output in a
// file. It deliberately sets no limits and changes no user.

import (
	"crypto/tls"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"

	"lab/spawn"
)

type process struct {
	command   *exec.Cmd
	startedAt time.Time
	done      chan struct{}
}

// exit is how a process ended.
type exit struct {
	startedAt  time.Time
	finishedAt time.Time
	code       int
	signal     int
}

func startProcess(object *corev1.Pod, environment []string, agent *agent) (*process, error) {
	container := object.Spec.Containers[0]
	line := append(commandOf(container), container.Args...)
	values := map[string]string{}
	for _, variable := range environment {
		name, value, _ := strings.Cut(variable, "=")
		values[name] = value
	}
	for index := range line {
		line[index] = expand(line[index], values)
	}
	program, err := lookUp(line[0], environment)
	if err != nil {
		return nil, err
	}
	output, err := os.OpenFile(logPath(agent.logFolder, object.Namespace, object.Name), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, fmt.Errorf("failed to open the log: %w", err)
	}
	defer output.Close()
	command := &exec.Cmd{Path: program, Args: line, Env: environment, Dir: "/", Stdout: output, Stderr: output}
	if container.WorkingDir != "" {
		command.Dir = container.WorkingDir
	}
	if err := spawn.StartGroup(command); err != nil {
		return nil, fmt.Errorf("failed to start %s: %w", line[0], err)
	}
	started := &process{command: command, startedAt: time.Now(), done: make(chan struct{})}
	go func() {
		_ = command.Wait()
		spawn.SignalGroup(command, syscall.SIGKILL) // what it left behind
		close(started.done)
	}()
	return started, nil
}

// commandOf is the container's command, or what stands in for its image's: the program of the image's name.
func commandOf(container corev1.Container) []string {
	if len(container.Command) > 0 {
		return slices.Clone(container.Command)
	}
	name, _, _ := strings.Cut(path.Base(container.Image), "@")
	name, _, _ = strings.Cut(name, ":")
	return []string{name}
}

// lookUp searches the process's PATH, not the agent's.
func lookUp(name string, environment []string) (string, error) {
	if strings.Contains(name, "/") {
		return name, nil
	}
	for _, variable := range environment {
		folders, ok := strings.CutPrefix(variable, "PATH=")
		if !ok {
			continue
		}
		for _, folder := range filepath.SplitList(folders) {
			path := filepath.Join(folder, name)
			if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
				return path, nil
			}
		}
	}
	return "", fmt.Errorf("%s is not on the container's PATH", name)
}

// ended is closed when the process is gone. No process never ends.
func (p *process) ended() <-chan struct{} {
	if p == nil {
		return nil
	}
	return p.done
}

func (p *process) signal(signal syscall.Signal) {
	if p == nil {
		return
	}
	select {
	case <-p.done:
	default:
		spawn.SignalGroup(p.command, signal)
	}
}

func (p *process) kill() { p.signal(syscall.SIGKILL) }

// result is called after the end.
func (p *process) result() exit {
	result := exit{startedAt: p.startedAt, finishedAt: time.Now(), code: p.command.ProcessState.ExitCode()}
	if status, ok := p.command.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		result.signal = int(status.Signal())
		result.code = 128 + result.signal
	}
	return result
}

// trustAll is for probes, which do not verify certificates; a kubelet's do not either.
func trustAll() *tls.Config { return &tls.Config{InsecureSkipVerify: true} }

func trimSlash(path string) string { return strings.TrimPrefix(path, "/") }
