package agent

import "testing"

func TestTailStart(t *testing.T) {
	for _, scenario := range []struct {
		text  string
		lines int
		want  string
	}{
		{"a\nb\nc\n", 1, "c\n"},
		{"a\nb\nc\n", 2, "b\nc\n"},
		{"a\nb\nc", 1, "c"},
		{"a\nb\n", 5, "a\nb\n"},
		{"a\nb\n", 0, ""},
		{"", 3, ""},
	} {
		if got := scenario.text[tailStart([]byte(scenario.text), scenario.lines):]; got != scenario.want {
			t.Errorf("the last %d lines of %q are %q, want %q", scenario.lines, scenario.text, got, scenario.want)
		}
	}
}
