package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestUndone: what counts is the last repair that any node tells of, after the mark.
func TestUndone(t *testing.T) {
	const before = `time=2026-11-21T22:30:00.000Z level=WARN msg="repaired what somebody else changed" op="earlier"` + "\n"
	logs := []string{
		before + `time=2026-11-21T22:30:47.688Z level=WARN msg="repaired what somebody else changed" op="ipvsadm -A"
time=2026-11-21T22:30:48.500Z level=WARN msg="repaired what somebody else changed" op="ipvsadm -a"
time=2026-11-21T22:30:49.000Z level=INFO msg="check up"
`,
		before,
	}
	s, f := &Site{}, finding{}
	for i, text := range logs {
		path := filepath.Join(t.TempDir(), "log")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		s.Nodes = append(s.Nodes, &Node{log: path, index: i})
		f.marks = append(f.marks, len(before))
	}
	if got, want := f.undone(s), time.Date(2026, 11, 21, 22, 30, 48, 500e6, time.UTC); !got.Equal(want) {
		t.Errorf("undone at %v, want %v", got, want)
	}
	if got := (finding{marks: []int{len(logs[0]), len(logs[1])}}).undone(s); !got.IsZero() {
		t.Errorf("undone at %v, and nothing was", got)
	}
}
