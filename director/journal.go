package director

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// eventsKept is how many events are there to be read again.
const eventsKept = 1000

// journal holds the last events. Its zero value is empty and ready. Its lock is held
// for moments only, and may be taken while any other is held.
type journal struct {
	mu   sync.Mutex
	node string
	// ring has the event with Seq s at (s-1)%eventsKept; last is the last one's.
	ring []Event
	last uint64
	// more is closed when there is another event; nil while nobody waits.
	more chan struct{}
}

// setNode is the name that further events bear.
func (j *journal) setNode(name string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.node = name
}

func (j *journal) add(e Event) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.last++
	e.Seq, e.Node = j.last, j.node
	if e.At.IsZero() {
		e.At = time.Now()
	}
	if e.Severity == "" {
		e.Severity = usualSeverity(e)
	}
	if len(j.ring) < eventsKept {
		j.ring = append(j.ring, e)
	} else {
		j.ring[(e.Seq-1)%eventsKept] = e
	}
	if j.more != nil {
		close(j.more)
		j.more = nil
	}
}

// after are the events with Seq greater than seq that are still there.
func (j *journal) after(seq uint64) []Event {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.copyAfter(seq)
}

// next is after, and, if that is nothing, a channel that is closed when there is more.
func (j *journal) next(seq uint64) ([]Event, <-chan struct{}) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if events := j.copyAfter(seq); len(events) > 0 {
		return events, nil
	}
	if j.more == nil {
		j.more = make(chan struct{})
	}
	return nil, j.more
}

// copyAfter needs j.mu. Who knows a later event than the last one has it from before a
// restart, and has none of these.
func (j *journal) copyAfter(seq uint64) []Event {
	if seq > j.last {
		seq = 0
	}
	oldest := j.last - uint64(len(j.ring)) // the one before
	seq = max(seq, oldest)
	if seq >= j.last {
		return nil
	}
	events := make([]Event, 0, j.last-seq)
	for s := seq + 1; s <= j.last; s++ {
		events = append(events, j.ring[(s-1)%eventsKept])
	}
	return events
}

// usualSeverity is what an event of its kind is unless it is said otherwise.
func usualSeverity(e Event) string {
	switch e.Kind {
	case EventQuorumDown, EventKernelFailed, EventReloadRefused, EventRolledBack:
		return SeverityError
	case EventServerDown, EventInstanceNotice, EventChecksNotice, EventConflict, EventDrift, EventNodeDown, EventNodeDiffers:
		return SeverityWarning
	case EventInstance, EventGroup, EventTracker:
		if e.To == "fault" || e.To == stateDown {
			return SeverityWarning
		}
	default:
	}
	return SeverityInfo
}

// teller is Director.happened.
type teller func(level slog.Level, message string, e Event, arguments ...any)

// happened logs what did and makes an event of it: both have one reason.
func (d *Director) happened(level slog.Level, message string, e Event, arguments ...any) {
	if e.Reason != "" {
		arguments = append(arguments, "reason", e.Reason)
	}
	d.Log.Log(context.Background(), level, message, arguments...)
	d.Record(e)
}

// Record makes an event of what happened: its Seq, At and Severity (unless set) and
// Node are filled in. It does not block.
func (d *Director) Record(e Event) { d.journal.add(e) }

// Events are the last events, at most 1,000, with Seq greater than after, the oldest
// first.
func (d *Director) Events(after uint64) []Event { return d.journal.after(after) }

// FollowEvents hands over the events with Seq greater than after, and then each
// further one, in order, until ctx ends or deliver fails, whose error it returns. A
// reader that is too slow for the last 1,000 misses some, which Seq tells.
func (d *Director) FollowEvents(ctx context.Context, after uint64, deliver func([]Event) error) error {
	for ctx.Err() == nil {
		events, more := d.journal.next(after)
		if len(events) > 0 {
			if err := deliver(events); err != nil {
				return err
			}
			after = events[len(events)-1].Seq
			continue
		}
		select {
		case <-ctx.Done():
		case <-more:
		}
	}
	return context.Cause(ctx)
}
