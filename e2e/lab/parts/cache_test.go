package parts

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestCacheKeyFollowsWhatDecidesTheResult(t *testing.T) {
	sources := t.TempDir()
	module := filepath.Join(sources, "thing")
	write := func(name, text string) {
		t.Helper()
		if err := os.MkdirAll(module, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(module, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	key := func(part Part) string {
		t.Helper()
		key, err := cacheKey(part, sources)
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	part := Part{Name: "thing", Module: "thing", Package: "."}
	write("go.mod", "module thing\n")
	first := key(part)
	write("README.md", "words")
	if key(part) != first {
		t.Error("a file that is not built changes the key")
	}
	flagged := part
	flagged.Flags = []string{"-tags", "netgo"}
	if key(flagged) == first {
		t.Error("a flag does not change the key")
	}
	for _, name := range []string{"go.mod", "go.sum", "main.go"} {
		before := key(part)
		write(name, "changed "+name)
		if key(part) == before {
			t.Errorf("%s does not change the key", name)
		}
	}
}

func TestLockWaitsForTheOtherBuild(t *testing.T) {
	cache := t.TempDir()
	unlock, err := lock(context.Background(), cache, os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	if _, err := lock(ctx, cache, os.Stderr); err == nil {
		t.Fatal("two builds hold the lock")
	}
	unlock()
	second, err := lock(context.Background(), cache, os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	second()
}
