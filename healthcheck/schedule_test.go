package healthcheck

import (
	"testing"
	"time"
)

func TestScheduleNext(t *testing.T) {
	type step struct {
		at, took time.Duration
		code     Code
		wantDue  time.Duration
		wantOver bool
	}
	for name, steps := range map[string][]step{
		"interval runs from start to start": {
			{0, time.Second, L4OK, 10 * time.Second, true},
			{10 * time.Second, 9 * time.Second, L4OK, 20 * time.Second, true},
		},
		"a probe longer than the interval is followed at once": {
			{0, 12 * time.Second, L4OK, 12 * time.Second, true},
			{12 * time.Second, 0, L4OK, 22 * time.Second, true},
		},
		"a failure is tried again, delay after its end": {
			{0, time.Second, L4CON, 3 * time.Second, false},
			{3 * time.Second, time.Second, L4CON, 6 * time.Second, false},
			{6 * time.Second, time.Second, L4CON, 10 * time.Second, true},
			{10 * time.Second, 0, L4CON, 12 * time.Second, false},
		},
		"a retry that succeeds ends the attempt": {
			{0, 0, L7STS, 2 * time.Second, false},
			{2 * time.Second, 0, L7OK, 10 * time.Second, true},
			{10 * time.Second, 0, L7STS, 12 * time.Second, false},
		},
		"no verdict is not tried again": {
			{0, 0, SOCKERR, 10 * time.Second, true},
		},
		"retries that outlast the interval are followed at once": {
			{0, 5 * time.Second, L4TOUT, 7 * time.Second, false},
			{7 * time.Second, 5 * time.Second, L4TOUT, 14 * time.Second, false},
			{14 * time.Second, 5 * time.Second, L4TOUT, 19 * time.Second, true},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := schedule{Spec: Spec{Interval: 10 * time.Second, Retries: 2, RetryDelay: 2 * time.Second}}
			zero := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
			tries := 0
			for i, step := range steps {
				r := Result{At: zero.Add(step.at), Duration: step.took, Code: step.code, OK: step.code.OK()}
				due, over := s.next(&r)
				if got := due.Sub(zero); got != step.wantDue || over != step.wantOver {
					t.Errorf("step %d: due %v, over %v; want %v, %v", i, got, over, step.wantDue, step.wantOver)
				}
				if tries++; r.Tries != tries {
					t.Errorf("step %d: %d tries, want %d", i, r.Tries, tries)
				}
				if over {
					tries = 0
				}
			}
		})
	}
}

func TestStartDelaySpreads(t *testing.T) {
	for _, test := range []struct{ interval, bound time.Duration }{
		{time.Minute, time.Second},
		{200 * time.Millisecond, 200 * time.Millisecond},
	} {
		s := schedule{Spec: Spec{Interval: test.interval}}
		var tenths [10]int
		for range 2000 {
			delay := s.startDelay()
			if delay < 0 || delay >= test.bound {
				t.Fatalf("interval %v: start delay %v, want below %v", test.interval, delay, test.bound)
			}
			tenths[delay*10/test.bound]++
		}
		for i, n := range tenths {
			if n < 100 || n > 300 { // 200 expected, seven standard deviations
				t.Errorf("interval %v: %d of 2000 start in tenth %d, want about 200", test.interval, n, i)
			}
		}
	}
}
