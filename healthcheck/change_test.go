package healthcheck

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lvsd/lvsd/healthcheck/probe"
)

// A weight or a warning that changes is told, and only then; a failure that did
// not come as far as a warning does not take it back.
func TestPoolTellsOfWeightsAndWarnings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := server(1)
		ok := probe.Result{Code: probe.L7OK, OK: true}
		weight := func(n int) probe.Result {
			r := ok
			r.Weight = probe.Weight{Known: true, Value: n}
			return r
		}
		warning := ok
		warning.Warning = "expires soon"
		failed := probe.Result{Code: probe.L4TOUT}
		unable := probe.Result{Code: probe.SOCKERR}
		results := []probe.Result{ok, ok, weight(7), weight(7), weight(8), warning, failed, unable, warning, ok}
		var told []string
		r := newRig(t, nil, s)
		n := 0
		r.ask = func(context.Context, Spec) probe.Result {
			result := results[min(n, len(results)-1)]
			n++
			result.At = time.Now()
			return result
		}
		r.observe = func(c Change) {
			told = append(told, fmt.Sprintf("%d: %v -> %v, weight %d -> %d, %q -> %q",
				n, c.From, c.To, c.WeightBefore.Value, c.Weight.Value, c.WarningBefore, c.Warning))
			if status, _ := r.Status(s); status.Warning != c.Warning {
				t.Errorf("status %+v", status)
			}
		}
		r.run()
		r.after(20 * warmup)
		want := []string{
			`1: unknown -> up, weight 0 -> 0, "" -> ""`,
			`3: up -> up, weight 0 -> 7, "" -> ""`,
			`5: up -> up, weight 7 -> 8, "" -> ""`,
			`6: up -> up, weight 8 -> 8, "" -> "expires soon"`,
			`10: up -> up, weight 8 -> 8, "expires soon" -> ""`,
		}
		if diff := cmp.Diff(want, told); diff != "" {
			t.Errorf("changes (-want +got):\n%s", diff)
		}
	})
}

// When most servers seem to die at once, the verdicts stay, and that is told.
func TestPoolHoldsVerdicts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var specs []Spec
		for n := range 20 {
			specs = append(specs, server(n))
		}
		var lost atomic.Bool
		r := newRig(t, nil, specs...)
		r.ask = func(context.Context, Spec) probe.Result {
			if lost.Load() {
				return probe.Result{At: time.Now(), Code: probe.L4CON}
			}
			return probe.Result{At: time.Now(), Code: probe.L4OK, OK: true}
		}
		r.SetLimits(Limits{OwnFault: OwnFault{Percent: 50, Minimum: 10}})
		r.observe = func(c Change) {
			if c.To != Up {
				t.Errorf("change %+v", c)
			}
		}
		r.run()
		r.after(2 * warmup)
		lost.Store(true)
		r.after(10 * warmup)
		r.expectNotices("held over=false")
		lost.Store(false)
		r.after(10 * warmup)
		r.expectNotices("held over=true")
	})
}
