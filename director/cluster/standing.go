package cluster

import (
	"fmt"
	"time"

	"github.com/lvsd/lvsd/director"
)

// heard takes in what a node tells of itself.
func (s *session) heard(p *peer, report director.NodeReport) {
	differs := differing(s.ownReport(), report)
	now := time.Now()
	p.mu.Lock()
	was := p.standing
	p.standing.missed, p.standing.told = 0, true
	status := &p.standing.status
	status.NodeReport, status.Reachable, status.Error, status.Last = report, true, was.uneven, now
	differed := p.standing.difference.see(differs != "", now)
	p.mu.Unlock()

	if !was.status.Reachable {
		s.log.Info("node answers", "node", p.name, "address", p.address.Addr())
		s.self.Record(director.Event{
			Kind: director.EventNodeUp, Severity: "info", From: "down", To: "up",
			Text: fmt.Sprintf("node %s (%s) answers", p.name, p.address.Addr()),
		})
	}
	if differed {
		s.tellDifference(p, differs)
	}
}

// tellDifference tells that a node differs, or with an empty text that it does not
// any more.
func (s *session) tellDifference(p *peer, differs string) {
	event := director.Event{Kind: director.EventNodeDiffers, Reason: differs}
	if differs == "" {
		s.log.Info("node has the version and configuration of this one again", "node", p.name)
		event.Severity, event.From, event.To = "info", "differs", "same"
		event.Text = fmt.Sprintf("node %s has the version and configuration of this one again", p.name)
	} else {
		s.log.Warn("node differs from this one", "node", p.name, "reason", differs)
		event.Severity, event.From, event.To = "warning", "same", "differs"
		event.Text = fmt.Sprintf("node %s differs: %s", p.name, differs)
	}
	s.self.Record(event)
}

// missed takes in that a node did not answer.
func (s *session) missed(p *peer, err error) {
	unreached := isUnreached(err)
	err = s.explain(p, err)
	p.mu.Lock()
	p.standing.missed++
	p.standing.unreached = unreached
	p.standing.status.Error = err.Error()
	down := p.standing.missed >= downAfter && (p.standing.status.Reachable || !p.standing.told)
	if down {
		p.standing.status.Reachable, p.standing.told = false, true
	}
	p.mu.Unlock()
	if !down {
		return
	}
	s.log.Warn("node does not answer", "node", p.name, "address", p.address.Addr(), "err", err)
	s.self.Record(director.Event{
		Kind: director.EventNodeDown, Severity: "warning", From: "up", To: "down", Reason: err.Error(),
		Text: fmt.Sprintf("node %s (%s) does not answer: %s", p.name, p.address.Addr(), err),
	})
}

// evened takes in whether a node that answers and this one know the same overrides.
func (s *session) evened(p *peer, err error) {
	text := ""
	if err != nil {
		text = "overrides not exchanged: " + s.explain(p, err).Error()
	}
	p.mu.Lock()
	was := p.standing.uneven
	p.standing.uneven, p.standing.status.Error = text, text
	p.mu.Unlock()
	if text != "" && was == "" {
		s.log.Warn("overrides not exchanged", "node", p.name, "err", s.explain(p, err))
	}
	if text == "" && was != "" {
		s.log.Info("overrides exchanged again", "node", p.name)
	}
}
