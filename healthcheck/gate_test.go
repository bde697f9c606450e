package healthcheck

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lvsd/lvsd/healthcheck/probe"
)

// of returns n checks of the server with that number.
func of(n, number int, alter ...func(*Check)) []Spec {
	var specs []Spec
	for i := range n {
		distinct := func(c *Check) { c.Timeout += time.Duration(i) }
		specs = append(specs, server(number, append(alter, distinct)...))
	}
	return specs
}

func TestSlowHostHoldsUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := of(300, 1)
		quick := []Spec{server(2), server(3), server(4)}
		var flying, most atomic.Int32
		r := newRig(t, func(ctx context.Context, s Spec, n int) probe.Code {
			if s.Target != slow[0].Target {
				return probe.L4OK
			}
			most.Store(max(most.Load(), flying.Add(1)))
			defer flying.Add(-1)
			return after(time.Minute, probe.L4TOUT)(ctx, s, n)
		}, append(slow, quick...)...)
		r.SetLimits(Limits{Concurrency: 20, PerHost: 19})
		r.run()
		r.after(20*time.Minute + warmup)
		for _, s := range quick {
			starts := r.gaps(s)
			for i, at := range starts {
				if want := time.Duration(i) * 5 * time.Second; at != want {
					t.Fatalf("%v: probe %d began at %v, want %v", s, i, at, want)
				}
			}
			if len(starts) < 240 {
				t.Errorf("%v: %d probes in 20 minutes", s, len(starts))
			}
		}
		if n := most.Load(); n != 19 {
			t.Errorf("%d probes of one host at once, want 19", n)
		}
		for _, s := range slow {
			if n := len(r.starts(s)); n == 0 {
				t.Errorf("%v: no probe in 20 minutes", s)
			}
		}
		r.expectNotices("delayed over=false 19 probes in flight to 192.0.0.1, no more are allowed")
	})
}

// Who waits longest is next.
func TestGateKeepsTheOrder(t *testing.T) {
	for name, limits := range map[string]Limits{
		"in total": {Concurrency: 1},
		"per host": {PerHost: 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var mu sync.Mutex
				var order []Spec
				specs := of(50, 1, func(c *Check) { c.Interval, c.Warmup = 10*time.Second, 10*time.Second })
				r := newRig(t, nil, specs...)
				r.ask = func(ctx context.Context, s Spec) probe.Result {
					mu.Lock()
					order = append(order, s)
					mu.Unlock()
					return probe.Result{At: time.Now(), Duration: 0, Code: after(20*time.Second, probe.L4OK)(ctx, s, 0), OK: true}
				}
				r.SetLimits(limits)
				r.run()
				r.after(10 * time.Second)
				r.Pool.mu.Lock()
				due := slices.Clone(specs)
				slices.SortFunc(due, func(a, b Spec) int { return r.checks[a].at.Compare(r.checks[b].at) })
				r.Pool.mu.Unlock()
				r.after(20 * time.Minute)
				if !slices.Equal(order[:50], due) {
					t.Error("probes do not begin in the order in which they were due")
				}
			})
		})
	}
}

func TestPoolSetLimitsWhileProbesWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, after(time.Hour, probe.L4OK), of(20, 1)...)
		began := func() (n int) {
			for s := range r.All() {
				n += len(r.starts(s))
			}
			return n
		}
		r.SetLimits(Limits{Concurrency: 2})
		r.run()
		for _, step := range []struct {
			limits Limits
			want   int
		}{
			{Limits{Concurrency: 2}, 2},
			{Limits{Concurrency: 9, PerHost: 3}, 3},
			{Limits{Concurrency: 9, PerHost: 30}, 9},
			{Limits{Concurrency: 4}, 9},
			{Limits{}, 20},
		} {
			r.SetLimits(step.limits)
			r.after(warmup)
			if n := began(); n != step.want {
				t.Errorf("%+v: %d probes began, want %d", step.limits, n, step.want)
			}
		}
	})
}

// What this host has no descriptors for is put off, and nobody goes down.
func TestPoolPutsOffWithoutDescriptors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const descriptors = 7
		var free atomic.Int32
		free.Store(descriptors)
		var tried atomic.Int32
		var specs []Spec
		for n := range 100 {
			specs = append(specs, server(n))
		}
		r := newRig(t, nil, specs...)
		r.ask = func(ctx context.Context, s Spec) probe.Result {
			result := probe.Result{At: time.Now(), OK: true, Code: probe.L4OK}
			tried.Add(1)
			defer free.Add(1)
			if free.Add(-1) < 0 {
				result.OK, result.Code, result.Reason = false, probe.SOCKERR, "connect: too many open files"
				return result
			}
			<-time.After(time.Second)
			result.Duration = time.Second
			return result
		}
		r.run()
		const minute = time.Minute
		r.after(minute)
		var successes int
		for s, status := range r.All() {
			if status.Inconclusive != 0 || status.Failures != 0 || status.State != Up {
				t.Errorf("%v: %+v", s, status)
			}
			successes += int(status.Successes)
		}
		if could := descriptors * int(minute/time.Second); successes < could*3/4 {
			t.Errorf("%d probes in a minute, where %d descriptors allow %d", successes, descriptors, could)
		}
		if vain := int(tried.Load()) - successes; vain > 20*int(minute/time.Second) {
			t.Errorf("%d probes in vain in a minute", vain)
		}
		r.expectNotices("delayed over=false no file descriptors left, the limit is ")
		if n := r.Notices(); len(n) != 1 || n[0].Kind != Delayed {
			t.Errorf("notices in force: %+v", n)
		}

		free.Add(1000)
		r.after(minute)
		r.expectNotices("delayed over=true no file descriptors left")
		if n := r.Notices(); len(n) != 0 {
			t.Errorf("notices in force: %+v", n)
		}
		before := tried.Load()
		r.after(minute)
		if n := tried.Load() - before; n != 1200 {
			t.Errorf("%d probes in a minute, want 1200", n)
		}
	})
}

func TestPoolSpreadsTheLoad(t *testing.T) {
	for _, n := range []int{1000, 10_000} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				every := func(c *Check) { c.Interval, c.Warmup = time.Second, 0 }
				var specs []Spec
				for i := range n {
					specs = append(specs, server(i, every))
				}
				const tenths = 30
				var load [tenths + 1]atomic.Int32
				r := newRig(t, nil, specs...)
				r.ask = func(context.Context, Spec) probe.Result {
					now := time.Now()
					load[min(now.Sub(r.zero)*10/time.Second, tenths)].Add(1)
					return probe.Result{At: now, OK: true, Code: probe.L4OK}
				}
				r.run()
				r.after(3 * time.Second)
				for i := range tenths {
					if got := int(load[i].Load()); got > n/10*3/2 || got < n/10/2 {
						t.Errorf("%d probes in tenth %d of a second, want about %d", got, i, n/10)
					}
				}
			})
		})
	}
}
