package healthcheck

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lvsd/lvsd/healthcheck/probe"
)

func TestStatusAfter(t *testing.T) {
	check := Check{Rise: 1, Fall: 2}
	at := func(seconds int, code probe.Code) probe.Result {
		return probe.Result{
			At: newYear.Add(time.Duration(seconds) * time.Second), Duration: 100 * time.Millisecond,
			OK: code.OK(), Code: code,
		}
	}
	weighty := at(1, probe.L7OK)
	weighty.Weight = probe.Weight{Known: true, Value: 30}
	lighter := at(5, probe.L7OK)
	lighter.Weight = probe.Weight{Known: true, Value: 0}
	upSince, downSince := weighty.At.Add(weighty.Duration), newYear.Add(4100*time.Millisecond)

	var s Status
	for i, step := range []struct {
		result probe.Result
		held   string
		want   Status
	}{
		{at(0, probe.SOCKERR), "", Status{Inconclusive: 1}},
		{weighty, "", Status{Verdict: Verdict{State: Up, Up: true}, Since: upSince, Successes: 1, Inconclusive: 1}},
		{at(2, probe.L4TOUT), "why", Status{
			Verdict: Verdict{State: Up, Up: true, Streak: 1}, Since: upSince, LastFailure: at(2, probe.L4TOUT),
			Successes: 1, Failures: 1, Inconclusive: 1,
		}},
		{at(3, probe.L4TOUT), "why", Status{
			Verdict: Verdict{State: Up, Up: true, Streak: 2}, Since: upSince, LastFailure: at(3, probe.L4TOUT),
			Held: "why", Successes: 1, Failures: 2, Inconclusive: 1,
		}},
		{at(4, probe.L4CON), "", Status{
			Verdict: Verdict{State: Down}, Since: downSince, LastFailure: at(4, probe.L4CON),
			Flap: FlapScore{Score: 1}, Successes: 1, Failures: 3, Inconclusive: 1,
		}},
		{lighter, "why", Status{
			Verdict: Verdict{State: Up, Up: true}, Since: newYear.Add(5100 * time.Millisecond),
			LastFailure: at(4, probe.L4CON), Weight: lighter.Weight,
			Flap: FlapScore{Score: 1.9976921}, Successes: 2, Failures: 3, Inconclusive: 1,
		}},
	} {
		s = s.after(check, step.held, step.result)
		want := step.want
		want.Last = step.result
		if i > 0 && !want.Weight.Known {
			want.Weight = weighty.Weight
		}
		near := cmp.Comparer(func(a, b float64) bool { return a-b < 1e-6 && b-a < 1e-6 })
		if diff := cmp.Diff(want, s, near); diff != "" {
			t.Errorf("step %d (-want +got):\n%s", i, diff)
		}
	}
}

func TestInconclusiveLeavesHeld(t *testing.T) {
	s := Status{Verdict: Verdict{State: Up, Up: true, Streak: 2}, Held: "why"}
	if got := s.after(Check{Rise: 1, Fall: 2}, "", probe.Result{Code: probe.SOCKERR}); got.Held != "why" || got.Verdict != s.Verdict {
		t.Errorf("%+v, want the verdict held as before", got)
	}
}

func TestChanging(t *testing.T) {
	for name, test := range map[string]struct {
		status Status
		want   bool
	}{
		"unknown":             {Status{}, true},
		"up":                  {Status{Verdict: Verdict{State: Up, Up: true}}, false},
		"up, about to fall":   {Status{Verdict: Verdict{State: Up, Up: true, Streak: 1}}, true},
		"down, about to rise": {Status{Verdict: Verdict{State: Down, Streak: 1}}, true},
		"held up":             {Status{Verdict: Verdict{State: Up, Up: true, Streak: 3}, Held: "why"}, false},
		"down":                {Status{Verdict: Verdict{State: Down}}, false},
	} {
		if got := test.status.changing(); got != test.want {
			t.Errorf("%s: changing %v, want %v", name, got, test.want)
		}
	}
}

func TestNeeded(t *testing.T) {
	c := Check{Rise: 3, Fall: 2}
	for want, v := range map[int]Verdict{1: {Up: true}, 2: {State: Up, Up: true}, 3: {State: Down}} {
		if got := (Status{Verdict: v}).Needed(c); got != want {
			t.Errorf("%+v: %d, want %d", v, got, want)
		}
	}
}
