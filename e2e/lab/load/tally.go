package load

// The tally of a load run: how many answers, by version and code, in total and
// per second. It deliberately does not judge: whether a count is a failure is the
// reader's question.

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"
	"sync"
	"text/tabwriter"
	"time"
)

// secondsKept bounds the per-second history, so that a load that runs for a day
// writes a file of the same size as one that runs for an hour.
const secondsKept = 3600

// Counts is answers by version, then by code. A transport error has version "".
type Counts map[string]map[string]uint64

func (c Counts) add(version, code string) {
	codes := c[version]
	if codes == nil {
		codes = map[string]uint64{}
		c[version] = codes
	}
	codes[code]++
}

// Second is what was answered within one second of the clock.
type Second struct {
	Unix   int64  `json:"t"`
	Counts Counts `json:"counts"`
}

// Tally is also the shape of the output file.
type Tally struct {
	mutex sync.Mutex

	Started  time.Time `json:"started"`
	Updated  time.Time `json:"updated"`
	Sent     uint64    `json:"sent"`
	Answered uint64    `json:"answered"`
	Counts   Counts    `json:"counts"`
	Seconds  []Second  `json:"seconds"`
}

// NewTally starts an empty tally at now.
func NewTally(now time.Time) *Tally {
	return &Tally{Started: now, Updated: now, Counts: Counts{}, Seconds: []Second{}}
}

// Send counts a request that is due, whether or not it will ever be answered.
func (t *Tally) Send() {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	t.Sent++
}

// Answer counts one outcome.
func (t *Tally) Answer(now time.Time, version, code string) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	t.Answered++
	t.Counts.add(version, code)
	unix := now.Unix()
	last := len(t.Seconds) - 1
	if last >= 0 && t.Seconds[last].Unix >= unix {
		t.Seconds[last].Counts.add(version, code)
		return
	}
	if len(t.Seconds) == secondsKept {
		t.Seconds = append(t.Seconds[:0], t.Seconds[1:]...)
	}
	counts := Counts{}
	counts.add(version, code)
	t.Seconds = append(t.Seconds, Second{Unix: unix, Counts: counts})
}

// WriteFile replaces the file in one step, so that a reader never sees half of it.
func (t *Tally) WriteFile(path string, now time.Time) error {
	t.mutex.Lock()
	t.Updated = now
	text, err := json.Marshal(t)
	t.mutex.Unlock()
	if err != nil {
		return fmt.Errorf("failed to encode the tally: %w", err)
	}
	temporary := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".new")
	if err := os.WriteFile(temporary, append(text, '\n'), 0o644); err != nil {
		return fmt.Errorf("failed to write the tally: %w", err)
	}
	if err := os.Rename(temporary, path); err != nil {
		return fmt.Errorf("failed to replace the tally: %w", err)
	}
	return nil
}

// Print writes the small table a person reads at the end.
func (t *Tally) Print(writer io.Writer) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	table := tabwriter.NewWriter(writer, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "VERSION\tCODE\tANSWERS\tSHARE")
	for _, version := range sortedKeys(t.Counts) {
		name := version
		if name == "" {
			name = "-"
		}
		for _, code := range sortedKeys(t.Counts[version]) {
			count := t.Counts[version][code]
			fmt.Fprintf(table, "%s\t%s\t%d\t%.1f%%\n", name, code, count, 100*float64(count)/float64(t.Answered))
		}
	}
	_ = table.Flush()
	fmt.Fprintf(writer, "sent %d, answered %d in %s\n", t.Sent, t.Answered, t.Updated.Sub(t.Started).Round(time.Second/10))
}

func sortedKeys[V any](values map[string]V) []string {
	keys := make([]string, 0, len(values))
	for key := range values {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	return keys
}
