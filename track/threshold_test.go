package track

import (
	"testing"

	"pgregory.net/rapid"
)

func TestThreshold(t *testing.T) {
	for name, test := range map[string]struct{ results, want string }{
		"one success is enough at start":             {"+", "U"},
		"one failure is enough at start":             {"-", "d"},
		"fall counts":                                {"+---", "UUUd"},
		"rise counts":                                {"-++", "ddU"},
		"a success between failures starts it again": {"+--+--", "UUUUUU"},
		"a failure between successes too":            {"-+-+-", "ddddd"},
	} {
		t.Run(name, func(t *testing.T) {
			verdict, got := threshold{rise: 2, fall: 3}, ""
			for _, result := range test.results {
				got += map[State]string{Up: "U", Down: "d"}[verdict.next(result == '+')]
			}
			if got != test.want {
				t.Errorf("states after %s: %s, want %s", test.results, got, test.want)
			}
		})
	}
}

// The state changes exactly when the last rise or fall results all say so.
func TestThresholdIsItsDefinition(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		verdict := threshold{rise: rapid.IntRange(1, 5).Draw(t, "rise"), fall: rapid.IntRange(1, 5).Draw(t, "fall")}
		state, streak, last := Unknown, 0, false
		for i, ok := range rapid.SliceOf(rapid.Bool()).Draw(t, "results") {
			if i > 0 && ok == last {
				streak++
			} else {
				streak = 1
			}
			last = ok
			switch {
			case ok && (i == 0 || streak >= verdict.rise):
				state = Up
			case !ok && (i == 0 || streak >= verdict.fall):
				state = Down
			}
			if got := verdict.next(ok); got != state {
				t.Fatalf("result %d: %v, want %v", i, got, state)
			}
		}
	})
}
