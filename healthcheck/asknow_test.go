package healthcheck

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lvsd/lvsd/healthcheck/probe"
)

// asked runs AskNow in a goroutine, and returns where its end is told.
func (r *rig) asked(ctx context.Context, specs ...Spec) <-chan error {
	done := make(chan error, 1)
	go func() { done <- r.AskNow(ctx, specs) }()
	synctest.Wait()
	return done
}

// TestAskNow: the answer comes at once, and the check's own probes when they would
// have come.
func TestAskNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := server(1)
		r := newRig(t, after(100*time.Millisecond, probe.L4CON), s)
		r.run()
		r.after(warmup)
		first := r.zero.Add(r.starts(s)[0])
		r.after(time.Until(first.Add(12 * time.Second)))
		began := time.Now()
		if err := r.AskNow(t.Context(), []Spec{s, server(9), s}); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took != 100*time.Millisecond {
			t.Errorf("it took %v", took)
		}
		if status, _ := r.Status(s); status.Last.At.Before(began) {
			t.Errorf("the answer is from %v before", began.Sub(status.Last.At))
		}
		r.after(time.Until(first.Add(21 * time.Second)))
		if diff := cmp.Diff(seconds(0, 5, 10, 12, 15, 20), r.gaps(s)); diff != "" {
			t.Errorf("starts of probes (-want +got):\n%s", diff)
		}
	})
}

// TestAskNowWhileInFlight: a probe that began before says nothing of now.
func TestAskNowWhileInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := server(1)
		r := newRig(t, after(2*time.Second, probe.L4OK), s)
		r.run()
		r.after(warmup)
		first := r.zero.Add(r.starts(s)[0])
		r.after(time.Until(first.Add(6 * time.Second)))
		began := time.Now()
		if err := r.AskNow(t.Context(), []Spec{s}); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took != 3*time.Second {
			t.Errorf("it took %v, want the rest of one probe and another", took)
		}
		r.after(4 * time.Second)
		if diff := cmp.Diff(seconds(0, 5, 7, 10), r.gaps(s)); diff != "" {
			t.Errorf("starts of probes (-want +got):\n%s", diff)
		}
	})
}

// TestAskNowTellsOfTheVerdict: who has waited finds it in Status, after observe.
func TestAskNowTellsOfTheVerdict(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := server(1, func(c *Check) { c.Fall, c.Interval = 1, time.Hour })
		r := newRig(t, inTurn(probe.L4OK, probe.L4CON), s)
		r.run()
		r.after(warmup)
		if err := r.AskNow(t.Context(), []Spec{s}); err != nil {
			t.Fatal(err)
		}
		r.expectVerdict(s, Verdict{State: Down})
		r.expectChanges("unknown -> up L4OK", "up -> down L4CON")
	})
}

// TestAskNowThroughRetries waits for the outcome of all tries.
func TestAskNowThroughRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := server(1, func(c *Check) { c.Retries = 2 })
		r := newRig(t, inTurn(probe.L4OK, probe.L4TOUT), s)
		r.run()
		r.after(warmup)
		r.after(time.Until(r.zero.Add(r.starts(s)[0] + 2*time.Second)))
		began := time.Now()
		if err := r.AskNow(t.Context(), []Spec{s}); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took != 2*time.Second {
			t.Errorf("it took %v, want two retries of a second", took)
		}
	})
}

func TestAskNowEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := server(1)
		r := newRig(t, after(time.Hour, probe.L4OK), s, server(2))
		if err := r.AskNow(t.Context(), []Spec{s}); err == nil {
			t.Error("a pool that does not run has answered")
		}
		r.run()
		r.after(warmup)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := r.AskNow(ctx, []Spec{s}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
		removed := r.asked(t.Context(), s)
		r.update(server(2))
		if err := <-removed; err != nil {
			t.Errorf("its check is gone: %v", err)
		}
	})
}

// TestAskNowOfMany: more than may fly at once are asked one after the other.
func TestAskNowOfMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var specs []Spec
		for n := range 6 {
			specs = append(specs, server(n, func(c *Check) { c.Interval = time.Minute }))
		}
		r := newRig(t, after(time.Second, probe.L4OK), specs...)
		r.SetLimits(Limits{Concurrency: 2})
		r.run()
		r.after(2 * time.Minute)
		began := time.Now()
		if err := r.AskNow(t.Context(), slices.Clone(specs)); err != nil {
			t.Fatal(err)
		}
		// Some may be in flight already.
		if took := time.Since(began); took < 3*time.Second || took > 6*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

// TestAskNowWhileChanging: what was asked beforehand does not put off the next probe
// of a state that changes.
func TestAskNowWhileChanging(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := server(1, func(c *Check) { c.Interval, c.FastInterval = time.Minute, time.Second })
		r := newRig(t, inTurn(probe.L4OK, probe.L4CON), s)
		r.run()
		r.after(warmup + 2*time.Second)
		if err := r.AskNow(t.Context(), []Spec{s}); err != nil {
			t.Fatal(err)
		}
		r.after(3 * time.Second)
		r.expectVerdict(s, Verdict{State: Down})
	})
}
