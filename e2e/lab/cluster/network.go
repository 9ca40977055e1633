package cluster

// The lab's own network and process table. It deliberately has no way out: what
// runs inside can reach only what runs inside.

import (
	"fmt"
	"os/exec"
	"strings"
	"syscall"

	"lab/agent"
)

func setUpNamespaces() error {
	// Without this the /proc below would replace the machine's own.
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("failed to separate the mounts: %w", err)
	}
	// Some containers forbid a new /proc. Then the old one stays: ps shows foreign numbers, nothing else suffers.
	_ = syscall.Mount("proc", "/proc", "proc", syscall.MS_NOSUID|syscall.MS_NODEV|syscall.MS_NOEXEC, "")
	for _, line := range []string{
		"link set lo up",
		// Every pod address is local, so that a pod is a process that listens on its own address.
		"route add local " + agent.PodNetwork + " dev lo",
	} {
		if output, err := exec.Command("ip", strings.Fields(line)...).CombinedOutput(); err != nil {
			return fmt.Errorf("failed to set up the network: ip %s: %w: %s", line, err, output)
		}
	}
	return nil
}
