package main

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/lvsd/lvsd/director"
)

// shownLines is how many lines of what was said are printed.
const shownLines = 12

// printableLine formats a line without control characters.
func printableLine(format string, args ...any) string {
	return strings.Map(printable, fmt.Sprintf(format, args...))
}

// stateColor is that of a state.
func stateColor(state string) string {
	switch state {
	case "up":
		return green
	case "down":
		return red
	default:
		return yellow
	}
}

// server explains one real server of one virtual service.
func (x *explainer) server(s *director.ServerExplanation) {
	name := s.Address
	if s.Host != "" {
		name += " (" + s.Host + ")"
	}
	state := x.paint(stateColor(s.State), strings.ToUpper(s.State))
	fmt.Fprintf(x, "%s in %s: %s%s\n", x.paint(bold, name), x.paint(bold, s.Service), state, x.since(s.Since))
	x.line(1, "%s", because(s))
	for i := range s.Checks {
		x.check(&s.Checks[i], "check")
	}
	for i := range s.WeightChecks {
		x.check(&s.WeightChecks[i].CheckExplanation, "check of the weight")
	}
	x.WriteString("\n")
	if s.State != "draining" {
		x.weight(s)
	}
	x.quorum(s)
	for _, p := range s.Places {
		x.place(p)
	}
}

// since says since when, and for how long.
func (x *explainer) since(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return fmt.Sprintf(", since %s (%s)", x.clock(t), ago(x.now, t))
}

// clock is the time of the day, with the day if it is another one.
func (x *explainer) clock(t time.Time) string {
	t = t.In(x.now.Location())
	if t.Format(time.DateOnly) == x.now.Format(time.DateOnly) {
		return t.Format(time.TimeOnly)
	}
	return t.Format(time.DateTime)
}

// because says why the state is what it is.
func because(s *director.ServerExplanation) string {
	if s.State == "draining" {
		return "the file does not name it any more; it gets no new connections and goes when the last has ended"
	}
	if s.Because < 0 || s.Because >= len(s.Checks) {
		return "it has no checks, so it counts as up"
	}
	check, count := &s.Checks[s.Because], len(s.Checks)
	does, which := checkName(check)+" "+does(check), checkName(check)+", which "+does(check)
	switch {
	case s.State == "unknown":
		return fmt.Sprintf("its check %s has not answered yet; until it has, %s", checkName(check), assumed(check))
	case count == 1:
		return "its check " + does
	case s.State == "down" && s.AnyCheck:
		return fmt.Sprintf("of its %d checks one would be enough, and none passes; the last to go down was %s", count, which)
	case s.State == "down":
		return fmt.Sprintf("its %d checks must all pass, and %s", count, does)
	case s.AnyCheck:
		return fmt.Sprintf("of its %d checks one is enough, and %s", count, does)
	default:
		return fmt.Sprintf("its %d checks all pass; the last to come up was %s", count, which)
	}
}

// does is what a check does that is up or down, with the result that says so.
func does(c *director.CheckExplanation) string {
	passed := c.Last != nil && c.Last.OK
	unasked := c.Last != nil && c.Last.Inconclusive
	switch {
	case c.State == "up" && unasked:
		return "still counts as passing; this host could not ask it last: " + said(c.Last)
	case c.State == "up" && passed:
		return "passes: " + said(c.Last)
	case c.State == "up":
		return "still counts as passing, but found last: " + said(c.Last)
	case unasked:
		return "still counts as failing; it failed last with: " + said(c.LastFailure)
	case !passed:
		return "fails: " + said(c.Last)
	case c.FlapSuppressed:
		return "is kept down because it comes and goes; it failed last with: " + said(c.LastFailure)
	default:
		return "still counts as failing; it failed last with: " + said(c.LastFailure)
	}
}

// assumed is what an unknown check counts as.
func assumed(c *director.CheckExplanation) string {
	word := "down"
	if c.AssumedUp {
		word = "up"
	}
	if c.Inherited {
		return fmt.Sprintf("it counts as %s, as its weight in the kernel has it", word)
	}
	return "it counts as " + word
}

func checkName(c *director.CheckExplanation) string {
	name := c.Kind + " " + c.Target
	if c.Via != "" {
		name += " via " + c.Via
	}
	return name
}

// said is what a probe found.
func said(r *director.ResultExplanation) string {
	if r == nil {
		return "no result yet"
	}
	return strings.TrimSpace(r.Code + " " + r.Reason)
}

