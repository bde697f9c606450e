package main

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lvsd/lvsd/integration/lab"
)

var update = flag.Bool("update", false, "write the golden files")

func newScreen(b *bytes.Buffer) *screen { return &screen{w: b, pause: func() {}} }

// golden compares with a file in testdata.
func golden(t *testing.T, name, have string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(have), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), have); diff != "" {
		t.Errorf("%s (-want +have):\n%s", path, diff)
	}
}

func TestPlay(t *testing.T) {
	good := func() string { return "all well" }
	for _, test := range []struct {
		name   string
		script func(*stage) []step
		status int
	}{
		{"good", func(*stage) []step {
			return []step{{"one", "the first", good, true}, {"two", "the second", good, false}}
		}, exitOK},
		{"failed", func(st *stage) []step {
			fail := func() string { st.Fatalf("waited in vain\n(with details)"); return "" }
			return []step{{"one", "the first", fail, false}, {"two", "the second", good, false}}
		}, exitFailed},
		{"vital", func(st *stage) []step {
			fail := func() string { st.Fatalf("no network"); return "" }
			return []step{{"one", "the first", fail, true}, {"two", "the second", good, false}}
		}, exitFailed},
	} {
		t.Run(test.name, func(t *testing.T) {
			var out, complaints bytes.Buffer
			if status := play(t.Context(), newScreen(&out), &complaints, test.script); status != test.status {
				t.Errorf("exit code %d, want %d: %s", status, test.status, &complaints)
			}
			golden(t, test.name+".txt", out.String())
		})
	}
}

func TestScreenKeepsItsWidth(t *testing.T) {
	var b bytes.Buffer
	s := newScreen(&b)
	long := strings.Repeat("word ", 60) + strings.Repeat("x", 250)
	s.title("A title")
	s.say("%s", long)
	s.command("relay1", "cat file", long+"\nshort\n")
	s.table([][]string{{"STEP", "EXPECTED", "SEEN", "RESULT"}, {long, long, long, resultNotRun}}, 20, 31, 31)
	for line := range strings.Lines(b.String()) {
		if n := len(strings.TrimRight(line, "\n")); n > width {
			t.Errorf("%d columns: %q", n, line)
		}
	}
	golden(t, "wide.txt", b.String())
}

func TestScreenColours(t *testing.T) {
	var b bytes.Buffer
	s := &screen{w: &b, colour: true}
	s.table([][]string{{"STEP", "RESULT"}, {"one", resultOK}, {"two", resultFailed}})
	want := "\n" + bold + "STEP  RESULT" + plain + "\none   " + green + "ok" + plain + "\ntwo   " + red + "FAILED" + plain + "\n"
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("(-want +have):\n%s", diff)
	}
}

// TestFailureSeenByClients: a story of sessions, with the kill at 10 s.
func TestFailureSeenByClients(t *testing.T) {
	start := time.Now()
	at := func(s float64) time.Time { return start.Add(time.Duration(s * float64(time.Second))) }
	session := func(begin, end float64, relay string, phase lab.Phase, err string) lab.Event {
		return lab.Event{Time: at(end), Latency: at(end).Sub(at(begin)), Relay: relay, Phase: phase, Error: err}
	}
	events := []lab.Event{
		session(8, 9, "relay1", lab.PhaseQuit, ""),
		session(9, 10.5, "relay2", lab.PhaseQuit, ""), // under way, and lucky
		session(12, 13.5, "", lab.PhaseConnect, "refused"),
		session(11, 14, "relay2", lab.PhaseQuit, ""), // sent again until it was heard
		session(9, 19, "relay1", lab.PhaseMessage, "timeout"),
		session(21, 22, "relay3", lab.PhaseQuit, "timeout"),
	}
	if _, err := outage(events[:3], at(10)); err == nil {
		t.Error("outage: no error before anything is delivered again")
	}
	if gap, err := outage(events, at(10)); err != nil || gap != 3500*time.Millisecond {
		t.Errorf("outage is %v, %v; want 3.5s", gap, err)
	}
	want := trouble{sessions: 4, failed: 2, lasted: 2 * time.Second}
	if have := failures(events, at(10), at(20)); have != want {
		t.Errorf("failures: %+v, want %+v", have, want)
	}
	if diff := cmp.Diff(map[string]int{"relay1": 1, "relay2": 2, "relay3": 1}, accepted(events)); diff != "" {
		t.Errorf("accepted (-want +have):\n%s", diff)
	}
	if s := since(events, at(11)); s.Sessions != 3 || s.Failures != 2 {
		t.Errorf("since: %d sessions, %d failed", s.Sessions, s.Failures)
	}
}
