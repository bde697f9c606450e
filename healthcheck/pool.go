package healthcheck

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// DefaultConcurrency is how many probes a Pool has in flight at most, unless
// told otherwise.
const DefaultConcurrency = 4096

// Change tells that the state of a check changed.
type Change struct {
	Spec     Spec
	From, To State
	// Result is what decided it.
	Result Result
}

// Pool keeps one check going for each distinct Spec. Its methods may be called
// from any goroutine, and from observe.
type Pool struct {
	// Concurrency bounds the probes in flight. More are delayed, never failed:
	// a probe's timeout starts when it does. Set it before Run; 0 is
	// DefaultConcurrency.
	Concurrency int

	observe func(Change)
	probe   func(context.Context, Spec) Result
	slots   chan struct{}
	running sync.WaitGroup

	// mu guards what follows. It is not held while observe or probe runs.
	mu     sync.Mutex
	ctx    context.Context // of Run; nil before
	over   bool            // Run only waits now: no check may start
	checks map[Spec]*check
	// unanswered counts the checks without a conclusive result; answered is
	// closed while there are none.
	unanswered int
	answered   chan struct{}
}

// check is one Spec of a Pool. Once removed, it is no longer in the map and its
// results are dropped.
type check struct {
	status Status
	stop   context.CancelFunc // nil until Run
}

// NewPool returns a Pool without checks. When a check's state changes, observe
// is called in the goroutine of that check, after Status shows the change. It
// must not block, as the check waits for it. Changes of one check come in
// order; one that was under way when Update removed its check may still come.
func NewPool(observe func(Change)) *Pool {
	p := &Pool{
		observe:  observe,
		probe:    Probe,
		checks:   map[Spec]*check{},
		answered: make(chan struct{}),
	}
	close(p.answered)
	return p
}

// Run carries out the checks until ctx ends, and returns nil when the last
// probe is over; those in flight are abandoned. A Pool runs once: the error is
// that of a second call.
func (p *Pool) Run(ctx context.Context) error {
	if err := p.begin(ctx); err != nil {
		return err
	}
	<-ctx.Done()
	p.mu.Lock()
	p.over = true
	p.mu.Unlock()
	p.running.Wait()
	return nil
}

func (p *Pool) begin(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ctx != nil {
		return errors.New("health check pool: already run")
	}
	slots := p.Concurrency
	if slots <= 0 {
		slots = DefaultConcurrency
	}
	p.slots = make(chan struct{}, slots)
	p.ctx = ctx
	for s, c := range p.checks {
		p.start(s, c)
	}
	return nil
}

// Update makes specs, which may repeat, the checks of the pool. A check that
// was there goes on with its state, history and schedule; a new one starts
// within a second; one that is missing is stopped. If a spec is not valid,
// nothing changes and the error names all that are not.
func (p *Pool) Update(specs []Spec) error {
	want := make(map[Spec]bool, len(specs))
	var errs []error
	for _, s := range specs {
		if !want[s] {
			errs = append(errs, s.Validate())
		}
		want[s] = true
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for s, c := range p.checks {
		if !want[s] {
			p.remove(s, c)
		}
	}
	for s := range want {
		if p.checks[s] == nil {
			p.add(s)
		}
	}
	return nil
}

func (p *Pool) add(s Spec) {
	c := &check{status: Status{Verdict: Verdict{Up: s.InitiallyUp}, Since: time.Now()}}
	p.checks[s] = c
	if p.unanswered == 0 {
		p.answered = make(chan struct{})
	}
	p.unanswered++
	p.start(s, c)
}

func (p *Pool) remove(s Spec, c *check) {
	delete(p.checks, s)
	if c.stop != nil {
		c.stop()
	}
	if c.status.State == Unknown {
		p.answer()
	}
}

// answer notes that one check less is without an answer.
func (p *Pool) answer() {
	p.unanswered--
	if p.unanswered == 0 {
		close(p.answered)
	}
}

// start starts the check if the pool runs.
func (p *Pool) start(s Spec, c *check) {
	if p.ctx == nil || p.over {
		return
	}
	ctx, stop := context.WithCancel(p.ctx)
	c.stop = stop
	m := &monitor{
		schedule: schedule{Spec: s},
		probe:    p.probeInSlot,
		report:   func(r Result) { p.record(s, c, r) },
	}
	p.running.Go(func() {
		defer stop()
		m.run(ctx)
	})
}

// probeInSlot probes as soon as fewer than Concurrency others do.
func (p *Pool) probeInSlot(ctx context.Context, s Spec) (Result, bool) {
	select {
	case p.slots <- struct{}{}:
	case <-ctx.Done():
		return Result{}, false
	}
	defer func() { <-p.slots }()
	r := p.probe(ctx, s)
	return r, ctx.Err() == nil
}

// record enters the outcome of an attempt, and tells observe if it changed the
// state.
func (p *Pool) record(s Spec, c *check, r Result) {
	p.mu.Lock()
	if p.checks[s] != c {
		p.mu.Unlock()
		return
	}
	from := c.status.State
	c.status = c.status.after(Threshold{Rise: s.Rise, Fall: s.Fall}, r)
	to := c.status.State
	if from == Unknown && to != Unknown {
		p.answer()
	}
	p.mu.Unlock()
	if from != to {
		p.observe(Change{Spec: s, From: from, To: to, Result: r})
	}
}

// Seed tells the verdict that a predecessor left on s, for instance by the
// weight of a real server. It is in force until the check's own results say
// otherwise, see [Threshold]; the state remains Unknown until the first. Seed
// does nothing if there was one already, and returns an error if s is not a
// check of the pool.
func (p *Pool) Seed(s Spec, up bool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.checks[s]
	if c == nil {
		return fmt.Errorf("seed check %v: not in the pool", s)
	}
	if c.status.State == Unknown {
		c.status.Verdict = Verdict{Up: up, Inherited: true}
	}
	return nil
}

// Answered returns a channel that is closed when every check has had a
// conclusive result: at once, if there is none to wait for. Checks which Update
// adds before that are waited for as well.
func (p *Pool) Answered() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.answered
}

// Status returns where the check stands, and whether the pool has it.
func (p *Pool) Status(s Spec) (Status, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c, ok := p.checks[s]
	if !ok {
		return Status{}, false
	}
	return c.status, true
}

// All returns where every check stands.
func (p *Pool) All() map[Spec]Status {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := make(map[Spec]Status, len(p.checks))
	for s, c := range p.checks {
		all[s] = c.status
	}
	return all
}
