package healthcheck

import "time"

// Status is where a check stands.
type Status struct {
	Verdict
	// Since is when State became what it is.
	Since time.Time
	// Last is the outcome of the last attempt, and LastFailure that of the last
	// one that failed; the zero Result is none.
	Last, LastFailure Result
	// Successes and Failures count attempts by outcome; Inconclusive counts
	// those that this host could not carry out.
	Successes, Failures, Inconclusive uint64
}

// after is the status after one more attempt.
func (s Status) after(t Threshold, r Result) Status {
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
