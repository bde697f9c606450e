package healthcheck

import (
	"context"
	"errors"
	"time"

	"github.com/lvsd/lvsd/healthcheck/probe"
)

// The pool's loop begins the probes that are due and ends connections that had
// their time; the results come in from elsewhere, see ended.
const (
	// tick is what the loop's wakes are rounded up to: thousands of checks due
	// at their own instants share some wakes.
	tick = 5 * time.Millisecond
	// heartbeat is how long the loop sleeps at most while probes are in flight
	// or wait, or a notice is up.
	heartbeat = 100 * time.Millisecond
	// batch is how many checks are taken up before the connections that were
	// over at once are seen to.
	batch = 32
)

// Run carries out the checks until ctx ends, and returns nil when the last
// probe is over; those in flight are abandoned. A Pool runs once: the error is
// that of a second call.
func (p *Pool) Run(ctx context.Context) error {
	if err := p.begin(ctx); err != nil {
		return err
	}
	p.loop(ctx)
	p.mu.Lock()
	p.over = true
	p.mu.Unlock()
	if p.connector != nil {
		p.connector.Close()
	}
	p.running.Wait()
	return nil
}

func (p *Pool) begin(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ctx != nil {
		return errors.New("health check pool: already run")
	}
	p.ctx, p.began = ctx, time.Now()
	p.gate.descriptors = descriptors()
	if p.ask == nil {
		p.ask = func(ctx context.Context, s Spec) probe.Result { return s.Request().Ask(ctx) }
		p.connects = true
	}
	for _, c := range p.checks {
		p.start(c)
	}
	return nil
}

// connectorFor is the connector that takes the request, which is opened when the
// first one needs it; nil is none. Where there is none for want of descriptors, a
// connection takes a goroutine as other probes do.
func (p *Pool) connectorFor(r probe.Request) *probe.Connector {
	if !p.connects || !r.OnlyConnects() {
		return nil
	}
	if p.connector == nil {
		connector, err := probe.NewConnector(func(owner any, r probe.Result) { p.ended(owner.(*check), r) })
		if err != nil {
			return nil
		}
		p.connector = connector
		p.running.Go(connector.Run)
	}
	return p.connector
}

func (p *Pool) loop(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-p.wake:
		}
		p.stall()
		timer.Reset(p.pass())
	}
}

// pass does what is due now, and returns how long there is nothing to do.
func (p *Pool) pass() time.Duration {
	now := p.rise()
	for p.steps(now) == batch {
	}
	for _, n := range p.review() {
		p.notice(n)
	}
	return p.sleep()
}

// steps takes up as many checks as are a batch, or as there are, and returns
// how many.
func (p *Pool) steps(now time.Time) (n int) {
	for ; n < batch; n++ {
		c, r, over := p.step(now)
		if c == nil {
			break
		}
		if over {
			p.ended(c, r)
		}
	}
	if p.connector != nil {
		p.connector.Settle()
	}
	return n
}

// rise notes that the loop woke, and returns when.
func (p *Pool) rise() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	p.lateness(now)
	p.alarm = time.Time{}
	return now
}

// lateness notes how late the loop is by now: it may be known before it wakes.
func (p *Pool) lateness(now time.Time) {
	if !p.alarm.IsZero() {
		p.late(p.alarm, now)
	}
}

// late notes that something that was due then happened at now, and reports
// whether that was too late.
func (p *Pool) late(due, now time.Time) bool {
	late := p.busy.woke(due, now)
	if late {
		p.board.raise(Starved, p.busy.notice(), now)
	}
	return late
}

// started notes that the goroutine of a probe runs, which it was to do since
// then. Dialogues may well starve each other while the loop is on time.
func (p *Pool) started(due time.Time) {
	now := time.Now()
	if now.Sub(due) <= tooLate {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.late(due, now)
	p.gate.narrow(due, now)
}

// step takes up one check with which something is to be done; nil is none. If
// its probe is over, it returns the result.
func (p *Pool) step(now time.Time) (c *check, r probe.Result, over bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c = p.agenda.due(now); c == nil {
		if c = p.gate.next(now); c != nil {
			r, over = p.launch(c)
		}
		return c, r, over
	}
	if c.connection != (probe.Connection{}) {
		r, over = p.connector.Expire(c.connection)
	} else {
		p.gate.enter(c)
	}
	return c, r, over
}

// launch begins the probe of c. If it is over at once, it returns the result.
func (p *Pool) launch(c *check) (r probe.Result, over bool) {
	request := c.spec.Request()
	if connector := p.connectorFor(request); connector != nil {
		c.connection, r, over = connector.Begin(request, c)
		if !over {
			p.agenda.put(c, time.Now().Add(request.Timeout))
		}
		return r, over
	}
	ctx, stop := context.WithCancel(p.ctx)
	c.stop = stop
	due := time.Now()
	p.running.Go(func() {
		defer stop()
		p.started(due)
		p.ended(c, p.ask(ctx, c.spec))
	})
	return probe.Result{}, false
}

// review returns the notices to tell now.
func (p *Pool) review() []Notice {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if text := p.gate.delay(now); text != "" {
		p.board.raise(Delayed, text, now)
	}
	if text := p.fault.holds(now); text != "" {
		p.board.raise(Held, text, now)
	} else {
		p.board.end(Held, now)
	}
	p.board.settle(now)
	return p.board.tell()
}

// sleep notes that the loop goes to sleep, and returns for how long.
func (p *Pool) sleep() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	p.alarm = p.next(now)
	return p.alarm.Sub(now)
}

// next is when the loop has something to do.
func (p *Pool) next(now time.Time) time.Time {
	if p.gate.open(now) || p.unheard(now) {
		return now
	}
	at := now.Add(time.Hour)
	if p.gate.flying > 0 || p.gate.waiting() > 0 || len(p.board.up) > 0 {
		at = now.Add(heartbeat)
	}
	if first, ok := p.agenda.first(); ok && first.Before(at) {
		at = p.began.Add((first.Sub(p.began) + tick - 1).Truncate(tick))
	}
	return at
}

// unheard reports whether verdicts are held without a notice of it.
func (p *Pool) unheard(now time.Time) bool { return p.fault.holds(now) != "" && !p.board.has(Held) }

// rouse wakes the loop if it would sleep too long.
func (p *Pool) rouse() {
	if p.alarm.IsZero() || !p.next(time.Now()).Before(p.alarm) {
		return
	}
	select {
	case p.wake <- struct{}{}:
	default:
	}
}
