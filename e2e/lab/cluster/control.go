package cluster

// The control socket: `lab part stop prometheus` from inside the lab, so that
// a test can take a part away and give it back. One line in, one line out. It
// deliberately cannot change how a part is started.

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"sort"
	"strings"
	"syscall"
	"time"
)

const controlLimit = 2 * time.Minute

// PartMain is `lab part ACTION NAME`.
func PartMain(args []string) int {
	if len(args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: lab part stop|kill|start|restart|pause|resume NAME")
		return exitUsage
	}
	folder := os.Getenv("TIDEGATE_LAB_DIR")
	if folder == "" {
		fmt.Fprintln(os.Stderr, "lab part: TIDEGATE_LAB_DIR is not set; run inside `lab run -- ...`, or set it to what `lab up` prints")
		return exitUsage
	}
	connection, err := net.Dial("unix", Plan{Folder: folder}.path("control.sock"))
	if err != nil {
		return fail(fmt.Errorf("failed to reach the lab: %w", err))
	}
	defer connection.Close()
	_ = connection.SetDeadline(time.Now().Add(controlLimit))
	fmt.Fprintf(connection, "%s %s\n", args[0], args[1])
	answer, err := bufio.NewReader(connection).ReadString('\n')
	if err != nil {
		return fail(fmt.Errorf("failed to read the lab's answer: %w", err))
	}
	if answer != "ok\n" {
		fmt.Fprint(os.Stderr, "lab part: ", answer)
		return 1
	}
	return 0
}

func (c *cluster) serveControl() error {
	listener, err := net.Listen("unix", c.plan.path("control.sock"))
	if err != nil {
		return fmt.Errorf("failed to open the control socket: %w", err)
	}
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			go c.answerControl(connection)
		}
	}()
	return nil
}

func (c *cluster) answerControl(connection net.Conn) {
	defer connection.Close()
	_ = connection.SetDeadline(time.Now().Add(controlLimit))
	line, err := bufio.NewReader(connection).ReadString('\n')
	if err != nil {
		return
	}
	action, name, _ := strings.Cut(strings.TrimSpace(line), " ")
	if err := c.control(action, name); err != nil {
		fmt.Fprintln(connection, strings.ReplaceAll(err.Error(), "\n", " | "))
		return
	}
	fmt.Fprintln(connection, "ok")
}

// control returns when the action has taken effect: a started part is ready, a stopped one gone.
func (c *cluster) control(action, name string) error {
	part, ok := c.parts[name]
	if !ok {
		names := make([]string, 0, len(c.parts))
		for known := range c.parts {
			names = append(names, known)
		}
		sort.Strings(names)
		return fmt.Errorf("no part %q; there are %s", name, strings.Join(names, ", "))
	}
	switch action {
	case "stop":
		return part.stop(syscall.SIGTERM)
	case "kill":
		return part.stop(syscall.SIGKILL)
	case "start":
		return c.startAndWait(context.Background(), name)
	case "restart":
		if err := part.stop(syscall.SIGTERM); err != nil {
			return err
		}
		return c.startAndWait(context.Background(), name)
	case "pause":
		return part.signal(syscall.SIGSTOP)
	case "resume":
		return part.signal(syscall.SIGCONT)
	default:
		return fmt.Errorf("no action %q; there are stop, kill, start, restart, pause, resume", action)
	}
}
