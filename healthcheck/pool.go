package healthcheck

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/lvsd/lvsd/healthcheck/probe"
)

// Pool keeps one check going for each distinct Spec. Its methods may be called
// from any goroutine, and from observe and notice.
//
// One goroutine, the loop, knows from an agenda what is due and begins the
// probes for which a gate has room. Probes that only connect share a
// [probe.Connector]; each other has a goroutine while it is in flight. A check
// that waits for its next probe is an entry of the agenda and nothing else.
type Pool struct {
	observe func(Change)
	notice  func(Notice)
	running sync.WaitGroup
	wake    chan struct{} // see rouse
	began   time.Time     // Run

	// connector is nil until a check needs it. Whether any may is connects.
	connector *probe.Connector
	connects  bool
	// ask is for tests, in place of the connector as well; nil asks in earnest.
	ask func(context.Context, Spec) probe.Result
	// stall is for tests: it is called when the loop woke, to make it late.
	stall func()

	// mu guards what follows. It is not held while observe, notice or ask runs.
	mu     sync.Mutex
	ctx    context.Context // of Run; nil before
	over   bool            // Run only waits now: no check may start
	checks map[Spec]*check
	agenda agenda
	gate   gate
	busy   busy
	fault  ownFault
	board  board
	alarm  time.Time // until when the loop sleeps; zero while it does not
	// unanswered counts the checks without a conclusive result; answered is
	// closed while there are none.
	unanswered int
	answered   chan struct{}
}

// check is one Spec of a Pool. At any time it is in the agenda because its next
// probe is due later, in the gate because it is due, or in flight: then it is in
// the agenda if it has a connection, for the time when that has had its time.
type check struct {
	spec     Spec
	status   Status
	history  history
	schedule schedule
	witness  witness

	at    time.Time // for which the agenda has it or last had it
	place int       // in the agenda; 0 is not
	next  *check    // in the gate's queue

	connection probe.Connection   // the zero Connection is none
	stop       context.CancelFunc // of a probe in flight in a goroutine; else nil
	// removed says that it is no longer in the map: its results are dropped.
	removed bool
	// askers wait for an answer, see AskNow.
	askers []*asker
	// dialogue says that the probe does more than connect.
	dialogue bool
}

func (c *check) address() netip.Addr { return c.spec.Target.Addr() }

// isConnecting reports whether c is in flight with a connection of its own.
func (c *check) isConnecting() bool { return c.connection != (probe.Connection{}) }

// NewPool returns a Pool without checks. When a check's state changes, observe
// is called after Status shows the change. It must not block, as checks wait for
// it. Changes of one check come in order; one that was under way when Update
// removed its check may still come. notice is called likewise when Notices
// change.
func NewPool(limits Limits, observe func(Change), notice func(Notice)) *Pool {
	p := &Pool{
		observe:  observe,
		notice:   notice,
		wake:     make(chan struct{}, 1),
		stall:    func() {},
		gate:     gate{limits: limits, hosts: map[netip.Addr]host{}},
		fault:    ownFault{limits: limits.OwnFault},
		checks:   map[Spec]*check{},
		answered: make(chan struct{}),
	}
	close(p.answered)
	return p
}

// Update makes specs, which may repeat, the checks of the pool. A check that
// was there goes on with its state, history and schedule; a new one starts
// within its warm-up; one that is missing is stopped. If a spec is not valid,
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
			p.remove(c)
		}
	}
	for s := range want {
		if p.checks[s] == nil {
			p.add(s)
		}
	}
	p.rouse()
	return nil
}

func (p *Pool) add(s Spec) {
	c := &check{spec: s, witness: witness{address: s.Target.Addr()}, dialogue: !s.Request().OnlyConnects()}
	c.status = Status{Verdict: Verdict{Up: s.Check().InitiallyUp}, Since: time.Now()}
	p.checks[s] = c
	if p.unanswered == 0 {
		p.answered = make(chan struct{})
	}
	p.unanswered++
	p.start(c)
}

// start puts c on the agenda if the pool runs.
func (p *Pool) start(c *check) {
	if p.ctx != nil && !p.over {
		p.agenda.put(c, c.schedule.start(c.spec.Check(), time.Now()))
	}
}

func (p *Pool) remove(c *check) {
	delete(p.checks, c.spec)
	c.removed = true
	p.agenda.remove(c)
	p.fault.remove(&c.witness, time.Now())
	if c.stop != nil {
		c.stop()
	}
	if c.connection != (probe.Connection{}) && p.connector.Abandon(c.connection) {
		p.gate.leave(c)
	}
	if c.status.State == Unknown {
		p.answer()
	}
	c.dismissAskers()
}

// answer notes that one check less is without an answer.
func (p *Pool) answer() {
	p.unanswered--
	if p.unanswered == 0 {
		close(p.answered)
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
		p.fault.verdict(&c.witness, c.status.Verdict, time.Now())
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

// SetLimits changes the bounds; probes in flight go on.
func (p *Pool) SetLimits(l Limits) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.gate.descriptors = descriptors()
	p.gate.setLimits(l)
	p.fault.setLimits(l.OwnFault, time.Now())
	p.rouse()
}

// Notices returns what is the matter now, the oldest first.
func (p *Pool) Notices() []Notice {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.board.notices()
}

// HistoryLength is how many results are kept of each check.
const HistoryLength = 20

// History returns the last results of the check, at most HistoryLength, the
// oldest first and without transcripts.
func (p *Pool) History(s Spec) []probe.Result {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c := p.checks[s]; c != nil {
		return c.history.results()
	}
	return nil
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

// NextProbe returns when the next probe of the check is due, retries included. It
// is zero while one is in flight or waits for room, while the pool does not run,
// and for what is no check of the pool.
func (p *Pool) NextProbe(s Spec) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.checks[s]
	if c == nil || c.place == 0 || c.connection != (probe.Connection{}) {
		return time.Time{}
	}
	return c.at
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
