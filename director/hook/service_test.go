package hook

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestServiceEvent(t *testing.T) {
	env, err := exec.LookPath("env")
	if err != nil {
		t.Fatal(err)
	}
	echo, err := exec.LookPath("echo")
	if err != nil {
		t.Fatal(err)
	}
	b := newBench(t, Commands{
		QuorumUp: []string{echo, "quorum"}, QuorumDown: []string{env, "-u", "PATH"},
		ServerUp: []string{echo, "server"}, ServerDown: []string{echo, "-"}, Any: []string{"/bin/false"},
	})
	service := Event{Service: "web farm", RouterID: "lb1", Quorum: 8, Weight: 5}
	for _, test := range []struct{ server, state, want string }{
		{"", Up, "quorum SERVICE web farm UP"},
		{"192.0.2.1:80", Up, "server SERVER web farm 192.0.2.1:80 UP"},
		{"192.0.2.1:80", Down, "- SERVER web farm 192.0.2.1:80 DOWN"},
	} {
		e := service
		e.Server, e.State = test.server, test.state
		b.Notify(e)
		if r := <-b.results; r.Output != test.want || r.Err != nil {
			t.Errorf("%q, want %q (%v)", r.Output, test.want, r.Err)
		}
	}
	b.SetCommands(Commands{QuorumDown: []string{script(t, t.TempDir(), "env", "env")}})
	e := service
	e.State, e.Previous, e.Reason = Down, Up, "weight 5 is up, quorum 8"
	b.Notify(e)
	var told []string
	for line := range strings.Lines((<-b.results).Output) {
		if strings.HasPrefix(line, "LVSD_") {
			told = append(told, strings.TrimSpace(line))
		}
	}
	slices.Sort(told)
	want := []string{
		"LVSD_PREVIOUS_STATE=UP", "LVSD_QUORUM=8", "LVSD_REASON=weight 5 is up, quorum 8", "LVSD_ROUTER_ID=lb1",
		"LVSD_SERVER=", "LVSD_SERVICE=web farm", "LVSD_STATE=DOWN", "LVSD_WEIGHT=5",
	}
	if !slices.Equal(told, want) {
		t.Errorf("variables %q, want %q", told, want)
	}
}

// TestBurst: of a thousand real servers, each of which comes and goes, the last
// word on each is told, in order, and only that.
func TestBurst(t *testing.T) {
	dir := t.TempDir()
	started, proceed := fifo(t, dir, "started"), fifo(t, dir, "proceed")
	log := filepath.Join(dir, "log")
	first := script(t, dir, "first", fmt.Sprintf("echo > %s; read word < %s", started, proceed))
	rest := script(t, dir, "rest", `echo "$3 $4" >> `+log)
	b := newBench(t, Commands{QuorumDown: []string{first}, ServerUp: []string{rest}, ServerDown: []string{rest}})
	b.Notify(Event{Service: "web", State: Down})
	receive(t, started)
	const count = 100
	var want strings.Builder
	for _, state := range []string{Down, Up, Down} {
		for n := range count {
			b.Notify(Event{Service: "web", Server: fmt.Sprint(n), State: state})
			if state == Up {
				fmt.Fprintf(&want, "%d DOWN\n", n)
			}
		}
	}
	release(t, proceed)
	results := b.finish(t)
	got, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want.String() {
		t.Errorf("told\n%s\nwant\n%s", got, want.String())
	}
	skipped := 0
	for _, r := range results {
		skipped += r.Skipped
	}
	if skipped != 2*count {
		t.Errorf("%d events skipped, want %d", skipped, 2*count)
	}
}

// TestSlotsAreShared: runners that share slots run no more commands at a time
// than there are.
func TestSlotsAreShared(t *testing.T) {
	dir := t.TempDir()
	lock := filepath.Join(dir, "lock")
	alone := script(t, dir, "alone", fmt.Sprintf("mkdir %s && ls / && rmdir %s", lock, lock))
	slots := make(chan struct{}, 1)
	var all []*bench
	for range 5 {
		b := newUnstarted(Commands{ServerDown: []string{alone}})
		b.Slots = slots
		b.start(t)
		all = append(all, b)
	}
	for n := range 4 {
		for _, b := range all {
			b.Notify(Event{Service: "web", Server: fmt.Sprint(n), State: Down})
		}
	}
	for _, b := range all {
		for _, r := range b.finish(t) {
			if r.Err != nil {
				t.Errorf("two at once: %v: %s", r.Err, r.Output)
			}
		}
	}
}
