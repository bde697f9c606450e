package alert

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/lvsd/lvsd/director"
)

const (
	// maxWaiting is how many events wait for one outlet; of more, the oldest go.
	maxWaiting = 1000
	// maxAge is how long an event waits for an outlet that does not work.
	maxAge = 24 * time.Hour
	// sendTime bounds one attempt.
	sendTime = 30 * time.Second
	// firstRetry is the pause after the first failure; it doubles up to maxRetry.
	firstRetry, maxRetry = 2 * time.Second, 5 * time.Minute
)

// batch is what is told at a time.
type batch struct {
	// Events are at least one, the oldest first.
	Events []director.Event
	// LeftOut is how many earlier ones did not fit.
	LeftOut int
}

// sendFunc tells of a batch. An error that is a refusal is final; after any other it
// is tried again.
type sendFunc func(context.Context, batch) error

// refusal is the error of who will not have a batch however often it is asked.
type refusal struct{ error }

func (r refusal) Unwrap() error { return r.error }

// later is the error of who wants to be asked again not before some time.
type later struct {
	error
	after time.Duration
}

func (l later) Unwrap() error { return l.error }

// terms are what an outlet is told of, and how often.
type terms struct {
	events  []string
	digest  time.Duration
	perHour int
}

// outlet is somebody who is told of events. They are gathered while they wait: for
// the end of a digest, for the limit of an hour, or for a server that works again.
type outlet struct {
	kind, name string
	terms      terms
	send       sendFunc
	log        *slog.Logger
	// wake tells run that the first event has come.
	wake chan struct{}
	// pace, retry and failures are run's own: when sent, when to try again, and how
	// often it has failed in a row.
	pace     pace
	retry    time.Time
	failures int

	mu      sync.Mutex
	waiting batch
	// since is when the first of waiting came; zero if there is none.
	since time.Time
}

func newOutlet(kind, name string, t terms, send sendFunc, log *slog.Logger) *outlet {
	if len(t.events) == 0 {
		t.events = DefaultAlerts()
	}
	return &outlet{
		kind: kind, name: name, terms: t, send: send, log: log,
		wake: make(chan struct{}, 1), pace: pace{most: t.perHour},
	}
}

// add has the event wait, if it is to be told of. It does not block.
func (o *outlet) add(e director.Event) {
	if !matches(o.terms.events, e.Kind) {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.waiting.add(e)
	if o.since.IsZero() {
		o.since = time.Now()
	}
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

func (b *batch) add(events ...director.Event) {
	b.Events = append(b.Events, events...)
	if over := len(b.Events) - maxWaiting; over > 0 {
		b.Events = append([]director.Event(nil), b.Events[over:]...)
		b.LeftOut += over
	}
}

// run tells of events until ctx ends, and then once more, at once, while words lasts.
func (o *outlet) run(ctx, words context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-o.wake:
		case <-timer.C:
		}
		due, some := o.due(time.Now())
		if some && !due.After(time.Now()) && ctx.Err() == nil {
			o.tell(words)
			due, some = o.due(time.Now())
		}
		if some {
			timer.Reset(max(time.Until(due), 0))
		}
	}
	if next := o.pace.next(time.Now()); !next.After(time.Now()) {
		o.tell(words)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if count := len(o.waiting.Events) + o.waiting.LeftOut; count > 0 {
		o.log.Error("events not told of yet: they are after a reload, and lost at a stop", "by", o.kind, "to", o.name, "count", count)
	}
}

// left is what is waiting, when run has ended.
func (o *outlet) left() batch {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.waiting
}

// takeOn has what another outlet left wait here. It is for before run.
func (o *outlet) takeOn(b batch) {
	if len(b.Events) == 0 {
		return
	}
	o.putBack(b, time.Now())
	o.wake <- struct{}{}
}

// due is when to tell of what is waiting, if there is something.
func (o *outlet) due(now time.Time) (time.Time, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	due := o.since.Add(o.terms.digest)
	for _, other := range []time.Time{o.retry, o.pace.next(now)} {
		if other.After(due) {
			due = other
		}
	}
	return due, len(o.waiting.Events) > 0
}

// tell tells of all that is waiting.
func (o *outlet) tell(ctx context.Context) {
	o.mu.Lock()
	b, since := o.waiting, o.since
	o.waiting, o.since = batch{}, time.Time{}
	o.mu.Unlock()
	if len(b.Events) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, sendTime)
	defer cancel()
	err := o.send(ctx, b)
	now := time.Now()
	whose := []any{"by", o.kind, "to", o.name, "events", len(b.Events)}
	var refused refusal
	switch {
	case err == nil:
		if o.failures > 0 {
			o.log.Info("events told of at last", whose...)
		}
		o.pace.sent(now)
		o.failures, o.retry = 0, time.Time{}
	case errors.As(err, &refused):
		o.log.Error("events refused, nobody is told of them", append(whose, "err", err)...)
		// A refusal counts for the limit: it cost the server as much.
		o.pace.sent(now)
		o.failures, o.retry = 0, time.Time{}
	default:
		if o.failures == 0 {
			o.log.Warn("events cannot be told of, trying again", append(whose, "err", err)...)
		}
		o.failed(now, err)
		if old := b.dropOld(now); old > 0 {
			o.log.Error("events not told of for a day, given up", "by", o.kind, "to", o.name, "events", old, "err", err)
		}
		if len(b.Events) > 0 {
			o.putBack(b, since)
		}
	}
}

// dropOld drops the events that have waited too long, and returns how many.
func (b *batch) dropOld(now time.Time) int {
	young := slices.IndexFunc(b.Events, func(e director.Event) bool { return now.Sub(e.At) < maxAge })
	if young < 0 {
		young = len(b.Events)
	}
	b.Events = b.Events[young:]
	return young
}

// failed puts the next attempt off, for longer each time.
func (o *outlet) failed(now time.Time, err error) {
	delay := firstRetry << min(o.failures, 16)
	o.failures++
	delay = min(delay, maxRetry)
	var wanted later
	if errors.As(err, &wanted) {
		delay = min(max(delay, wanted.after), time.Hour)
	}
	o.retry = now.Add(delay)
}

// putBack has a batch wait again, before what came meanwhile.
func (o *outlet) putBack(b batch, since time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	b.LeftOut += o.waiting.LeftOut
	b.add(o.waiting.Events...)
	o.waiting, o.since = b, since
}

// pace keeps what is sent within a limit for each hour.
type pace struct {
	most int
	// times are when the last ones were sent, the oldest first, most at most.
	times []time.Time
}

// next is when the next may be sent.
func (p *pace) next(now time.Time) time.Time {
	if p.most <= 0 || len(p.times) < p.most {
		return now
	}
	return p.times[0].Add(time.Hour)
}

func (p *pace) sent(now time.Time) {
	p.times = append(p.times, now)
	if over := len(p.times) - max(p.most, 1); over > 0 {
		p.times = p.times[over:]
	}
}
