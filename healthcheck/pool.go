package healthcheck

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/lvsd/lvsd/healthcheck/probe"
)

// Change tells that the state of a check changed, or the weight that its server
// tells, or its warning.
type Change struct {
	Spec     Spec
	From, To State
	// Weight is the one in force now, Warning what is wrong beside.
	Weight  probe.Weight
	Warning string
	// Result is what decided it.
	Result probe.Result
}

// Notice is something that the pool as a whole wants known: what began, or, if
// Over, that it ended.
type Notice struct {
	Kind NoticeKind
	Text string
	Over bool
	At   time.Time
}

// NoticeKind is what a Notice is about.
type NoticeKind string

// The kinds of Notice.
const (
	// Delayed: probes wait, because too many are in flight or this host has no
	// descriptors left.
	Delayed NoticeKind = "delayed"
	// Held: so many checks began to fail at once that this host is suspected;
	// verdicts stay.
	Held NoticeKind = "held"
	// Starved: this host was too busy to tell who is slow, itself or a server;
	// what timed out meanwhile does not count.
	Starved NoticeKind = "starved"
)

// Limits are the bounds of a Pool.
type Limits struct {
	// Concurrency bounds the probes in flight, PerHost those to one address.
	// More are delayed, never failed: a probe's timeout starts when it does. 0
	// is the default.
	Concurrency, PerHost int
	OwnFault             OwnFault
}

// The defaults of Limits.
const (
	DefaultConcurrency = 4096
	DefaultPerHost     = 64
)

// OwnFault is when failures are rather this host's fault than the servers'.
type OwnFault struct {
	// Percent, 1..100: when so many of the checks whose verdict is up began to
	// fail together, no verdict goes down. 0 is never.
	Percent int
	// Minimum is how many checks there must be.
	Minimum int
	// Hold bounds how long verdicts are held; after that they count. 0 has no
	// bound.
	Hold time.Duration
}

// Pool keeps one check going for each distinct Spec. Its methods may be called
// from any goroutine, and from observe.
type Pool struct {
	limits  Limits
	observe func(Change)
	notice  func(Notice)
	probe   func(context.Context, Spec) probe.Result
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
// is called after Status shows the change. It must not block, as checks wait for
// it. Changes of one check come in order; one that was under way when Update
// removed its check may still come. notice is called likewise when Notices
// change.
func NewPool(limits Limits, observe func(Change), notice func(Notice)) *Pool {
	p := &Pool{
		limits:   limits,
		observe:  observe,
		notice:   notice,
		probe:    func(ctx context.Context, s Spec) probe.Result { return s.Request().Ask(ctx) },
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
	slots := p.limits.Concurrency
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
	c := &check{status: Status{Verdict: Verdict{Up: s.Check().InitiallyUp}, Since: time.Now()}}
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
		schedule: schedule{Check: s.Check()},
		probe:    func(ctx context.Context) (probe.Result, bool) { return p.probeInSlot(ctx, s) },
		report:   func(r probe.Result) { p.record(s, c, r) },
	}
	p.running.Go(func() {
		defer stop()
		m.run(ctx)
	})
}

// probeInSlot probes as soon as fewer than Concurrency others do.
func (p *Pool) probeInSlot(ctx context.Context, s Spec) (probe.Result, bool) {
	select {
	case p.slots <- struct{}{}:
	case <-ctx.Done():
		return probe.Result{}, false
	}
	defer func() { <-p.slots }()
	r := p.probe(ctx, s)
	return r, ctx.Err() == nil
}

// record enters the outcome of an attempt, and tells observe if it changed the
// state.
func (p *Pool) record(s Spec, c *check, r probe.Result) {
	p.mu.Lock()
	if p.checks[s] != c {
		p.mu.Unlock()
		return
	}
	from := c.status.State
	c.status = c.status.after(Threshold{Rise: s.Check().Rise, Fall: s.Check().Fall}, r)
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

// SetLimits changes the bounds; those of probes in flight stay.
func (p *Pool) SetLimits(l Limits) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.limits = l
}

// Notices returns what is the matter now, the oldest first.
func (p *Pool) Notices() []Notice { return nil }

// History returns the last results of the check, at most HistoryLength, the
// oldest first and without transcripts.
func (p *Pool) History(s Spec) []probe.Result { return nil }

// HistoryLength is how many results are kept of each check.
const HistoryLength = 20

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
