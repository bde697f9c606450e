package track

import (
	"context"
	"slices"
	"sync"
	"time"
)

const (
	// pollInterval is between two counts without the kernel's events, and
	// safetyInterval with them: they may get lost.
	pollInterval   = time.Second
	safetyInterval = 5 * time.Second
	// recountDelay is from an event to the count, as events come in bursts, and
	// recountInterval at least between two counts.
	recountDelay    = 10 * time.Millisecond
	recountInterval = 200 * time.Millisecond
)

// watcher counts processes for all who want to know. The truth is /proc; the
// kernel's events only say when to look.
type watcher struct {
	// open returns the kernel's events.
	open func() (*connector, error)
	// poll and safety are pollInterval and safetyInterval.
	poll, safety time.Duration
	// wake says that subscribers changed.
	wake chan struct{}

	mu          sync.Mutex
	subscribers map[<-chan count]subscriber
}

type subscriber struct {
	name   string
	counts chan count // holds the latest
}

func newWatcher() *watcher {
	return &watcher{
		open:        openConnector,
		poll:        pollInterval,
		safety:      safetyInterval,
		wake:        make(chan struct{}, 1),
		subscribers: map[<-chan count]subscriber{},
	}
}

// subscribe returns a channel that always holds the latest count not yet taken.
func (w *watcher) subscribe(name string) <-chan count {
	counts := make(chan count, 1)
	w.mu.Lock()
	w.subscribers[counts] = subscriber{name, counts}
	w.mu.Unlock()
	w.rouse()
	return counts
}

func (w *watcher) unsubscribe(counts <-chan count) {
	w.mu.Lock()
	delete(w.subscribers, counts)
	w.mu.Unlock()
	w.rouse()
}

func (w *watcher) rouse() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// run counts while somebody wants to know, until ctx ends.
func (w *watcher) run(ctx context.Context) {
	for ctx.Err() == nil {
		if len(w.names()) > 0 {
			w.watch(ctx)
			continue
		}
		select {
		case <-ctx.Done():
		case <-w.wake:
		}
	}
}

// watch counts until nobody wants to know or ctx ends. Without the right to the
// kernel's events, or outside the first network and process namespaces, it
// polls.
func (w *watcher) watch(ctx context.Context) {
	watch := watch{watcher: w}
	if c, err := w.open(); err == nil {
		defer c.close()
		watch.events = c.events
	}
	for ctx.Err() == nil {
		watch.names = w.names()
		if len(watch.names) == 0 {
			return
		}
		watch.count()
		watch.wait(ctx)
	}
}

// names returns what is asked for, each once.
func (w *watcher) names() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []string
	for _, s := range w.subscribers {
		all = append(all, s.name)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// publish replaces what subscribers have not taken yet.
func (w *watcher) publish(names []string, pids map[string][]int, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.subscribers {
		if !slices.Contains(names, s.name) {
			continue // came during the count: the next is near
		}
		select {
		case <-s.counts:
		default:
		}
		s.counts <- count{pids[s.name], err}
	}
}

// watch is the time during which somebody wants to know.
type watch struct {
	*watcher
	events <-chan event // nil without
	live   bool         // the kernel said that it sends events
	names  []string
	// counted are the processes that count for any name.
	counted map[int]bool
}

func (w *watch) count() {
	pids, err := countProcesses(w.names)
	w.counted = map[int]bool{}
	for _, all := range pids {
		for _, pid := range all {
			w.counted[pid] = true
		}
	}
	w.publish(w.names, pids, err)
}

// wait returns when it is time for the next count.
func (w *watch) wait(ctx context.Context) {
	counted := time.Now()
	interval := w.poll
	if w.live {
		interval = w.safety
	}
	timer := time.NewTimer(interval)
	defer timer.Stop()
	for soon := false; ; {
		select {
		case <-ctx.Done():
			return
		case <-w.wake:
			return
		case <-timer.C:
			return
		case e, ok := <-w.events:
			if !ok {
				w.events, w.live = nil, false
				return
			}
			if !soon && w.matters(e) {
				soon = true
				timer.Reset(max(recountDelay, time.Until(counted.Add(recountInterval))))
			}
		}
	}
}

// matters reports whether the event may change a count. It is asked for every
// process of the host that starts or ends, so it does not count.
func (w *watch) matters(e event) bool {
	switch e.kind {
	case eventListening:
		w.live = true
		return true
	case eventLost:
		return true
	case eventFork:
		return w.counted[e.parent]
	case eventExit:
		// The end of a thread is not that of its process.
		return w.counted[e.process] && (e.leader || len(matching(e.process, w.names)) == 0)
	case eventChange:
		return w.counted[e.process] || len(matching(e.process, w.names)) > 0
	}
	return false
}
