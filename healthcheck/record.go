package healthcheck

import (
	"time"

	"github.com/lvsd/lvsd/healthcheck/probe"
)

// Change tells that the state of a check changed, or the weight that its server
// tells, or its warning.
type Change struct {
	Spec     Spec
	From, To State
	// Weight and Warning are those in force now, see Status; those in force
	// before are beside them.
	Weight, WeightBefore   probe.Weight
	Warning, WarningBefore string
	// Result is what decided it.
	Result probe.Result
}

// ended takes the result of the probe of c, from whatever goroutine it ended in.
func (p *Pool) ended(c *check, r probe.Result) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c.connection, c.stop = probe.Connection{}, nil
	p.agenda.remove(c)
	if r.NoDescriptors() && !c.removed && p.ctx.Err() == nil {
		p.gate.putOff(c, time.Now())
	} else {
		p.gate.leave(c)
		p.enter(c, r)
	}
	p.rouse()
}

// enter enters the result of c and what is to be done with c next. It gives up
// the lock while it tells of a change; until that is told, c has no next probe.
func (p *Pool) enter(c *check, r probe.Result) {
	if c.removed || p.ctx.Err() != nil {
		return
	}
	now, how := time.Now(), c.spec.Check()
	p.lateness(now)
	end := r.At.Add(r.Duration)
	if p.late(end.Add(-overrun(r, how.Timeout)), end) && c.dialogue {
		p.gate.narrow(r.At, now)
	}
	r = p.busy.excuse(r, how.Timeout)
	again, over := c.schedule.tried(how, &r)
	if !over {
		p.agenda.put(c, again)
		return
	}
	if change, changed := p.record(c, how, r); changed {
		p.mu.Unlock()
		p.observe(change)
		p.mu.Lock()
	}
	if c.removed || p.over {
		return
	}
	next := c.schedule.next(how, c.status.changing(), end)
	if c.answerAskers(r.At) {
		next = now
	}
	p.agenda.put(c, next)
}

// record enters the outcome of an attempt, and returns what there is to tell of
// it.
func (p *Pool) record(c *check, how Check, r probe.Result) (change Change, changed bool) {
	before := c.status
	c.status = p.fault.after(&c.witness, how, before, r)
	c.history.add(r)
	if before.State == Unknown && c.status.State != Unknown {
		p.answer()
	}
	change = Change{
		Spec: c.spec, From: before.State, To: c.status.State,
		Weight: c.status.Weight, WeightBefore: before.Weight,
		Warning: c.status.Warning, WarningBefore: before.Warning,
		Result: r,
	}
	return change, change.From != change.To || change.Weight != change.WeightBefore || change.Warning != change.WarningBefore
}
