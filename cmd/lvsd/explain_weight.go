package main

import (
	"fmt"
	"time"

	"github.com/lvsd/lvsd/director"
)

// weight says how the weight comes about.
func (x *explainer) weight(s *director.ServerExplanation) {
	w := &s.Weight
	switch {
	case w.Ordered != nil:
		x.line(1, "weight: %d, ordered in place of the %d configured%s", *w.Ordered, w.Configured, x.orderer(s.Override, s.Admin == director.Enabled))
	case w.Kept:
		x.line(1, "weight: %d, as the kernel had it, until the check by which the server tells its weight has answered (%d configured)", w.Up, w.Configured)
	case w.Told != nil:
		x.line(1, "weight: %d, told by %s in place of the %d configured", *w.Told, x.teller(s), w.Configured)
		if *w.Told == 0 {
			x.line(2, "so it is drained: it gets no new connections, and counts for nothing in the quorum")
		}
	default:
		x.line(1, "weight: %d configured", w.Configured)
	}
	if !w.Kept {
		x.weightChecks(s)
	}
	if x.rising(w) {
		x.line(2, "slow start: %d now, rises to %d until %s (%s more)", w.Now, w.Up, x.clock(w.RisingUntil),
			w.RisingUntil.Sub(x.now).Round(time.Second))
	}
	switch {
	case s.Admin == director.Drain:
		x.line(2, "but %s is drained%s", orderedFor(s.Override), x.orderer(s.Override, true))
		x.line(2, "so it has weight 0: it gets no new connections, and counts for nothing in the quorum")
	case s.Admin == director.Disabled:
		x.line(2, "but %s is disabled%s", orderedFor(s.Override), x.orderer(s.Override, true))
		x.line(2, "so it is not in the table")
	case s.State == "down":
		x.line(2, "but it is down, so it %s", absence(s))
	}
}

// orderedFor is what an order that decides on a real server is about.
func orderedFor(o *director.Override) string {
	switch {
	case o == nil || o.Target.Server != "":
		return "it"
	case o.Target.Node != "":
		return "node " + o.Target.Node
	}
	return "the service"
}

// orderer says who gave an order, when, until when and why, if it is known.
func (x *explainer) orderer(o *director.Override, known bool) string {
	if o == nil || !known {
		return ""
	}
	text := ""
	if o.By != "" {
		text = " by " + o.By
	}
	text += x.since(o.At)
	if !o.Until.IsZero() {
		text += ", until " + x.clock(o.Until)
	}
	if o.Reason != "" {
		text += fmt.Sprintf(" (%s)", o.Reason)
	}
	return text
}

// rising reports whether the weight rises in a slow start.
func (x *explainer) rising(w *director.WeightExplanation) bool { return w.RisingUntil.After(x.now) }

// teller is the check that told the weight.
func (x *explainer) teller(s *director.ServerExplanation) string {
	if n := s.Weight.ToldBy; n != nil && *n >= 0 && *n < len(s.Checks) {
		return checkName(&s.Checks[*n])
	}
	return "a check"
}

// weightChecks says what each check of the weight adds, and what that makes.
func (x *explainer) weightChecks(s *director.ServerExplanation) {
	for i := range s.WeightChecks {
		c := &s.WeightChecks[i]
		word := "does not pass"
		if c.State == "up" {
			word = "passes"
		}
		x.line(2, "%+d by %s, which %s (%+d while it %s)", c.Applied, checkName(&c.CheckExplanation), word, c.Change, when(c.Change))
	}
	if len(s.WeightChecks) > 0 {
		x.line(2, "makes %d", s.Weight.Up)
	}
}

// when says when a check of the weight changes it.
func when(change int) string {
	if change > 0 {
		return "passes"
	}
	return "does not"
}

// absence is what the real server has while it may not serve.
func absence(s *director.ServerExplanation) string {
	if s.Removed {
		return "is removed"
	}
	return "has weight 0"
}

// quorum says how the service stands, where that matters to the real server.
func (x *explainer) quorum(s *director.ServerExplanation) {
	q := s.Quorum
	switch {
	case q.Needed == 0 || q.Quorate && !s.Sorry && q.Needed == 1:
		return
	case !s.Sorry && !q.Quorate && s.SorryServer == "":
		x.line(1, "quorum lost%s: weight %d is up, %d needed; there is no sorry server, so what is up goes on serving",
			x.since(q.Since), q.Up, q.Needed)
	case !s.Sorry:
		x.line(1, "quorum: weight %d is up, %d needed", q.Up, q.Needed)
	case s.SorryBeside:
		x.line(1, "quorum lost%s: weight %d is up, %d needed; the sorry server %s serves beside", x.since(q.Since), q.Up, q.Needed, s.SorryServer)
	default:
		x.line(1, "quorum lost%s: weight %d is up, %d needed; the sorry server %s serves in place of all, so this one %s",
			x.since(q.Since), q.Up, q.Needed, s.SorryServer, absence(s))
	}
}

// place says what the kernel has.
func (x *explainer) place(p director.PlaceExplanation) {
	text := fmt.Sprintf("weight %d, connections: %d active, %d inactive", p.Kernel, p.Active, p.Inactive)
	if p.Kernel < 0 {
		text = "not in the table"
	}
	switch {
	case p.Planned == p.Kernel:
	case p.Planned < 0:
		text += "; it is to be removed, see lvsd status"
	default:
		text += fmt.Sprintf("; it is to be %d, see lvsd status", p.Planned)
	}
	x.line(1, "kernel, %s: %s", p.Service, text)
}
