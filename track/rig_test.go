package track

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// eventually is the longest a test waits for what must come.
const eventually = 5 * time.Minute

// A rig is a set and what it observes.
type rig struct {
	*Set
	t       *testing.T
	zero    time.Time
	changed chan Change

	mu      sync.Mutex
	began   map[string][]time.Duration // starts of runs, since zero
	changes []string
}

func newRig(t *testing.T, specs ...Spec) *rig {
	t.Helper()
	r := &rig{t: t, zero: time.Now(), changed: make(chan Change, 1000), began: map[string][]time.Duration{}}
	r.Set = NewSet(func(c Change) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.changes = append(r.changes, fmt.Sprintf("%s %v -> %v", c.Name, c.From.State, c.To.State))
		r.changed <- c
	})
	r.update(specs...)
	return r
}

// scripted makes the outcomes of scripts the test's; answer may wait first.
func (r *rig) scripted(answer func(ctx context.Context, s Spec, n int) bool) *rig {
	r.execute = func(ctx context.Context, s Spec) outcome {
		r.mu.Lock()
		n := len(r.began[s.Name])
		r.began[s.Name] = append(r.began[s.Name], time.Since(r.zero))
		r.mu.Unlock()
		return outcome{ok: answer(ctx, s, n), reason: fmt.Sprintf("run %d", n)}
	}
	return r
}

func (r *rig) update(specs ...Spec) {
	r.t.Helper()
	if err := r.Update(specs); err != nil {
		r.t.Fatal(err)
	}
}

// run starts the set; it is stopped and waited for at the end, or by stop.
func (r *rig) run() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			r.t.Error(err)
		}
	})
	r.t.Cleanup(stop)
	return stop
}

// after lets d pass in a bubble, and all that is due in it happen.
func (r *rig) after(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func (r *rig) starts(name string) []time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.began[name])
}

func (r *rig) expectStarts(name string, want ...time.Duration) {
	r.t.Helper()
	if diff := cmp.Diff(want, r.starts(name)); diff != "" {
		r.t.Errorf("starts of %s (-want +got):\n%s", name, diff)
	}
}

func (r *rig) expectChanges(want ...string) {
	r.t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if diff := cmp.Diff(want, r.changes); diff != "" {
		r.t.Errorf("changes (-want +got):\n%s", diff)
	}
}

func (r *rig) answered() bool {
	select {
	case <-r.Answered():
		return true
	default:
		return false
	}
}

// next returns the next change of a set that runs outside a bubble.
func (r *rig) next() Change {
	r.t.Helper()
	select {
	case c := <-r.changed:
		return c
	case <-time.After(eventually):
		r.t.Fatalf("no change; trackers %+v", r.All())
		return Change{}
	}
}

// await waits until the only tracker's status is as wanted.
func (r *rig) await(what string, ok func(Status) bool) {
	r.t.Helper()
	for deadline := time.Now().Add(eventually); ; <-time.After(10 * time.Millisecond) {
		for _, status := range r.All() {
			if ok(status) {
				return
			}
		}
		if time.Now().After(deadline) {
			r.t.Fatalf("%s: trackers %+v", what, r.All())
		}
	}
}

// scriptSpec is a tracker whose script, where it is run for real, is argv.
func scriptSpec(name string, argv ...string) Spec {
	if len(argv) == 0 {
		argv = []string{"/bin/true"}
	}
	return Spec{Name: name, Script: &Script{
		Command: argv, Interval: 5 * time.Second, Timeout: time.Minute, Rise: 1, Fall: 1,
	}}
}

// writeScript writes an executable shell script and returns its path.
func writeScript(t *testing.T, dir, body string) string {
	t.Helper()
	path := filepath.Join(dir, "check")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+body+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}
