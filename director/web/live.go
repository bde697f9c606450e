package web

import (
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/lvsd/lvsd/director"
	"github.com/lvsd/lvsd/director/control"
)

const (
	// queueLimit is how many rounds a browser may be behind before its stream is
	// ended; it begins anew then, with all as it is.
	queueLimit = 16
	// askEvery is how often the source is asked, at most and without an event;
	// soon is how soon it may be asked again because of one.
	askEvery = time.Second
	soon     = 100 * time.Millisecond
	// askShare bounds what asking takes of a processor: to one in so many.
	askShare = 10
	// eventsKept are told to a new browser.
	eventsKept = 200
)

// message is one server-sent event, as it goes out.
type message []byte

// newMessage frames the value. JSON has no line breaks, so that it is one line.
func newMessage(kind string, value any) message {
	text, err := json.Marshal(value)
	if err != nil { // only a value that JSON has no form for
		text, _ = json.Marshal(map[string]string{"error": err.Error()})
	}
	m := make(message, 0, len(kind)+len(text)+len("event: \ndata: \n\n"))
	m = append(m, "event: "...)
	m = append(m, kind...)
	m = append(m, "\ndata: "...)
	m = append(m, text...)
	return append(m, "\n\n"...)
}

// live tells all browsers what changes. It asks the source once for all of them, and
// not at all while there is none.
type live struct {
	source control.Source
	log    *slog.Logger
	// wake makes it ask before its time.
	wake chan struct{}

	mu        sync.Mutex
	listeners map[*listener]struct{}
	events    []director.Event
}

// listener is one browser.
type listener struct {
	// rounds are the messages that it is to get. It is closed when the browser is
	// too far behind, and when all ends.
	rounds chan []message
	// fresh tells that it has been told nothing yet, seen is the last event that it
	// was told; both belong to live.
	fresh bool
	seen  uint64
}

func (l *live) init(source control.Source, log *slog.Logger) {
	l.source, l.log = source, log
	l.wake = make(chan struct{}, 1)
	l.listeners = map[*listener]struct{}{}
}

// join adds a browser.
func (l *live) join() *listener {
	l.mu.Lock()
	defer l.mu.Unlock()
	one := &listener{rounds: make(chan []message, queueLimit), fresh: true}
	l.listeners[one] = struct{}{}
	l.hurry()
	return one
}

// leave removes a browser.
func (l *live) leave(one *listener) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.drop(one)
}

// drop needs l.mu.
func (l *live) drop(one *listener) {
	if _, there := l.listeners[one]; there {
		delete(l.listeners, one)
		close(one.rounds)
	}
}

// hurry has the source asked soon.
func (l *live) hurry() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// run tells until ctx ends.
func (l *live) run(ctx context.Context) {
	var following sync.WaitGroup
	defer following.Wait()
	following.Go(func() { l.follow(ctx) })
	defer l.end()
	var told *view // nil while nobody looks
	for {
		began := time.Now()
		if l.idle() {
			told = nil
			select {
			case <-ctx.Done():
				return
			case <-l.wake:
				continue
			}
		}
		if told == nil {
			told = newView()
		}
		l.tell(ctx, told)
		took := time.Since(began)
		if !rest(ctx, max(soon, 2*took), nil) || !rest(ctx, max(askEvery, askShare*took)-soon, l.wake) {
			return
		}
	}
}

// rest waits, less long when woken. It reports false when ctx ends.
func rest(ctx context.Context, pause time.Duration, wake <-chan struct{}) bool {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
	case <-wake:
	}
	return true
}

func (l *live) idle() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.listeners) == 0
}

// end ends all streams.
func (l *live) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for one := range l.listeners {
		l.drop(one)
	}
}

// follow keeps the last events.
func (l *live) follow(ctx context.Context) {
	err := l.source.FollowEvents(ctx, 0, func(events []director.Event) error {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.events = append(l.events, events...)
		if surplus := len(l.events) - eventsKept; surplus > 0 {
			l.events = slices.Delete(l.events, 0, surplus)
		}
		l.hurry()
		return nil
	})
	if ctx.Err() == nil {
		l.log.Error("the page is not told of events any more", "err", err)
	}
}

// tell asks the source and tells each browser what it does not know.
func (l *live) tell(ctx context.Context, told *view) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	traffic, err := l.source.Traffic(ctx)
	news := told.update(l.source.Status(), traffic, err, time.Now())
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []message // the same for all fresh ones
	for one := range l.listeners {
		round := news
		if one.fresh {
			if all == nil {
				all = told.all()
			}
			round = all
		}
		if m := l.eventsFor(one); m != nil {
			round = append(slices.Clip(round), m)
		}
		one.fresh = false
		if len(round) == 0 {
			continue
		}
		select {
		case one.rounds <- round:
		default:
			l.drop(one)
		}
	}
}

// eventsFor are those that the browser has not seen; nil if there are none. A fresh
// one is told of none too, to forget those of another daemon. It needs l.mu.
func (l *live) eventsFor(one *listener) message {
	from := slices.IndexFunc(l.events, func(e director.Event) bool { return e.Seq > one.seen })
	if from < 0 && !one.fresh {
		return nil
	}
	events := []director.Event{}
	if from >= 0 {
		events = l.events[from:]
		one.seen = events[len(events)-1].Seq
	}
	return newMessage("events", struct {
		// All tells to forget those told before.
		All    bool             `json:"all,omitempty"`
		Events []director.Event `json:"events"`
	}{one.fresh, events})
}
