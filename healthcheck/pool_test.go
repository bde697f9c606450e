package healthcheck

import (
	"context"
	"io"
	"net"
	"net/netip"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lvsd/lvsd/healthcheck/servertest"

	"github.com/google/go-cmp/cmp"

	"github.com/lvsd/lvsd/healthcheck/probe"
)

func TestPoolSchedule(t *testing.T) {
	for name, test := range map[string]struct {
		answer  func(context.Context, Spec, int) probe.Code
		retries int
		want    []time.Duration
	}{
		"interval from start to start": {after(2*time.Second, probe.L4OK), 0, seconds(0, 5, 10, 15, 20)},
		"longer than the interval":     {after(8*time.Second, probe.L4OK), 0, seconds(0, 8, 16)},
		"retries within the attempt":   {inTurn(probe.L4TOUT), 2, seconds(0, 1, 2, 5, 6, 7, 10, 11, 12, 15, 16, 17, 20, 21, 22)},
		"a retry that succeeds":        {inTurn(probe.L4TOUT, probe.L4OK), 2, seconds(0, 1, 5, 10, 15, 20)},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := server(1, func(c *Check) { c.Retries = test.retries })
				r := newRig(t, test.answer, s)
				r.run()
				r.after(23*time.Second + warmup)
				starts := r.gaps(s)
				starts = slices.DeleteFunc(starts, func(d time.Duration) bool { return d > 23*time.Second })
				if diff := cmp.Diff(test.want, starts); diff != "" {
					t.Errorf("starts of probes (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestPoolRiseAndFall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := server(1) // rise 2, fall 3
		r := newRig(t, inTurn(probe.L4OK, probe.L4CON, probe.L4CON, probe.L4OK, probe.L4CON, probe.L4CON, probe.L4TOUT, probe.L4CON, probe.L4OK, probe.L4CON, probe.L4OK, probe.L4OK), s)
		r.expectVerdict(s, Verdict{})
		r.run()
		r.after(warmup)
		r.expectVerdict(s, Verdict{State: Up, Up: true})
		r.after(5 * 5 * time.Second)
		r.expectVerdict(s, Verdict{State: Up, Up: true, Streak: 2})
		r.after(5 * time.Second)
		r.expectVerdict(s, Verdict{State: Down})
		since := r.zero.Add(r.starts(s)[6])
		r.after(5 * 5 * time.Second)
		r.expectChanges("unknown -> up L4OK", "up -> down L4TOUT", "down -> up L4OK")

		status, _ := r.Status(s)
		if status.Successes != 5 || status.Failures != 7 || status.Last.Code != probe.L4OK || status.LastFailure.Code != probe.L4CON {
			t.Errorf("status %+v", status)
		}
		if want := since.Add(25 * time.Second); !status.Since.Equal(want) {
			t.Errorf("since %v, want %v", status.Since, want)
		}
	})
}

func TestPoolWithoutVerdict(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := server(1, func(c *Check) { c.Fall, c.Retries = 1, 3 })
		r := newRig(t, inTurn(probe.SOCKERR, probe.SOCKERR, probe.L4OK, probe.SOCKERR), s)
		r.run()
		r.after(5*time.Second + warmup)
		r.expectVerdict(s, Verdict{})
		if r.answered() {
			t.Error("answered by results that are not conclusive")
		}
		r.after(30 * time.Second)
		r.expectVerdict(s, Verdict{State: Up, Up: true})
		r.expectChanges("unknown -> up L4OK")
		status, _ := r.Status(s)
		if status.Inconclusive < 5 || status.Failures != 0 || status.Last.Code != probe.SOCKERR {
			t.Errorf("status %+v", status)
		}
	})
}

