package healthcheck

import (
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
				r.woken = func() {
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
