package healthcheck

import (
	"math/rand/v2"
	"time"

	"github.com/lvsd/lvsd/healthcheck/probe"
)

// maxStartDelay bounds how long a new check waits for its first probe unless
// its Warmup says otherwise.
const maxStartDelay = time.Second

// schedule says when a check is due. It has no clock and no timer: whoever
// waits asks it. An attempt is a probe and its retries, and it has one outcome.
//
// Attempts are due on a grid of the check's own, a whole number of intervals
// from each other, whenever the probes really begin: what delays one does not
// delay the next, and thousands of checks remain spread as they were at the
// start.
type schedule struct {
	due   time.Time // on the grid: when the attempt should begin, or should have
	began time.Time // when it did
	tries int       // made in it
}

// start is when the first probe of a check that starts now is due: at random
// within its Warmup, so that checks which start together do not ask together. A
// Warmup shorter than the Interval leaves them together in a small part of it,
// so the second attempt follows the first by a random part of the Interval, and
// only then the grid runs.
func (s *schedule) start(c Check, now time.Time) time.Time {
	warmup := c.FirstWithin()
	first := now.Add(rand.N(warmup))
	s.due = first
	if warmup < c.Interval {
		s.due = first.Add(-rand.N(c.Interval))
	}
	return first
}

// tried takes the result of the probe that just ended and says whether the
// attempt is over: then r, with its tries, is the outcome. If it is not, again
// is when the next try is due, RetryDelay after the end of this one.
//
// A success ends the attempt, and so does a result that is not conclusive: what
// this host lacks, trying harder does not provide. L4CON does as well, without
// retries: somebody answered at once that nobody listens there or that there is
// no way to it. The retries are for what may have been lost; against an answer
// that is wrong for a moment, such as during a restart, Fall is the remedy.
func (s *schedule) tried(c Check, r *probe.Result) (again time.Time, over bool) {
	if s.tries == 0 {
		s.began = r.At
	}
	s.tries++
	r.Tries = s.tries
	if r.OK || !r.Conclusive() || r.Code == probe.L4CON || s.tries > c.Retries {
		s.tries = 0
		return time.Time{}, true
	}
	return r.At.Add(r.Duration + c.RetryDelay), false
}

// next is when the next attempt is due, once one is over that ended then. While
// the state is changing (see Status.changing), FastInterval is in place of
// Interval.
//
// An attempt that began late, because the host was busy, does not make up for
// those that were missed meanwhile. One that takes longer than to the next
// point of the grid is followed at once, and the grid begins anew there.
func (s *schedule) next(c Check, changing bool, ended time.Time) time.Time {
	interval := c.Interval
	if changing && c.FastInterval > 0 {
		interval = c.FastInterval
	}
	if early := s.due.Sub(s.began); early > 0 {
		// It was asked for beforehand: the grid stays.
		if fast := ended.Add(interval); fast.Before(s.due) {
			s.due = fast
		}
		return s.due
	}
	missed := max(0, s.began.Sub(s.due)) / interval
	s.due = s.due.Add((missed + 1) * interval)
	if s.due.Before(ended) {
		s.due = ended
	}
	return s.due
}
