package cluster

import (
	"os"
	"syscall"
	"unsafe"
)

// isTerminal asks the kernel; a character device such as /dev/null is no terminal.
func isTerminal(file *os.File) bool {
	var size [4]uint16
	_, _, failure := syscall.Syscall(syscall.SYS_IOCTL, file.Fd(), syscall.TIOCGWINSZ, uintptr(unsafe.Pointer(&size)))
	return failure == 0
}