func TestPoolSeed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hope := func(c *Check) { c.InitiallyUp = true }
		up, hoped, down := server(1), server(2, hope), server(3, hope)
		r := newRig(t, inTurn(probe.L4CON), up, hoped, down)
		for s, verdict := range map[Spec]bool{up: true, down: false} {
			if err := r.Seed(s, verdict); err != nil {
				t.Error(err)
			}
		}
		r.expectVerdict(up, Verdict{Up: true, Inherited: true})
		r.expectVerdict(hoped, Verdict{Up: true})
		r.expectVerdict(down, Verdict{Inherited: true})
		if r.answered() {
			t.Error("answered by a seed")
		}
		r.run()
		r.after(warmup)
		if !r.answered() {
			t.Error("not answered")
		}
		r.expectVerdict(up, Verdict{State: Up, Up: true, Streak: 1})
		r.expectVerdict(hoped, Verdict{State: Down})
		r.expectVerdict(down, Verdict{State: Down})
		if err := r.Seed(down, true); err != nil {
			t.Error(err)
		}
		r.expectVerdict(down, Verdict{State: Down})
		r.after(10 * time.Second)
		r.expectVerdict(up, Verdict{State: Down})
		if err := r.Seed(server(9), true); err == nil {
			t.Error("seeded a check that is not there")
		}
	})
}

func TestPoolUpdateKeepsWhatStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stays, goes, comes := server(1), server(2), server(3)
		r := newRig(t, inTurn(probe.L4OK, probe.L4CON), stays, goes, stays)
		if n := len(r.All()); n != 2 {
			t.Errorf("%d checks, want one for each distinct spec", n)
		}
		r.run()
		r.after(5*time.Second + warmup)
		before, _ := r.Status(stays)
		if before.Streak != 1 || before.State != Up {
			t.Fatalf("verdict %+v", before.Verdict)
		}
		probes := len(r.starts(goes))

		r.update(comes, stays)
		if now, _ := r.Status(stays); now != before {
			t.Errorf("status was %+v, is %+v", before, now)
		}
		r.after(5 * time.Second)
		if diff := cmp.Diff(seconds(0, 5, 10), r.gaps(stays)); diff != "" {
			t.Errorf("starts of the check that stays (-want +got):\n%s", diff)
		}
		if n := len(r.starts(goes)); n != probes {
			t.Errorf("the check that went was probed %d times more", n-probes)
		}
		if _, ok := r.Status(goes); ok || len(r.All()) != 2 {
			t.Error("the check that went is still there")
		}
		if now, _ := r.Status(comes); now.Successes != 1 {
			t.Errorf("the check that came has status %+v", now)
		}

		r.update(goes)
		r.expectVerdict(goes, Verdict{})
	})
}

func TestPoolUpdateRefusesAll(t *testing.T) {
	pool := NewPool(Limits{}, func(Change) {}, func(Notice) {})
	if err := pool.Update([]Spec{server(1)}); err != nil {
		t.Fatal(err)
	}
	lame := server(2, func(c *Check) { c.Interval = 0 })
	mute := server(3, func(c *Check) { c.Timeout = 0 })
	err := pool.Update([]Spec{server(4), lame, mute, lame})
	if err == nil || strings.Count(err.Error(), "\n") != 1 {
		t.Errorf("error %v, want one with a line for each spec that is not valid", err)
	}
	if _, ok := pool.Status(server(1)); !ok || len(pool.All()) != 1 {
		t.Errorf("checks changed: %v", pool.All())
	}
}

func TestPoolAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := server(2)
		r := newRig(t, func(ctx context.Context, s Spec, n int) probe.Code {
			if s == slow {
				return after(20*time.Second, probe.L4OK)(ctx, s, n)
			}
			return probe.L4CON
		})
		if !r.answered() {
			t.Error("an empty pool waits for an answer")
		}
		r.update(server(1), slow)
		r.run()
		first := r.Answered()
		r.after(5 * time.Second)
		if r.answered() {
			t.Error("answered without the slow check")
		}
		r.update(server(1), slow, server(3))
		r.after(20 * time.Second)
		if !r.answered() {
			t.Error("not answered")
		}
		<-first

		r.update(server(1), server(4))
		if r.answered() {
			t.Error("answered without the new check")
		}
		r.update(server(1))
		if !r.answered() {
			t.Error("waits for a check that is gone")
		}
	})
}

