package healthcheck

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/lvsd/lvsd/healthcheck/probe"
)

var newYear = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func TestSchedule(t *testing.T) {
	const ms, s = time.Millisecond, time.Second
	type step struct {
		at, took time.Duration
		code     probe.Code
		changing bool
		wantDue  time.Duration
		wantOver bool
	}
	for name, steps := range map[string][]step{
		"interval runs from start to start": {
			{0, s, probe.L4OK, false, 10 * s, true},
			{10 * s, 9 * s, probe.L4OK, false, 20 * s, true},
		},
		"starting a little late does not add up": {
			{3 * ms, s, probe.L4OK, false, 10 * s, true},
			{10*s + 300*ms, s, probe.L4OK, false, 20 * s, true},
			{20*s + 2*ms, s, probe.L4OK, false, 30 * s, true},
		},
		"one that starts very late does not make up for those before": {
			{0, s, probe.L4OK, false, 10 * s, true},
			{34 * s, s, probe.L4OK, false, 40 * s, true},
			{40 * s, s, probe.L4OK, false, 50 * s, true},
		},
		"a probe longer than the interval is followed at once": {
			{0, 12 * s, probe.L4OK, false, 12 * s, true},
			{12 * s, 0, probe.L4OK, false, 22 * s, true},
		},
		"a failure is tried again, delay after its end": {
			{0, s, probe.L4TOUT, false, 3 * s, false},
			{3 * s, s, probe.L7RSP, false, 6 * s, false},
			{6 * s, s, probe.L4TOUT, false, 10 * s, true},
			{10 * s, 0, probe.L6RSP, false, 12 * s, false},
		},
		"a refused connection is not tried again": {
			{0, 0, probe.L4CON, false, 10 * s, true},
			{10 * s, s, probe.L4TOUT, false, 13 * s, false},
			{13 * s, 0, probe.L4CON, false, 20 * s, true},
		},
		"a retry that succeeds ends the attempt": {
			{0, 0, probe.L7STS, false, 2 * s, false},
			{2 * s, 0, probe.L7OK, false, 10 * s, true},
			{10 * s, 0, probe.L7STS, false, 12 * s, false},
		},
		"no verdict is not tried again": {
			{0, 0, probe.SOCKERR, false, 10 * s, true},
			{10 * s, 0, probe.L7STS, false, 12 * s, false},
			{12 * s, 0, probe.SOCKERR, false, 20 * s, true},
		},
		"retries that outlast the interval are followed at once": {
			{0, 5 * s, probe.L4TOUT, false, 7 * s, false},
			{7 * s, 5 * s, probe.L4TOUT, false, 14 * s, false},
			{14 * s, 5 * s, probe.L4TOUT, false, 19 * s, true},
		},
		"a changing state is asked for sooner": {
			{0, 0, probe.L4CON, true, 3 * s, true},
			{3 * s, 0, probe.L4CON, true, 6 * s, true},
			{6 * s, 0, probe.L4CON, false, 16 * s, true},
		},
	} {
		t.Run(name, func(t *testing.T) {
			check := Check{Interval: 10 * s, FastInterval: 3 * s, Retries: 2, RetryDelay: 2 * s}
			schedule := schedule{due: newYear}
			tries := 0
			for i, step := range steps {
				r := probe.Result{At: newYear.Add(step.at), Duration: step.took, Code: step.code, OK: step.code.OK()}
				due, over := schedule.tried(check, &r)
				if tries++; r.Tries != tries {
					t.Errorf("step %d: %d tries, want %d", i, r.Tries, tries)
				}
				if over {
					due, tries = schedule.next(check, step.changing, r.At.Add(r.Duration)), 0
				}
				if got := due.Sub(newYear); got != step.wantDue || over != step.wantOver {
					t.Errorf("step %d: due %v, over %v; want %v, %v", i, got, over, step.wantDue, step.wantOver)
				}
			}
		})
	}
}

func TestNoFastIntervalIsTheInterval(t *testing.T) {
	s := schedule{due: newYear, began: newYear}
	if got := s.next(Check{Interval: time.Minute}, true, newYear); got != newYear.Add(time.Minute) {
		t.Errorf("due %v, want a minute later", got.Sub(newYear))
	}
}

// Whatever delays attempts, they are never due before the last one ended, never
// later than an interval after it or after they were due, and on the grid unless
// an attempt took too long for it.
func TestScheduleKeepsToItsGrid(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		interval := time.Duration(rapid.IntRange(1, 100).Draw(t, "interval"))
		check := Check{Interval: interval}
		s := schedule{due: newYear}
		grid := newYear
		for range 20 {
			due := s.due
			began := due.Add(time.Duration(rapid.IntRange(0, 300).Draw(t, "late")))
			r := probe.Result{At: began, Duration: time.Duration(rapid.IntRange(0, 200).Draw(t, "took")), Code: probe.L4CON}
			if _, over := s.tried(check, &r); !over {
				t.Fatal("an attempt without retries goes on")
			}
			ended := began.Add(r.Duration)
			next := s.next(check, false, ended)
			switch {
			case next.Before(ended):
				t.Fatalf("due %v before the end of the attempt", ended.Sub(next))
			case next == ended:
				grid = ended
			case next.Sub(began) > interval:
				t.Fatalf("due %v after the attempt began, want at most %v", next.Sub(began), interval)
			case next.Sub(grid)%interval != 0:
				t.Fatalf("due %v after a point of the grid of %v", next.Sub(grid)%interval, interval)
			}
		}
	})
}

func TestStartSpreads(t *testing.T) {
	for _, test := range []struct{ interval, warmup, bound, second time.Duration }{
		{time.Minute, 0, time.Second, time.Minute},
		{200 * time.Millisecond, 0, 200 * time.Millisecond, 0},
		{time.Minute, 10 * time.Second, 10 * time.Second, time.Minute},
		{time.Second, 5 * time.Second, 5 * time.Second, 0},
	} {
		check := Check{Interval: test.interval, Warmup: test.warmup}
		var first, second spread
		for range 2000 {
			var s schedule
			due := s.start(check, newYear)
			first.add(t, due.Sub(newYear), test.bound)
			s.tried(check, &probe.Result{At: due, Code: probe.L4OK, OK: true})
			after := s.next(check, false, due).Sub(due)
			if test.second != 0 {
				second.add(t, after-1, test.second)
			} else if after != test.interval {
				t.Fatalf("%+v: second attempt %v after the first, want the interval", test, after)
			}
		}
		first.expectEven(t, "first")
		if test.second != 0 {
			second.expectEven(t, "second")
		}
	}
}

// spread counts times by tenths of a bound.
type spread [10]int

func (s *spread) add(t *testing.T, at, bound time.Duration) {
	t.Helper()
	if at < 0 || at >= bound {
		t.Fatalf("%v, want in [0, %v)", at, bound)
	}
	s[at*10/bound]++
}

// expectEven expects even tenths of 2000: 200 each, give or take seven standard
// deviations.
func (s *spread) expectEven(t *testing.T, what string) {
	t.Helper()
	for i, n := range s {
		if n < 100 || n > 300 {
			t.Errorf("%s: %d of 2000 in tenth %d, want about 200", what, n, i)
		}
	}
}
