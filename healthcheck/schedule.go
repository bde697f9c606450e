package healthcheck

import (
	"math/rand/v2"
	"time"

	"github.com/lvsd/lvsd/healthcheck/probe"
)

// maxStartDelay bounds how long a new check waits for its first probe.
const maxStartDelay = time.Second

// schedule says when a check is due. It has no clock and no timer: whoever
// waits asks it. An attempt is a probe and its retries.
type schedule struct {
	Check
	began time.Time // of the attempt that is going on
	tries int       // made in it
}

// startDelay spreads the first probes of checks that start together, at random
// over an interval or maxStartDelay, whichever is shorter.
func (s *schedule) startDelay() time.Duration {
	return rand.N(min(s.Interval, maxStartDelay))
}

// next takes the result of the probe that just ended. It returns when the next
// one is due, and whether the attempt is over: then r, with its tries, is its
// outcome. A result that is not conclusive ends the attempt: what this host
// lacks, trying harder does not provide.
func (s *schedule) next(r *probe.Result) (due time.Time, over bool) {
	if s.tries == 0 {
		s.began = r.At
	}
	s.tries++
	r.Tries = s.tries
	ended := r.At.Add(r.Duration)
	if !r.OK && r.Conclusive() && s.tries <= s.Retries {
		return ended.Add(s.RetryDelay), false
	}
	s.tries = 0
	due = s.began.Add(s.Interval)
	if due.Before(ended) {
		due = ended
	}
	return due, true
}
