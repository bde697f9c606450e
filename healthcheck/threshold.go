package healthcheck

import "fmt"

// State is what is known of a check's target.
type State uint8

// The states.
const (
	Unknown State = iota // no conclusive result yet
	Down
	Up
)

// String is the state as status and logs write it: "unknown", "down", "up".
func (s State) String() string {
	switch s {
	case Unknown:
		return "unknown"
	case Down:
		return "down"
	case Up:
		return "up"
	}
	return fmt.Sprintf("state %d", uint8(s))
}

// MarshalText is String, for JSON.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Verdict is what the results so far amount to. The zero value is down, and
// unknown.
type Verdict struct {
	State State
	// Up is the verdict in force. It equals State == Up, but while State is
	// Unknown it is only assumed.
	Up bool
	// Inherited says that an assumed Up is a predecessor's verdict, who had its
	// reasons, and not merely a hope.
	Inherited bool
	// Streak counts the consecutive results against the verdict in force. One
	// result for it starts the count again.
	Streak int
}

// Threshold decides when results change the verdict.
//
// Rise and Fall dampen changes of a verdict, and at the start there is none:
// the first conclusive result decides. A director takes a working server in at
// once, and throws a dead one out at once that was only hoped to be up. But a
// verdict inherited from a predecessor is one: it falls by Fall failures, so
// that a probe lost in the bustle of a restart does not empty a service.
type Threshold struct {
	// Rise and Fall are the consecutive results that change the verdict, >= 1.
	Rise, Fall int
	// StayUp and StayDown keep the verdict from leaving up, or down, however
	// many results are against it. These count on, so that the first one after
	// that changes it. What was only hoped to be up is no verdict to keep.
	StayUp, StayDown bool
}

// Next is the verdict after one more conclusive result.
func (t Threshold) Next(v Verdict, ok bool) Verdict {
	v.Streak++
	if ok == v.Up {
		v.Streak = 0
	} else if v.Streak >= t.needed(v) && !t.keeps(v) {
		v.Streak, v.Up = 0, ok
	}
	v.State, v.Inherited = Down, false
	if v.Up {
		v.State = Up
	}
	return v
}

// needed is how many consecutive results against v change it.
func (t Threshold) needed(v Verdict) int {
	switch {
	case !v.decided():
		return 1
	case v.Up:
		return t.Fall
	}
	return t.Rise
}

// keeps reports whether v must not change.
func (t Threshold) keeps(v Verdict) bool {
	return v.decided() && (v.Up && t.StayUp || !v.Up && t.StayDown)
}

// exceeded reports whether v stays only because it is kept.
func (t Threshold) exceeded(v Verdict) bool {
	return t.keeps(v) && v.Streak >= t.needed(v)
}

// decided reports whether v is a verdict, be it a predecessor's, and not a mere
// assumption.
func (v Verdict) decided() bool { return v.State != Unknown || v.Up && v.Inherited }
