package cluster

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"lab/parts"
)

// Plan is what the process outside the namespace tells the one inside: a file
// in the lab's folder, because it outgrows an environment variable.
type Plan struct {
	Folder         string
	Parts          parts.Set
	Binary         string
	Command        []string // empty: stay up until a signal
	ScrapeInterval time.Duration
	Terminal       bool
	Forward        bool
}

func (p Plan) path(elements ...string) string {
	return filepath.Join(append([]string{p.Folder}, elements...)...)
}

func (p Plan) write() error {
	text, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("failed to encode the plan: %w", err)
	}
	if err := os.WriteFile(p.path("plan.json"), text, 0o600); err != nil {
		return fmt.Errorf("failed to write the plan: %w", err)
	}
	return nil
}

func readPlan(folder string) (Plan, error) {
	var plan Plan
	text, err := os.ReadFile(filepath.Join(folder, "plan.json"))
	if err != nil {
		return plan, fmt.Errorf("failed to read the plan: %w", err)
	}
	if err := json.Unmarshal(text, &plan); err != nil {
		return plan, fmt.Errorf("failed to read the plan: %w", err)
	}
	return plan, nil
}
