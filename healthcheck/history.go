package healthcheck

import (
	"math"
	"time"
	"unique"

	"github.com/lvsd/lvsd/healthcheck/probe"
)

// history is the last HistoryLength results of a check, in 24 bytes each. The
// zero value and nil have none.
type history struct {
	// kept grows up to HistoryLength; then oldest is the place of the oldest,
	// which the next result takes.
	kept   []past
	oldest int
}

// past is one result of a history. Results differ mostly in when they were, so
// that what was found is shared with all results that found the same.
type past struct {
	found unique.Handle[probe.Result] // without what follows, and no transcript
	at    int64                       // nanoseconds since 1970
	took  uint32                      // microseconds
	tries uint32
}

// add adds a result, in place of the oldest if the history is full.
func (h *history) add(r probe.Result) {
	p := past{
		at:    r.At.UnixNano(),
		took:  uint32(min(max(0, r.Duration.Microseconds()), math.MaxUint32)),
		tries: uint32(r.Tries),
	}
	r.At, r.Duration, r.Tries, r.Transcript = time.Time{}, 0, 0, ""
	p.found = h.intern(r)
	if len(h.kept) < HistoryLength {
		h.grow()
		h.kept = append(h.kept, p)
		return
	}
	h.kept[h.oldest] = p
	h.oldest = (h.oldest + 1) % HistoryLength
}

// intern makes the handle of what was found, most often that of the last
// result again.
func (h *history) intern(r probe.Result) unique.Handle[probe.Result] {
	if n := len(h.kept); n > 0 {
		if last := h.kept[(h.oldest+n-1)%n].found; last.Value() == r {
			return last
		}
	}
	return unique.Make(r)
}

// grow makes room for one more: append's own growth would not stop at
// HistoryLength.
func (h *history) grow() {
	if n := len(h.kept); n == cap(h.kept) {
		grown := make([]past, n, min(max(4, 2*n), HistoryLength))
		copy(grown, h.kept)
		h.kept = grown
	}
}

// results are the results, the oldest first, without transcripts and with
// durations in whole microseconds.
func (h *history) results() []probe.Result {
	if h == nil || len(h.kept) == 0 {
		return nil
	}
	results := make([]probe.Result, 0, len(h.kept))
	for i := range h.kept {
		p := h.kept[(h.oldest+i)%len(h.kept)]
		r := p.found.Value()
		r.At, r.Duration = time.Unix(0, p.at), time.Duration(p.took)*time.Microsecond
		r.Tries = int(p.tries)
		results = append(results, r)
	}
	return results
}
