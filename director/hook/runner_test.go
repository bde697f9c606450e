package hook

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestOrder(t *testing.T) {
	dir := t.TempDir()
	log := filepath.Join(dir, "log")
	all := script(t, dir, "notify", `echo "$@" >> `+log)
	b := newBench(t, Commands{
		Master: []string{all, "become", "master"},
		Backup: []string{all, "become backup"},
		Any:    []string{all, "any"},
	})
	for _, state := range []string{Master, Backup, Fault, Stop} {
		b.Notify(event(state))
		if r := <-b.results; r.Event.State != state || r.Err != nil || r.Skipped != 0 {
			t.Errorf("%s: %+v", state, r)
		}
		if state == Master || state == Backup {
			<-b.results
		}
	}
	got, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	const want = `become master
any INSTANCE relay MASTER 150
become backup
any INSTANCE relay BACKUP 150
any INSTANCE relay FAULT 150
any INSTANCE relay STOP 150
`
	if string(got) != want {
		t.Errorf("scripts were called with\n%swant\n%s", got, want)
	}
}

// blocking is a command that tells its state and then waits for a word.
func blocking(t *testing.T) (argv []string, started, proceed string) {
	t.Helper()
	dir := t.TempDir()
	started, proceed = fifo(t, dir, "started"), fifo(t, dir, "proceed")
	path := script(t, dir, "notify", fmt.Sprintf("echo $LVSD_STATE > %s; read word < %s", started, proceed))
	return []string{path}, started, proceed
}

func TestLatestEventRunsNext(t *testing.T) {
	argv, started, proceed := blocking(t)
	b := newBench(t, Commands{Any: argv})
	b.Notify(event(Master))
	if got := receive(t, started); got != Master {
		t.Fatalf("first ran %s", got)
	}
	for _, state := range []string{Backup, Master, Fault, Backup} {
		b.Notify(event(state))
	}
	release(t, proceed)
	if got := receive(t, started); got != Backup {
		t.Errorf("next ran %s, want the latest, BACKUP", got)
	}
	release(t, proceed)
	results := b.finish(t)
	if got := states(results); got != "MASTER BACKUP" {
		t.Fatalf("ran %s", got)
	}
	if results[0].Skipped != 0 || results[1].Skipped != 3 {
		t.Errorf("skipped %d before the first and %d before the last, want 0 and 3", results[0].Skipped, results[1].Skipped)
	}
}

// TestEventWithoutCommand: BACKUP must not be forgotten because of a FAULT that
// nobody wants to hear of.
func TestEventWithoutCommand(t *testing.T) {
	argv, started, proceed := blocking(t)
	b := newBench(t, Commands{Master: argv, Backup: argv})
	b.Notify(event(Master))
	receive(t, started)
	b.Notify(event(Backup))
	b.Notify(event(Fault))
	release(t, proceed)
	if got := receive(t, started); got != Backup {
		t.Errorf("next ran %s", got)
	}
	release(t, proceed)
	if got := states(b.finish(t)); got != "MASTER BACKUP" {
		t.Errorf("ran %s", got)
	}
}

func TestNeverTwoAtOnce(t *testing.T) {
	dir := t.TempDir()
	lock := filepath.Join(dir, "lock")
	path := script(t, dir, "notify", fmt.Sprintf("mkdir %s && ls / && rmdir %s", lock, lock))
	b := newBench(t, Commands{Master: []string{path}, Any: []string{path}})
	const notifiers, each = 4, 50
	done := make(chan struct{})
	for range notifiers {
		go func() {
			for range each {
				b.Notify(event(Master))
			}
			done <- struct{}{}
		}()
	}
	for range notifiers {
		<-done
	}
	b.Notify(event(Stop))
	results := b.finish(t)
	events := 0
	for i, r := range results {
		if r.Err != nil {
			t.Errorf("result %d: %v: %s", i, r.Err, r.Output)
		}
		if len(r.Command) == 1 || r.Event.State == Stop { // the first of its event
			events++
		}
		events += r.Skipped
	}
	if last := results[len(results)-1]; last.Event.State != Stop {
		t.Errorf("the last event was not run, but %s", last.Event.State)
	}
	if want := notifiers*each + 1; events != want {
		t.Errorf("%d events ran or were counted as skipped, want %d", events, want)
	}
}

