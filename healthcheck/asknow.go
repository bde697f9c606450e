package healthcheck

import (
	"context"
	"errors"
	"time"
)

// asker waits for the outcome of an attempt that begins at a time or later.
type asker struct {
	from time.Time
	// done is closed then, or when the check is removed.
	done chan struct{}
}

// AskNow has the checks ask at once, as far as there is room, and waits until each
// has an outcome that it did not have before, and Status shows it. What is no check
// of the pool is passed over. The grid of the check's own probes stays as it is. The
// error is that ctx ended first, or that the pool does not run.
func (p *Pool) AskNow(ctx context.Context, specs []Spec) error {
	askers, err := p.hasten(specs)
	if err != nil {
		return err
	}
	for _, a := range askers {
		select {
		case <-a.done:
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-p.ctx.Done():
			return errors.New("the checks have ended")
		}
	}
	return nil
}

// hasten makes the checks due now. One that is in flight is due when that is over.
func (p *Pool) hasten(specs []Spec) ([]*asker, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ctx == nil || p.over {
		return nil, errors.New("the checks do not run")
	}
	now := time.Now()
	var askers []*asker
	for _, s := range specs {
		c := p.checks[s]
		if c == nil {
			continue
		}
		a := &asker{from: now, done: make(chan struct{})}
		askers = append(askers, a)
		c.askers = append(c.askers, a)
		if c.place > 0 && !c.isConnecting() {
			p.agenda.put(c, now)
		}
	}
	p.rouse()
	return askers, nil
}

// answerAskers tells those that the attempt, whose last probe began then, is an answer
// to, and reports whether others still wait for one.
func (c *check) answerAskers(began time.Time) (more bool) {
	waiting := c.askers[:0]
	for _, a := range c.askers {
		if began.Before(a.from) {
			waiting = append(waiting, a)
			continue
		}
		close(a.done)
	}
	c.askers = waiting
	return len(waiting) > 0
}

// dismissAskers tells all: there will be no answer.
func (c *check) dismissAskers() {
	for _, a := range c.askers {
		close(a.done)
	}
	c.askers = nil
}
