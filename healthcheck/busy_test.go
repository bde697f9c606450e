package healthcheck

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lvsd/lvsd/healthcheck/probe"
)

// A host that was late itself does not call others late.
func TestPoolExcusesTimeoutsOfABusyHost(t *testing.T) {
	const timeout = 2 * time.Second // a quarter of it is 500 ms
	for name, test := range map[string]struct {
		late    time.Duration
		code    probe.Code
		excused bool
	}{
		"on time":                    {0, probe.L4TOUT, false},
		"a little late":              {490 * time.Millisecond, probe.L4TOUT, false},
		"late":                       {510 * time.Millisecond, probe.L4TOUT, true},
		"late in the dialogue":       {time.Second, probe.L7TOUT, true},
		"late in the handshake":      {time.Second, probe.L6TOUT, true},
		"late to end a program":      {time.Second, probe.PROCTOUT, true},
		"late, refused":              {time.Second, probe.L4CON, false},
		"asleep when the probe ends": {time.Minute, probe.L4TOUT, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := server(1, func(c *Check) { c.Timeout, c.Interval, c.Warmup = timeout, time.Hour, time.Hour })
				r := newRig(t, after(timeout, test.code), s)
				if err := r.Seed(s, true); err != nil {
					t.Fatal(err)
				}
				r.stall = func() {
					if len(r.starts(s)) == 1 && test.late > 0 {
						<-time.After(test.late)
						test.late = 0
					}
				}
				r.run()
				r.after(time.Hour + 2*timeout)
				status, _ := r.Status(s)
				if excused := status.Inconclusive == 1; excused != test.excused || status.Inconclusive+status.Failures != 1 {
					t.Errorf("status %+v", status)
				}
				r.after(2 * time.Minute)
				if !test.excused {
					return
				}
				if got := status.Last.Reason; got == "" || status.Last.Code != probe.SOCKERR {
					t.Errorf("result %+v", status.Last)
				}
				r.expectNotices("starved over=false this host is busy: checks were", "starved over=true")
			})
		})
	}
}

// A probe that its timeout did not end in time shows that this host is busy,
// even where the loop is on time.
func TestPoolExcusesProbesThatOverran(t *testing.T) {
	const timeout = 2 * time.Second
	for name, test := range map[string]struct {
		took    time.Duration
		code    probe.Code
		excused bool
	}{
		"a little": {timeout + 490*time.Millisecond, probe.L7TOUT, false},
		"much":     {timeout + 510*time.Millisecond, probe.L7TOUT, true},
		"refused":  {timeout + time.Second, probe.L4CON, false},
		// A program that does not heed SIGTERM is given some time.
		"a program": {timeout + time.Second, probe.PROCTOUT, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := server(1, func(c *Check) { c.Timeout, c.Interval, c.Warmup = timeout, time.Hour, 1 })
				r := newRig(t, after(test.took, test.code), s)
				r.busy = busy{late: time.Minute, at: time.Now().Add(-time.Second)} // hides shorter ones
				r.run()
				r.after(2 * timeout)
				status, _ := r.Status(s)
				if excused := status.Inconclusive == 1; excused != test.excused || status.Inconclusive+status.Failures != 1 {
					t.Errorf("status %+v", status)
				}
				starved := slices.ContainsFunc(r.Notices(), func(n Notice) bool { return n.Kind == Starved })
				if test.excused && !starved {
					t.Error("no notice")
				}
				if !r.gate.slow.at.IsZero() {
					t.Error("one that only connects narrows dialogues")
				}
				if name == "a program" && starved {
					t.Error("a notice")
				}
			})
		})
	}
}

// Dialogues that run late begin more slowly, whoever only connects does not, and
// nobody fails for that.
func TestPoolNarrowsWhenDialoguesRunLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 400
		every := func(c *Check) { c.Interval, c.Warmup, c.Timeout = time.Second, time.Second, 3*time.Second }
		var specs []Spec
		for i := range n {
			specs = append(specs, server(i, every, func(c *Check) { c.Kind = mail }))
		}
		r := newRig(t, after(time.Second, probe.L7OK), specs...)
		r.run()
		flying := func() int {
			r.Pool.mu.Lock()
			defer r.Pool.mu.Unlock()
			return r.gate.flying
		}
		r.after(2*time.Second + 500*time.Millisecond)
		before := flying()
		if before < n*9/10 {
			t.Fatalf("%d probes in flight", before)
		}
		r.started(time.Now().Add(-time.Second))
		r.started(time.Now().Add(-time.Second)) // began before: nothing new
		r.after(breather + 100*time.Millisecond)
		if got := flying(); got != before/2 {
			t.Errorf("%d probes in flight of %d, want half", got, before)
		}
		connects := server(n+1, every)
		r.update(append(specs, connects)...)
		r.after(2 * time.Second)
		if len(r.starts(connects)) == 0 {
			t.Error("one that only connects waits")
		}
		r.after(breather + relief)
		if got := flying(); got < n*9/10 {
			t.Errorf("%d probes in flight later, as many as %d should be", got, before)
		}
		for s, status := range r.All() {
			if status.Failures+status.Inconclusive != 0 {
				t.Errorf("%v: %+v", s, status)
			}
		}
	})
}

// A delay that was over before the probe began is no excuse.
func TestBusyExcusesWhatWasInFlight(t *testing.T) {
	zero := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var b busy
	b.woke(zero, zero.Add(time.Second))
	for at, excused := range map[time.Duration]bool{0: true, 900 * time.Millisecond: true, 1100 * time.Millisecond: false} {
		r := b.excuse(probe.Result{At: zero.Add(at), Code: probe.L4TOUT, Reason: "connect: timed out"}, time.Second)
		if got := !r.Conclusive(); got != excused {
			t.Errorf("begun after %v: %s %q", at, r.Code, r.Reason)
		}
	}
	// A short delay does not hide a long one that was just before.
	b.woke(zero.Add(2*time.Second), zero.Add(2300*time.Millisecond))
	if r := b.excuse(probe.Result{At: zero, Code: probe.L4TOUT}, 2*time.Second); r.Conclusive() {
		t.Error("the long delay is forgotten")
	}
	later := zero.Add(time.Hour)
	b.woke(later, later.Add(300*time.Millisecond))
	if r := b.excuse(probe.Result{At: later, Code: probe.L4TOUT}, time.Second); r.Conclusive() {
		t.Error("the delay of an hour ago hides this one")
	}
}
