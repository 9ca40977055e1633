package cluster

// The lab's folder: made for one lab, locked while it lives, removed at its end. It deliberately
// never holds anything that outlives the lab; finished parts are in the cache.

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

const folderPrefix = "tidegate-lab-"

// staleAfter keeps a folder that another lab has made and not locked yet safe.
const staleAfter = time.Minute

// makeFolder also removes the folders of labs that were killed: nobody holds their lock any more.
func makeFolder(now time.Time) (folder string, remove func(), err error) {
	parent := os.TempDir()
	if len(parent) > 60 {
		parent = "/tmp" // the path of a unix socket may have 107 bytes at most
	}
	removeStale(parent, now)
	if folder, err = os.MkdirTemp(parent, folderPrefix); err != nil {
		return "", nil, fmt.Errorf("failed to make the lab's folder: %w", err)
	}
	for _, name := range []string{"logs/pods", "bin"} {
		if err := os.MkdirAll(filepath.Join(folder, name), 0o755); err != nil {
			return "", nil, fmt.Errorf("failed to make the lab's folder: %w", err)
		}
	}
	lock, err := lockFolder(folder)
	if err != nil {
		return "", nil, fmt.Errorf("failed to lock the lab's folder: %w", err)
	}
	return folder, func() {
		_ = os.RemoveAll(folder)
		_ = lock.Close()
	}, nil
}

func removeStale(parent string, now time.Time) {
	folders, err := filepath.Glob(filepath.Join(parent, folderPrefix+"*"))
	if err != nil {
		return
	}
	for _, folder := range folders {
		info, err := os.Stat(folder)
		if err != nil || now.Sub(info.ModTime()) < staleAfter {
			continue
		}
		if lock, err := lockFolder(folder); err == nil {
			_ = os.RemoveAll(folder)
			_ = lock.Close()
		}
	}
}

// lockFolder fails if another process holds the lock, or if the folder is another user's.
func lockFolder(folder string) (*os.File, error) {
	file, err := os.OpenFile(filepath.Join(folder, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = file.Close()
		return nil, err
	}
	return file, nil
}

// keepLogs copies to a folder per lab, so that runs do not mix.
func keepLogs(folder, target string) {
	err := os.MkdirAll(target, 0o755)
	if err == nil {
		err = os.CopyFS(filepath.Join(target, filepath.Base(folder)), os.DirFS(filepath.Join(folder, "logs")))
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "lab: failed to keep the logs: %v\n", err)
	}
}
