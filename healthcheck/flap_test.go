package healthcheck

import (
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/lvsd/lvsd/healthcheck/probe"
)

// outcomes is the status after results a second apart, + success, - failure,
// with a pause where there is a dot; and the verdict after each: U up, d down, s
// down and suppressed.
func outcomes(c Check, pause time.Duration, results string) (string, Status) {
	var s Status
	var verdicts strings.Builder
	at := newYear
	for _, r := range results {
		if r == '.' {
			at = at.Add(pause)
			continue
		}
		result := probe.Result{At: at, Code: probe.L4CON}
		if r == '+' {
			result.OK, result.Code = true, probe.L4OK
		}
		s = s.after(c, "", result)
		verdict := byte('d')
		if s.Up {
			verdict = 'U'
		} else if s.Flap.Suppressed {
			verdict = 's'
		}
		verdicts.WriteByte(verdict)
		at = at.Add(time.Second)
	}
	return verdicts.String(), s
}

func TestFlap(t *testing.T) {
	for name, test := range map[string]struct {
		limit, rise   int
		pause         time.Duration
		results, want string
		score         float64
	}{
		"a first verdict is no change":           {3, 1, 0, "++", "UU", 0},
		"a first failure is none either":         {3, 1, 0, "--", "dd", 0},
		"each change adds one":                   {9, 1, 0, "+-+-", "UdUd", 3},
		"at the limit it stays down":             {2, 1, 0, "+-+-+++", "UdUssss", 3},
		"at a limit of one it may not fall once": {1, 1, 0, "+-++", "Usss", 1},
		"reached by an up, it waits for a down":  {3, 1, 0, "+-+-++--", "UdUdUUss", 5},
		"failures do not add to it":              {2, 1, 0, "+-+-----", "UdUsssss", 3},
		"without a limit it is only counted":     {0, 1, 0, "+-+-+-+", "UdUdUdU", 6},
		"it halves in a half-life":               {9, 1, time.Hour, "+-+-.-", "UdUdd", 1.5},
		"just above half the limit it stays":     {2, 1, 94 * time.Minute, "+-+-+.+", "UdUsss", 1},
		"below half the limit it goes up":        {2, 1, 97 * time.Minute, "+-+-+.+", "UdUssU", 2},
		"a failure then leaves it down":          {2, 1, 97 * time.Minute, "+-+-+.-+", "UdUssdU", 2},
		"successes count while it is suppressed": {2, 3, 97 * time.Minute, "+-+++-++.+", "UdddUsssU", 2},
		"so does what is against them":           {2, 3, 97 * time.Minute, "+-+++-+-.+", "UdddUsssd", 1},
	} {
		t.Run(name, func(t *testing.T) {
			check := Check{Rise: test.rise, Fall: 1, Flap: Flap{Limit: test.limit, HalfLife: time.Hour}}
			got, s := outcomes(check, test.pause, test.results)
			if got != test.want {
				t.Errorf("verdicts %s, want %s", got, test.want)
			}
			if math.Abs(s.Flap.Score-test.score) > 0.03 {
				t.Errorf("score %v, want about %v", s.Flap.Score, test.score)
			}
		})
	}
}

func TestFlapHeld(t *testing.T) {
	check := Check{Rise: 2, Fall: 1, Flap: Flap{Limit: 2, HalfLife: time.Hour}}
	if _, s := outcomes(check, 0, "+-++-+"); s.Held != "" {
		t.Errorf("held %q with one success, want it only when nothing else keeps the server down", s.Held)
	}
	want := "flapping: the score is 3.0, it stays down until that is below 1.0 at 01:35:08"
	if _, s := outcomes(check, 0, "+-++-++"); s.Held != want {
		t.Errorf("held %q\nwant %q", s.Held, want)
	}
	if _, s := outcomes(check, 0, "+-++-++-"); s.Held != "" {
		t.Errorf("held %q after a failure, want nothing", s.Held)
	}
}

func TestFlapHalfLife(t *testing.T) {
	if got := (FlapScore{Score: 4}).after(Flap{}, DefaultHalfLife).Score; got != 2 {
		t.Errorf("4 after the default half-life is %v, want 2", got)
	}
	if got := (FlapScore{Score: 4}).after(Flap{HalfLife: time.Second}, -time.Second).Score; got != 4 {
		t.Errorf("4 after a clock that went backwards is %v, want 4", got)
	}
}

// Whatever happens, the score is that of the definition: the sum of what is left
// of each change. Suppression begins only with a fall at the limit, and ends
// when it says that it does.
func TestFlapIsItsDefinition(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		flap := Flap{
			Limit:    rapid.IntRange(0, 6).Draw(t, "limit"),
			HalfLife: time.Duration(rapid.IntRange(0, 100).Draw(t, "half-life")) * time.Second,
		}
		check := Check{Rise: rapid.IntRange(1, 3).Draw(t, "rise"), Fall: rapid.IntRange(1, 3).Draw(t, "fall"), Flap: flap}
		var s Status
		var changes []time.Time
		at := newYear
		for range rapid.IntRange(0, 40).Draw(t, "results") {
			at = at.Add(time.Duration(rapid.IntRange(1, 60_000).Draw(t, "pause")) * time.Millisecond)
			result := probe.Result{At: at, Code: rapid.SampledFrom([]probe.Code{probe.L4OK, probe.L4TOUT, probe.SOCKERR}).Draw(t, "code")}
			result.OK = result.Code.OK()
			before := s
			s = s.after(check, "", result)
			if before.State != Unknown && s.State != before.State {
				changes = append(changes, at)
			}
			want := 0.0
			for _, change := range changes {
				want += math.Exp2(-at.Sub(change).Seconds() / flap.halfLife().Seconds())
			}
			limit := float64(flap.Limit)
			switch {
			case math.Abs(s.Flap.Score-want) > 1e-6:
				t.Fatalf("score %v, want %v", s.Flap.Score, want)
			case s.Flap.Suppressed && (s.Up || flap.Limit == 0 || s.Flap.Score < limit/2):
				t.Fatalf("%+v suppressed while up is %v", s.Flap, s.Up)
			case before.Up && !s.Up && s.Flap.Suppressed != (limit > 0 && s.Flap.Score >= limit && before.State == Up):
				t.Fatalf("fell with %+v at the limit of %v", s.Flap, limit)
			case before.Flap.Suppressed && s.Up && s.Flap.Score-1 >= limit/2:
				t.Fatalf("went up with a score of %v before", s.Flap.Score-1)
			}
			remaining := s.Flap.remaining(flap)
			if remaining > 3*flap.halfLife() || s.Flap.after(flap, remaining+time.Second).Suppressed {
				t.Fatalf("%+v stays suppressed for more than %v", s.Flap, remaining)
			}
			if remaining > time.Second && !s.Flap.after(flap, remaining-time.Second).Suppressed {
				t.Fatalf("%+v stays suppressed for less than %v", s.Flap, remaining)
			}
		}
	})
}