// check tells of one check how it asks, what it heard and what comes next.
func (x *explainer) check(c *director.CheckExplanation, what string) {
	x.WriteString("\n")
	x.line(1, "%s %s: %s%s", what, checkName(c), c.State, x.since(c.Since))
	x.line(2, "%s", how(c))
	x.threshold(c)
	if c.Held != "" {
		x.line(2, "held: the verdict stays although the results are against it: %s", c.Held)
	}
	x.flap(c)
	if c.Warning != "" {
		x.line(2, "warning: %s", c.Warning)
	}
	if c.Inconclusive > 0 {
		x.line(2, "this host could not ask %s", times(c.Inconclusive))
	}
	x.result("last result", c.Last)
	if f := c.LastFailure; f != nil && (c.Last == nil || !f.At.Equal(c.Last.At)) {
		x.result("last failure", f)
	}
	x.history(c.History)
	x.next(c)
	x.shared(c.Shared)
}

// how says how the check asks and what it takes to change its verdict.
func how(c *director.CheckExplanation) string {
	text := fmt.Sprintf("asked every %s", c.Interval)
	if c.FastInterval > 0 {
		text += fmt.Sprintf(", every %s while results speak against the verdict", c.FastInterval)
	}
	text += fmt.Sprintf(", timeout %s", c.Timeout)
	if c.Retries > 0 {
		text += fmt.Sprintf(", tried up to %s more after %s", times(uint64(c.Retries)), c.RetryDelay)
	}
	return text + fmt.Sprintf("; up by %s, down by %s", count(c.Rise, "success"), count(c.Fall, "failure"))
}

// threshold says how near the verdict is to a change.
func (x *explainer) threshold(c *director.CheckExplanation) {
	if c.State == "unknown" {
		decides := "the first result decides"
		if c.AssumedUp && c.Inherited {
			decides = fmt.Sprintf("one success confirms that, %s in a row would take it down", count(c.Needed, "failure"))
		}
		x.line(2, "no result yet: %s; %s", assumed(c), decides)
		return
	}
	if c.Against == 0 {
		return
	}
	word, change := "failure", "takes it down"
	if c.State == "down" {
		word, change = "success", "takes it up"
	}
	if left := c.Needed - c.Against; left > 0 {
		x.line(2, "%d of %s in a row; %s more %s", c.Against, count(c.Needed, word), number(left), change)
		return
	}
	x.line(2, "%s in a row, of which %d are enough", count(c.Against, word), c.Needed)
}

// flap explains the score of changes.
func (x *explainer) flap(c *director.CheckExplanation) {
	switch {
	case c.FlapSuppressed && c.FlapLimit > 0:
		end := float64(c.FlapLimit) / 2
		wait := time.Duration(float64(c.FlapHalfLife) * math.Log2(max(c.FlapScore/end, 1))).Round(time.Second)
		x.line(2, "flapping: it came and went too often and is kept down although it may pass; "+
			"score %.1f, limit %d, free below %.1f, in about %s if it stays quiet", c.FlapScore, c.FlapLimit, end, wait)
	case c.FlapScore > 0 && c.FlapLimit > 0:
		x.line(2, "flap score %.1f of %d: each change adds 1, half of it is forgotten every %s", c.FlapScore, c.FlapLimit, c.FlapHalfLife)
	case c.FlapScore > 0:
		x.line(2, "flap score %.1f", c.FlapScore)
	}
}

// result prints a result with what was said.
func (x *explainer) result(what string, r *director.ResultExplanation) {
	if r == nil {
		return
	}
	text := fmt.Sprintf("%s at %s, after %s", what, x.clock(r.At), took(r.Duration))
	if r.Tries > 1 {
		text += fmt.Sprintf(", at the %s try", ordinal(r.Tries))
	}
	x.line(2, "%s: %s", text, said(r))
	if r.Told != nil {
		x.line(3, "tells weight %d", *r.Told)
	}
	lines := strings.Split(strings.TrimRight(r.Transcript, "\n"), "\n")
	shown := lines
	if !x.verbose && len(lines) > shownLines {
		shown = lines[:shownLines]
	}
	for _, line := range shown {
		if line != "" {
			x.line(3, "%s", line)
		}
	}
	if more := len(lines) - len(shown); more > 0 {
		x.line(3, "and %s more, see -v", count(more, "line"))
	}
}

// next says when the next probe is due.
func (x *explainer) next(c *director.CheckExplanation) {
	switch {
	case c.Next.IsZero():
	case c.Next.After(x.now):
		x.line(2, "next probe in %s", c.Next.Sub(x.now).Round(100*time.Millisecond))
	default:
		x.line(2, "next probe now")
	}
}

// shownUsers is how many of those who share a probe are printed.
const shownUsers = 5

// shared names who else the probe is for.
func (x *explainer) shared(users []director.CheckUser) {
	if len(users) == 0 {
		return
	}
	shown := users
	if !x.verbose {
		shown = users[:min(len(users), shownUsers)]
	}
	var names []string
	for _, u := range shown {
		if u.Tracker != "" {
			names = append(names, "tracker "+u.Tracker)
			continue
		}
		names = append(names, u.Server+" in "+u.Service)
	}
	text := strings.Join(names, ", ")
	if more := len(users) - len(shown); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	x.line(2, "the same probe is also for %s", text)
}