func TestPoolConcurrencyDelays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var flying, most atomic.Int32
		var specs []Spec
		for n := range 10 {
			specs = append(specs, server(n, func(c *Check) { c.Interval = time.Minute }))
		}
		r := newRig(t, func(ctx context.Context, s Spec, n int) probe.Code {
			most.Store(max(most.Load(), flying.Add(1)))
			defer flying.Add(-1)
			return after(2*time.Second, probe.L4OK)(ctx, s, n)
		}, specs...)
		r.SetLimits(Limits{Concurrency: 3})
		r.run()
		r.after(8*time.Second + warmup)
		if n := most.Load(); n != 3 {
			t.Errorf("%d probes at once, want 3", n)
		}
		for s, status := range r.All() {
			if status.Successes == 0 || status.Last.Duration != 2*time.Second {
				t.Errorf("%v: status %+v", s, status)
			}
		}
	})
}

// Neither a probe that is in flight nor one that waits for its turn delays the
// end, and neither counts.
func TestPoolStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, after(time.Hour, probe.L4CON), server(1), server(2), server(3))
		r.SetLimits(Limits{Concurrency: 1})
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Minute, cancel)
		start := time.Now()
		if err := r.Run(ctx); err != nil {
			t.Error(err)
		}
		if took := time.Since(start); took != time.Minute {
			t.Errorf("ended after %v", took)
		}
		r.expectChanges()
		for s, status := range r.All() {
			if status.Last != (probe.Result{}) {
				t.Errorf("%v: result %+v", s, status.Last)
			}
		}
		r.update(server(4))
		r.after(time.Minute)
		if n := len(r.starts(server(4))); n != 0 {
			t.Errorf("%d probes after the end", n)
		}
		if err := r.Run(t.Context()); err == nil {
			t.Error("ran twice")
		}
	})
}

func TestPoolStopsRemovedProbeAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan time.Time, 1)
		r := newRig(t, func(ctx context.Context, s Spec, n int) probe.Code {
			defer func() { ended <- time.Now() }()
			return after(time.Hour, probe.L4OK)(ctx, s, n)
		}, server(1))
		r.run()
		r.after(time.Minute)
		r.update()
		if at := <-ended; at.Sub(r.zero) != time.Minute {
			t.Errorf("ended after %v", at.Sub(r.zero))
		}
		r.after(time.Minute)
		r.expectChanges()
	})
}

// A check that is removed while it waits for its turn does not take it.
func TestPoolRemovesWhatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		holds, waits := server(1), server(2)
		r := newRig(t, after(time.Minute, probe.L4OK), holds)
		r.SetLimits(Limits{Concurrency: 1})
		r.run()
		r.after(warmup)
		r.update(holds, waits)
		r.after(warmup)
		r.update(holds)
		r.after(5 * time.Minute)
		if n := len(r.starts(waits)); n != 0 {
			t.Errorf("%d probes", n)
		}
	})
}

// A result that crosses with the removal of its check is not taken for one of
// the check's successor.
func TestPoolDropsResultOfRemovedCheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := server(1)
		began := make(chan chan probe.Code)
		r := newRig(t, func(context.Context, Spec, int) probe.Code {
			end := make(chan probe.Code)
			began <- end
			return <-end // whatever becomes of the context
		}, s)
		r.run()
		removed := <-began
		r.update()
		r.update(s)
		successor := <-began
		removed <- probe.L4OK
		synctest.Wait()
		r.expectVerdict(s, Verdict{})
		successor <- probe.L4CON
		synctest.Wait()
		r.expectChanges("unknown -> down L4CON")
		r.update()
	})
}

