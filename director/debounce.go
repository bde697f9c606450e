package director

import (
	"time"

	"github.com/lvsd/lvsd/track"
)

// finding is what a tracker or a link is found to be.
type finding struct {
	State track.State
	// Value is the number in a file.
	Value int
	// Reason is in words.
	Reason string
}

// debounced is a finding that another one replaces only if it lasts. What is
// known stands until something else is: to have no answer, after a reload for
// instance, changes nothing.
type debounced struct {
	finding
	since time.Time
	// differs is since when another state is found; zero if none is.
	differs time.Time
}

// delays are how long another state must last before it counts.
type delays struct{ down, up time.Duration }

// take enters what is found now. It returns when the change counts that is not
// old enough yet; zero if there is none.
func (b *debounced) take(f finding, d delays, now time.Time) (due time.Time) {
	known := b.State != track.Unknown
	if known && f.State == track.Unknown {
		b.differs = time.Time{}
		return due
	}
	if known && f.State != b.State {
		if b.differs.IsZero() {
			b.differs = now
		}
		if due = b.differs.Add(d.of(f.State)); now.Before(due) {
			return due
		}
	}
	if f.State != b.State || f.Value != b.Value || b.since.IsZero() {
		b.since = now
	}
	b.finding, b.differs = f, time.Time{}
	return time.Time{}
}

func (d delays) of(s track.State) time.Duration {
	if s == track.Down {
		return d.down
	}
	return d.up
}

// sooner is the first of two times of which a zero one is never.
func sooner(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
