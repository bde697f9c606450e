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
	// Weight is the one in force now, Warning what is wrong beside.
	Weight  probe.Weight
	Warning string
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
	p.lateness(time.Now())
	how := c.spec.Check()
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
	if !c.removed && !p.over {
		p.agenda.put(c, c.schedule.next(how, c.status.changing(), r.At.Add(r.Duration)))
	}
}

// record enters the outcome of an attempt, and returns what there is to tell of
// it.
func (p *Pool) record(c *check, how Check, r probe.Result) (change Change, changed bool) {
	state, weight, warning := c.status.State, c.status.Weight, c.warning
	c.status = p.fault.after(&c.witness, how, c.status, r)
	c.history.add(r)
	if r.OK || r.Warning != "" { // a failure need not have come as far as that
		c.warning = r.Warning
	}
	if state == Unknown && c.status.State != Unknown {
		p.answer()
	}
	return Change{
		Spec: c.spec, From: state, To: c.status.State,
		Weight: c.status.Weight, Warning: c.warning, Result: r,
	}, state != c.status.State || weight != c.status.Weight || warning != c.warning
}
