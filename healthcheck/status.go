package healthcheck

import (
	"time"

	"github.com/lvsd/lvsd/healthcheck/probe"
)

// Status is where a check stands.
type Status struct {
	Verdict
	// Since is when State became what it is.
	Since time.Time
	// Last is the outcome of the last attempt, and LastFailure that of the last
	// one that failed; the zero Result is none.
	Last, LastFailure probe.Result
	// Weight is the last one that the server told, if any.
	Weight probe.Weight
	// Warning is what is wrong although it does not decide: the last success's,
	// or that of a failure since. A failure without one takes none back, as it
	// need not have come so far.
	Warning string
	// Held is why the verdict stays although the results are against it; empty
	// if it does not.
	Held string
	// Flap is the score of changes at the time of the last result, and whether
	// it keeps the server down.
	Flap FlapScore
	// Successes and Failures count attempts by outcome; Inconclusive counts
	// those that this host could not carry out.
	Successes, Failures, Inconclusive uint64
}

// after is the status of a check after one more attempt. ownFault is why no
// verdict may go down now, or empty.
//
// A result that is not conclusive counts as such and changes nothing else: it
// says nothing about the server.
func (s Status) after(c Check, ownFault string, r probe.Result) Status {
	now := r.At.Add(r.Duration)
	s.Flap = s.Flap.after(c.Flap, now.Sub(s.Last.At.Add(s.Last.Duration)))
	s.Last = r
	if !r.Conclusive() {
		s.Inconclusive++
		return s
	}
	if r.OK {
		s.Successes++
	} else {
		s.Failures++
		s.LastFailure = r
	}
	if r.Weight.Known {
		s.Weight = r.Weight
	}
	if r.OK || r.Warning != "" {
		s.Warning = r.Warning
	}
	from := s.State
	t := Threshold{Rise: c.Rise, Fall: c.Fall, StayUp: ownFault != "", StayDown: s.Flap.Suppressed}
	s.Verdict = t.Next(s.Verdict, r.OK)
	if s.State != from {
		s.Since = now
		if from != Unknown {
			s.Flap = s.Flap.changed(c.Flap, s.Up)
		}
	}
	s.Held = ""
	switch {
	case !t.exceeded(s.Verdict):
	case s.Up:
		s.Held = ownFault
	default:
		s.Held = s.Flap.held(c.Flap, now)
	}
	return s
}

// Needed is how many consecutive results against the verdict change it, if
// nothing holds it; c is the check.
func (s Status) Needed(c Check) int {
	return Threshold{Rise: c.Rise, Fall: c.Fall}.needed(s.Verdict)
}

// changing says that the next results may well change the state, so that it
// pays to ask sooner. They will not while the verdict is held: then asking
// sooner only adds to the load of a host that may be in trouble.
func (s Status) changing() bool {
	return s.State == Unknown || s.Streak > 0 && s.Held == ""
}
