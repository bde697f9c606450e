package track

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"time"
)

// Set keeps one tracker going for each Spec. Its methods may be called from any
// goroutine, and from observe.
type Set struct {
	observe func(Change)
	// execute runs a script once.
	execute   func(context.Context, Spec) outcome
	processes *watcher
	running   sync.WaitGroup

	// mu guards what follows. It is not held while observe runs.
	mu       sync.Mutex
	ctx      context.Context // of Run; nil before
	over     bool            // Run only waits now: no tracker may start
	trackers map[string]*tracker
	// unanswered counts the trackers that are Unknown; answered is closed while
	// there are none.
	unanswered int
	answered   chan struct{}
}

// tracker is one Spec of a Set. Once removed, it is no longer in the map and
// what it finds is dropped.
type tracker struct {
	spec   Spec
	status Status
	stop   context.CancelFunc // nil until it is started
	ended  chan struct{}      // closed when it has ended; nil until it is started
}

// found is what a tracker sees at one moment.
type found struct {
	state  State
	value  int
	reason string
}

// NewSet returns a Set without trackers. When a tracker's State or Value
// changes, observe is called in the goroutine of that tracker, after All shows
// the change; a Reason alone is no change. It must not block, as the tracker
// waits for it. Changes of one tracker come in order; one that was under way
// when Update removed its tracker may still come.
func NewSet(observe func(Change)) *Set {
	s := &Set{
		observe:   observe,
		execute:   execute,
		processes: newWatcher(),
		trackers:  map[string]*tracker{},
		answered:  make(chan struct{}),
	}
	close(s.answered)
	return s
}

// Run runs the trackers until ctx ends, and returns nil when the last script is
// over; those that run are killed, which takes at most two seconds. A Set runs
// once: the error is that of a second call.
func (s *Set) Run(ctx context.Context) error {
	if err := s.begin(ctx); err != nil {
		return err
	}
	<-ctx.Done()
	s.mu.Lock()
	s.over = true
	s.mu.Unlock()
	s.running.Wait()
	return nil
}

func (s *Set) begin(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx != nil {
		return errors.New("trackers: already run")
	}
	s.ctx = ctx
	s.running.Go(func() { s.processes.run(ctx) })
	for _, t := range s.trackers {
		s.start(t, nil)
	}
	return nil
}

// Update makes specs the trackers of the set. One that was there and is equal
// goes on with its state and schedule; one that differs starts anew, when its
// predecessor has ended; one that is missing is stopped. If a spec is not valid,
// or two have one name, nothing changes and the error names all.
func (s *Set) Update(specs []Spec) error {
	want, err := byName(specs)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	predecessors := map[string]<-chan struct{}{}
	for name, t := range s.trackers {
		if spec, ok := want[name]; !ok || !reflect.DeepEqual(spec, t.spec) {
			predecessors[name] = t.ended
			s.remove(name, t)
		}
	}
	for name, spec := range want {
		if s.trackers[name] == nil {
			s.add(spec, predecessors[name])
		}
	}
	return nil
}

func byName(specs []Spec) (map[string]Spec, error) {
	all := make(map[string]Spec, len(specs))
	var errs []error
	for _, spec := range specs {
		errs = append(errs, spec.Validate())
		if _, ok := all[spec.Name]; ok {
			errs = append(errs, fmt.Errorf("tracker %q: is there twice", spec.Name))
		}
		all[spec.Name] = spec.clone()
	}
	return all, errors.Join(errs...)
}

func (s *Set) add(spec Spec, predecessor <-chan struct{}) {
	t := &tracker{spec: spec, status: Status{Since: time.Now()}}
	s.trackers[spec.Name] = t
	if s.unanswered == 0 {
		s.answered = make(chan struct{})
	}
	s.unanswered++
	s.start(t, predecessor)
}

func (s *Set) remove(name string, t *tracker) {
	delete(s.trackers, name)
	if t.stop != nil {
		t.stop()
	}
	if t.status.State == Unknown {
		s.answer()
	}
}

// answer notes that one tracker less is without an answer.
func (s *Set) answer() {
	s.unanswered--
	if s.unanswered == 0 {
		close(s.answered)
	}
}

// start starts the tracker if the set runs, as soon as its predecessor, if it
// has one, has ended: a script must not run twice at once.
func (s *Set) start(t *tracker, predecessor <-chan struct{}) {
	if s.ctx == nil || s.over {
		return
	}
	ctx, stop := context.WithCancel(s.ctx)
	t.stop, t.ended = stop, make(chan struct{})
	s.running.Go(func() {
		defer close(t.ended)
		defer stop()
		if predecessor != nil {
			<-predecessor
		}
		s.track(ctx, t)
	})
}

func (s *Set) track(ctx context.Context, t *tracker) {
	report := func(f found) { s.record(t, f) }
	switch spec := t.spec; {
	case spec.Script != nil:
		trackScript(ctx, spec, s.execute, report)
	case spec.Process != nil:
		trackProcess(ctx, *spec.Process, s.processes, report)
	case spec.File != nil:
		trackFile(ctx, spec.File.Path, report)
	}
}

// record enters what a tracker found, and tells observe if that is a change.
func (s *Set) record(t *tracker, f found) {
	s.mu.Lock()
	if s.trackers[t.spec.Name] != t {
		s.mu.Unlock()
		return
	}
	from := t.status
	t.status.State, t.status.Value, t.status.Reason = f.state, f.value, f.reason
	changed := from.State != f.state || from.Value != f.value
	if changed {
		t.status.Since = time.Now()
	}
	if from.State == Unknown && f.state != Unknown {
		s.answer()
	}
	to := t.status
	s.mu.Unlock()
	if changed {
		s.observe(Change{Name: t.spec.Name, From: from, To: to})
	}
}

// Answered returns a channel that is closed when every tracker has answered: at
// once, if there is none to wait for. Trackers which Update adds before that are
// waited for as well.
func (s *Set) Answered() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.answered
}

// All returns where every tracker stands, by name.
func (s *Set) All() map[string]Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make(map[string]Status, len(s.trackers))
	for name, t := range s.trackers {
		all[name] = t.status
	}
	return all
}
