package track

import "fmt"

// threshold makes a state of results: the first decides, then rise successes or
// fall failures in a row change it.
type threshold struct {
	rise, fall int
	state      State
	against    int // results in a row that contradict state
}

// next is the state after one more result.
func (t *threshold) next(ok bool) State {
	says := Down
	if ok {
		says = Up
	}
	t.against++
	if says == t.state {
		t.against = 0
	} else if t.state == Unknown || t.against >= t.needed() {
		t.state, t.against = says, 0
	}
	return t.state
}

// needed is how many results in a row change the state.
func (t *threshold) needed() int {
	if t.state == Up {
		return t.fall
	}
	return t.rise
}

// pending says how far a change of state has come, or nothing.
func (t *threshold) pending() string {
	switch {
	case t.against == 0:
		return ""
	case t.state == Up:
		return fmt.Sprintf(" (failure %d of %d)", t.against, t.fall)
	}
	return fmt.Sprintf(" (success %d of %d)", t.against, t.rise)
}