func TestObserverMayUseThePool(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil, server(1))
		seen := make(chan Status, 1)
		r.observe = func(c Change) {
			status, _ := r.Status(c.Spec)
			seen <- status
			r.update()
		}
		r.run()
		if status := <-seen; status.State != Up {
			t.Errorf("the observer sees %v", status.State)
		}
		r.after(time.Second)
		if len(r.All()) != 0 {
			t.Error("the observer's update was lost")
		}
	})
}

// Real servers, good and hostile, and a real clock: the verdicts are theirs, a
// server that comes back is up again, and nothing is left at the end.
func TestPoolAgainstServers(t *testing.T) {
	var broken atomic.Bool
	good := servertest.Serve(t, func(conn net.Conn) {
		if broken.Load() {
			_, _ = io.WriteString(conn, "421 later\r\n")
			servertest.Silent(conn)
			return
		}
		_, _ = io.WriteString(conn, "220 mx\r\n")
		_, _ = conn.Read(make([]byte, 100))
		_, _ = io.WriteString(conn, "250 mx\r\n")
		_, _ = conn.Read(make([]byte, 100))
	})
	flapping := specOf(mail, good, quick, func(c *Check) { c.Timeout = time.Minute })
	specs := []Spec{flapping}
	for _, kind := range []probe.Kind{probe.TCP{}, mail, web, tlsWeb} {
		for _, target := range []netip.AddrPort{servertest.Serve(t, servertest.Silent), servertest.Serve(t, servertest.Flood("x")), servertest.Refusing(t), servertest.Full(t)} {
			specs = append(specs, specOf(kind, target, quick))
		}
	}
	changes := make(chan Change, 1000)
	pool := NewPool(Limits{}, func(c Change) {
		if c.Spec == flapping {
			changes <- c
		}
	}, func(Notice) {})
	if err := pool.Update(specs); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- pool.Run(ctx) }()

	if c := <-changes; c.From != Unknown || c.To != Up {
		t.Errorf("change %+v, want up", c)
	}
	broken.Store(true)
	if c := <-changes; c.To != Down || c.Result.Reason != "greeting: 421 later" {
		t.Errorf("change %+v, want down for its reason", c)
	}
	broken.Store(false)
	if c := <-changes; c.To != Up {
		t.Errorf("change %+v, want up", c)
	}
	<-pool.Answered()
	for s, status := range pool.All() {
		if s.Type() != "tcp" && s != flapping && status.Up {
			t.Errorf("%v is up: %+v", s, status.Last)
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	expectNoGoroutines(t)
}

// quick makes c a check that soon gives up on a server that stalls.
func quick(c *Check) {
	c.Interval, c.Timeout = 10*time.Millisecond, 2*time.Second
}

// expectNoGoroutines fails the test if a goroutine of this package's own code
// is left.
func expectNoGoroutines(t *testing.T) {
	t.Helper()
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	own := regexp.MustCompile(`healthcheck(/probe)?\.(\(\*(Pool|boundConn|Connector)\)|dialer\.|bind|dialogue|Route\.)`)
	for stack := range strings.SplitSeq(string(stacks), "\n\n") {
		if own.MatchString(stack) {
			t.Errorf("left over:\n%s", stack)
		}
	}
}

func TestPoolNextProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := server(1, func(c *Check) { c.Interval, c.Warmup, c.Timeout = time.Minute, time.Minute, time.Hour })
		r := newRig(t, after(time.Second, probe.L4OK), s)
		expect := func(when string, want time.Time) {
			t.Helper()
			if got := r.NextProbe(s); !got.Equal(want) {
				t.Errorf("%s: %v, want %v", when, got, want)
			}
		}
		expect("before the start", time.Time{})
		r.run()
		synctest.Wait()
		next := r.NextProbe(s)
		if wait := time.Until(next); wait < 0 || wait > time.Minute {
			t.Fatalf("the first is due in %v", wait)
		}
		r.after(time.Until(next) + 500*time.Millisecond)
		expect("in flight", time.Time{})
		r.after(time.Second)
		expect("after it", next.Add(time.Minute))
		r.update()
		expect("of none", time.Time{})
	})
}
