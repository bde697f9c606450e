package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lvsd/lvsd/director"
)

func (a answering) Explain(server, service string) (director.Explanation, error) {
	if server != "192.0.2.1" {
		return director.Explanation{}, fmt.Errorf("%w: %q", director.ErrUnknownServer, server)
	}
	return director.Explanation{
		Schema: "lvsd.explain/1", Asked: server,
		Servers: []director.ServerExplanation{{Service: service, Address: "192.0.2.1:25", State: "up", Because: -1}},
	}, nil
}

// explanations are what package director's tests explain, by name.
func explanations(t *testing.T) map[string]director.Explanation {
	t.Helper()
	paths, err := filepath.Glob("../../director/testdata/explain/*.json")
	if err != nil || len(paths) < 15 {
		t.Fatalf("%d explanations, %v", len(paths), err)
	}
	all := map[string]director.Explanation{}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var e director.Explanation
		if err := json.Unmarshal(text, &e); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		all[strings.TrimSuffix(filepath.Base(path), ".json")] = e
	}
	return all
}

func TestWriteExplanation(t *testing.T) {
	for name, e := range explanations(t) {
		var b strings.Builder
		if err := writeExplanation(&b, e, explainer{now: e.At}); err != nil {
			t.Fatal(err)
		}
		wantGolden(t, filepath.Join("testdata", "explain", name+".want"), b.String())
	}
}

// TestWriteExplanationInFull: -v prints each result and all that was said, and
// what a server says does not reach the terminal as it is.
func TestWriteExplanationInFull(t *testing.T) {
	e := explanations(t)["refused"]
	check := &e.Servers[0].Checks[0]
	check.LastFailure.Transcript = strings.Repeat("< 220-\x1b[31m\n", 20)
	check.Last = check.LastFailure
	for range 9 {
		check.Shared = append(check.Shared, director.CheckUser{Tracker: "t"})
	}
	for verbose, want := range map[bool]string{true: "testdata/explain-verbose.want", false: "testdata/explain-long.want"} {
		var b strings.Builder
		if err := writeExplanation(&b, e, explainer{now: e.At.Add(24 * time.Hour), verbose: verbose}); err != nil {
			t.Fatal(err)
		}
		wantGolden(t, want, b.String())
	}
}

func TestExplainCommand(t *testing.T) {
	directory := answer(t, answering{})
	absent := filepath.Join(t.TempDir(), "absent")
	for _, test := range []struct {
		line           string
		directory      string
		code           int
		stdout, stderr string
	}{
		{"192.0.2.1 --service smtp", directory, exitOK, "192.0.2.1:25 in smtp: UP\n  it has no checks", ""},
		{"192.0.2.1 --color always", directory, exitOK, "\x1b[1m192.0.2.1:25\x1b[0m in", ""},
		{"192.0.2.1 --json", directory, exitOK, `"schema": "lvsd.explain/1"`, ""},
		{"192.0.2.3", directory, exitUsage, "", `no such real server: "192.0.2.3"`},
		{"", directory, exitUsage, "", "got 0 arguments, want 1"},
		{"192.0.2.1 --color red", directory, exitUsage, "", "want auto, always or never"},
		{"192.0.2.1", absent, exitNotRunning, "", "not running"},
	} {
		arguments := append([]string{"explain", "--run-dir", test.directory}, strings.Fields(test.line)...)
		code, stdout, stderr := lvsd(t, arguments...)
		if code != test.code || !strings.Contains(stdout, test.stdout) || !strings.Contains(stderr, test.stderr) {
			t.Errorf("%q: exit code %d, standard output %q, standard error %q", test.line, code, stdout, stderr)
		}
	}
}
