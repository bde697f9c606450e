package healthcheck

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestThreshold(t *testing.T) {
	hoped := Verdict{Up: true}
	inherited := Verdict{Up: true, Inherited: true}
	for name, test := range map[string]struct {
		start   Verdict
		results string // + success, - failure; k verdicts are kept from then on, f they are free
		want    string // verdict in force after each result: U up, d down
	}{
		"one success is enough at start":                      {Verdict{}, "+", "U"},
		"one failure is enough at start":                      {hoped, "-", "d"},
		"a first failure leaves down what is down":            {Verdict{}, "-", "d"},
		"after a first failure rise counts":                   {Verdict{}, "-++", "ddU"},
		"fall counts":                                         {Verdict{}, "+---", "UUUd"},
		"rise counts":                                         {Verdict{}, "+---+++", "UUUddUU"},
		"a success between failures starts the count again":   {Verdict{}, "+--+--+--", "UUUUUUUUU"},
		"a failure between successes starts the count again":  {Verdict{}, "-+-+-+-", "ddddddd"},
		"an inherited up falls as any other":                  {inherited, "---", "UUd"},
		"an inherited up is forgotten after the first result": {inherited, "---++", "UUddU"},
		"an inherited down needs one success":                 {Verdict{Inherited: true}, "+", "U"},
		"an inherited down that fails needs rise":             {Verdict{Inherited: true}, "-++", "ddU"},
		"an up that is kept falls not":                        {Verdict{}, "+k-----", "UUUUUU"},
		"after that its next failure counts":                  {Verdict{}, "+k---f-", "UUUUd"},
		"and its next success starts the count again":         {Verdict{}, "+k---f+--", "UUUUUUU"},
		"a down that is kept rises not":                       {Verdict{}, "-k+++", "dddd"},
		"after that its next success counts":                  {Verdict{}, "-k++f+", "dddU"},
		"an inherited up is kept":                             {inherited, "k----", "UUUU"},
		"a mere hope is not kept":                             {hoped, "k-", "d"},
		"nor is a mere assumption":                            {Verdict{}, "k+", "U"},
	} {
		t.Run(name, func(t *testing.T) {
			v, got := test.start, ""
			threshold := Threshold{Rise: 2, Fall: 3}
			for _, r := range test.results {
				if r == 'k' || r == 'f' {
					threshold.StayUp, threshold.StayDown = r == 'k', r == 'k'
					continue
				}
				v = threshold.Next(v, r == '+')
				got += map[bool]string{true: "U", false: "d"}[v.Up]
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("verdicts after %s (-want +got):\n%s", test.results, diff)
			}
		})
	}
}

// A dumb model that keeps the whole history and reads the verdict off its end.
func TestThresholdIsItsDefinition(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		threshold := Threshold{
			Rise: rapid.IntRange(1, 5).Draw(t, "rise"),
			Fall: rapid.IntRange(1, 5).Draw(t, "fall"),
		}
		v := Verdict{Up: rapid.Bool().Draw(t, "up"), Inherited: rapid.Bool().Draw(t, "inherited")}
		up, decided := v.Up, v.Up && v.Inherited
		var history []bool // since the verdict last changed
		for _, ok := range rapid.SliceOf(rapid.Bool()).Draw(t, "results") {
			history = append(history, ok)
			need := map[bool]int{true: threshold.Fall, false: threshold.Rise}[up]
			if !decided {
				need, decided = 1, true
			}
			if against := tail(history, !up); against >= need {
				up, history = !up, nil
			}
			v = threshold.Next(v, ok)
			want := Verdict{State: map[bool]State{true: Up, false: Down}[up], Up: up, Streak: tail(history, !up)}
			if diff := cmp.Diff(want, v); diff != "" {
				t.Fatalf("after %v (-want +got):\n%s", ok, diff)
			}
		}
	})
}

// tail counts how many results at the end of history are ok.
func tail(history []bool, ok bool) int {
	n := 0
	for i := len(history) - 1; i >= 0 && history[i] == ok; i-- {
		n++
	}
	return n
}

func TestStateText(t *testing.T) {
	for state, want := range map[State]string{Unknown: "unknown", Down: "down", Up: "up", 9: "state 9"} {
		if got, _ := state.MarshalText(); string(got) != want {
			t.Errorf("state %d is %q, want %q", uint8(state), got, want)
		}
	}
}
