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

// after is the status after one more attempt.
func (s Status) after(t Threshold, r probe.Result) Status {
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
	from := s.State
	s.Verdict = t.Next(s.Verdict, r.OK)
	if s.State != from {
		s.Since = r.At.Add(r.Duration)
	}
	return s
}

// FlapScore is how much the verdict changed lately.
type FlapScore struct {
	Score float64
	// Suppressed says that the server stays down because of it.
	Suppressed bool
}