func TestSetCommands(t *testing.T) {
	argv, started, proceed := blocking(t)
	b := newBench(t, Commands{Any: argv})
	b.Notify(event(Master))
	receive(t, started)
	b.Notify(event(Backup))
	b.Notify(event(Fault))
	b.SetCommands(Commands{})
	release(t, proceed)
	<-b.results
	b.SetCommands(Commands{Stop: []string{"/bin/true"}})
	b.Notify(event(Stop))
	results := b.finish(t)
	if got := states(results); got != "STOP" {
		t.Fatalf("ran %s after the commands had been taken away", got)
	}
	if results[0].Command[0] != "/bin/true" || results[0].Err != nil {
		t.Errorf("got %+v", results[0])
	}
}

func TestFinishRunsWhatWaits(t *testing.T) {
	argv, started, proceed := blocking(t)
	b := newBench(t, Commands{Any: argv})
	b.Notify(event(Master))
	receive(t, started)
	b.Notify(event(Backup))
	b.Notify(event(Stop))
	finished := make(chan error)
	go func() { finished <- b.Finish(context.Background()) }()
	release(t, proceed)
	if got := receive(t, started); got != Stop {
		t.Errorf("last ran %s", got)
	}
	select {
	case err := <-finished:
		t.Errorf("Finish returned %v while STOP was running", err)
	default:
	}
	release(t, proceed)
	if err := <-finished; err != nil {
		t.Error(err)
	}
	b.Notify(event(Master)) // comes too late and must do no harm
	if got := states(b.finish(t)); got != "MASTER STOP" {
		t.Errorf("ran %s", got)
	}
}

func TestContextEndRunsWhatWaits(t *testing.T) {
	argv, started, proceed := blocking(t)
	var results []Result
	r := New(Commands{Any: argv}, func(r Result) { results = append(results, r) })
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- r.Run(ctx) }()
	r.Notify(event(Master))
	receive(t, started)
	r.Notify(event(Stop))
	cancel()
	release(t, proceed)
	receive(t, started)
	release(t, proceed)
	if err := <-done; err != nil {
		t.Error(err)
	}
	if got := states(results); got != "MASTER STOP" {
		t.Errorf("ran %s", got)
	}
}

func TestFinishAbandons(t *testing.T) {
	dir := t.TempDir()
	started := fifo(t, dir, "started")
	// Neither the shell nor its child heeds SIGTERM.
	path := script(t, dir, "notify", "trap '' TERM; sleep 100000 & echo $$ $! > "+started+"; wait")
	b := newBench(t, Commands{Any: []string{path}})
	b.Notify(event(Master))
	pids := strings.Fields(receive(t, started))
	b.Notify(event(Stop))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := b.Finish(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Finish: %v", err)
	}
	for _, state := range []string{Master, Stop} {
		if r := <-b.results; r.Event.State != state || r.Exit != -1 || !errors.Is(r.Err, ErrAbandoned) {
			t.Errorf("%s: %+v", state, r)
		}
	}
	for _, pid := range pids {
		waitGone(t, pid)
	}
}

func TestFinishWithoutRun(t *testing.T) {
	r := New(Commands{}, func(Result) {})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := r.Finish(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Finish: %v", err)
	}
	if err := r.Run(context.Background()); err != nil {
		t.Errorf("Run after Finish: %v", err)
	}
	if err := r.Run(context.Background()); err == nil {
		t.Error("a second Run gave no error")
	}
}
