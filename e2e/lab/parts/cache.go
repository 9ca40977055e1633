package parts

// Where finished parts are kept, and under which name. It deliberately never
// deletes an old part: another work tree may be at the commit that uses it.

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"sort"
	"strings"
	"syscall"
	"time"
)

// Cache is the folder of all finished parts.
func Cache() (string, error) {
	folder := os.Getenv("TIDEGATE_LAB_CACHE")
	if folder == "" {
		user, err := os.UserCacheDir() // honours XDG_CACHE_HOME
		if err != nil {
			return "", fmt.Errorf("failed to find a cache folder: %w; set TIDEGATE_LAB_CACHE", err)
		}
		folder = filepath.Join(user, "tidegate-lab")
	}
	folder, err := filepath.Abs(folder)
	if err != nil {
		return "", fmt.Errorf("failed to find the cache folder: %w", err)
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return "", fmt.Errorf("failed to make the cache folder: %w", err)
	}
	return folder, nil
}

// cacheKey changes when the result would: with the sources, the versions they pin, the
// flags and the architecture. The Go version is left out, so that a new Go
// does not cost everyone a quarter of an hour.
func cacheKey(part Part, sources string) (string, error) {
	hash := sha256.New()
	fmt.Fprintf(hash, "%s %s %s %q\n", runtime.GOOS, runtime.GOARCH, part.Package, part.Flags)
	if part.Module == "" {
		return shorten(hash.Sum(nil)), nil
	}
	folder := filepath.Join(sources, part.Module)
	entries, err := os.ReadDir(folder)
	if err != nil {
		return "", fmt.Errorf("failed to read the sources of %s: %w", part.Name, err)
	}
	sort.Slice(entries, func(i, j int) bool { return entries[i].Name() < entries[j].Name() })
	for _, entry := range entries {
		if name := entry.Name(); name != "go.mod" && name != "go.sum" && !strings.HasSuffix(name, ".go") {
			continue
		}
		text, err := os.ReadFile(filepath.Join(folder, entry.Name()))
		if err != nil {
			return "", fmt.Errorf("failed to read the sources of %s: %w", part.Name, err)
		}
		fmt.Fprintf(hash, "%s %d\n", entry.Name(), len(text))
		hash.Write(text)
	}
	return shorten(hash.Sum(nil)), nil
}

func shorten(sum []byte) string { return hex.EncodeToString(sum)[:12] }

// findSources finds e2e/parts: from the environment, next to the lab binary, or above the current folder.
func findSources() (string, error) {
	if folder := os.Getenv("TIDEGATE_LAB_PARTS"); folder != "" {
		return filepath.Abs(folder)
	}
	var candidates []string
	if binary, err := os.Executable(); err == nil {
		candidates = append(candidates, filepath.Join(filepath.Dir(binary), "..", "parts"))
	}
	if folder, err := os.Getwd(); err == nil {
		for ; ; folder = filepath.Dir(folder) {
			candidates = append(candidates, filepath.Join(folder, "e2e", "parts"))
			if folder == filepath.Dir(folder) {
				break
			}
		}
	}
	// Where this file was compiled, for a binary that was installed elsewhere.
	if _, file, _, ok := runtime.Caller(0); ok && filepath.IsAbs(file) {
		candidates = append(candidates, filepath.Join(filepath.Dir(file), "..", "..", "parts"))
	}
	for _, candidate := range candidates {
		if _, err := os.Stat(filepath.Join(candidate, "controlplane", "go.mod")); err == nil {
			return filepath.Abs(candidate)
		}
	}
	return "", errors.New("failed to find e2e/parts; run from the work tree or set TIDEGATE_LAB_PARTS to that folder")
}

// lock waits for another build to finish. The kernel drops the lock with its
// holder, so a killed build leaves nothing to clean up.
func lock(ctx context.Context, cache string, out io.Writer) (func(), error) {
	file, err := os.OpenFile(filepath.Join(cache, "lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("failed to open the build lock: %w", err)
	}
	for attempt := 0; ; attempt++ {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { _ = file.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			_ = file.Close()
			return nil, fmt.Errorf("failed to take the build lock: %w", err)
		}
		if attempt == 0 {
			fmt.Fprintln(out, "lab: another build is running; waiting for it")
		}
		select {
		case <-ctx.Done():
			_ = file.Close()
			return nil, errors.New("interrupted while waiting for another build")
		case <-time.After(200 * time.Millisecond):
		}
	}
}
