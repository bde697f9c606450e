package director

import (
	"fmt"
	"strings"
	"time"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/track"
	"github.com/lvsd/lvsd/vrrp"
)

// base is what the effective priority of an instance starts from.
type base struct {
	// Priority is 1..255.
	Priority int
	// Operator says that it was set by the priority verb.
	Operator bool
}

// tracked is a tracker as one instance depends on it, and how it is now.
type tracked struct {
	config.Tracked
	Kind config.TrackerKind
	// Group says that it is the sync group that tracks it.
	Group bool
	finding
	Since time.Time
	// Overdue says that it had the time to answer and did not.
	Overdue bool
}

// contribution is what a tracker does to an instance now.
type contribution struct {
	tracked
	// Applied is added to the priority.
	Applied int
	// Fault is why it keeps the instance in FAULT; empty if it does not.
	Fault string
}

// fitness is what all that an instance tracks amounts to.
type fitness struct {
	// Priority is the effective one.
	Priority      uint8
	Base          base
	Contributions []contribution
	// Explanation is how Priority comes about.
	Explanation string
	// Waiting is the tracker to be waited for before the instance may take part
	// in the election; empty if there is none.
	Waiting string
}

// assess weighs what an instance tracks. The priority stays within 1..254; that
// of the owner never changes.
func assess(b base, all []tracked, now time.Time) fitness {
	f := fitness{Base: b}
	sum := b.Priority
	for _, t := range all {
		c := contribution{tracked: t}
		if t.Weight == 0 {
			c.Fault = t.fault()
		} else if b.Priority != vrrp.Owner {
			c.Applied = t.applied()
		}
		if t.Weight == 0 && t.State == track.Unknown && !t.Overdue && f.Waiting == "" {
			f.Waiting = t.Tracker
		}
		sum += c.Applied
		f.Contributions = append(f.Contributions, c)
	}
	if b.Priority != vrrp.Owner {
		f.Priority = uint8(min(max(sum, 1), vrrp.Owner-1))
	} else {
		f.Priority = vrrp.Owner
	}
	f.Explanation = f.explain(sum, now)
	return f
}

// applied is what the tracker adds to the priority. One that has not answered
// adds nothing, and neither does a file without a number: a slip in it must not
// move VIPs.
func (t tracked) applied() int {
	switch up := t.isUp(); {
	case t.State == track.Unknown:
		return 0
	case t.Kind == config.TrackFile && t.State == track.Down:
		return 0
	case t.Kind == config.TrackFile && t.Reverse:
		return -t.Value * t.Weight
	case t.Kind == config.TrackFile:
		return t.Value * t.Weight
	case t.Weight > 0 && up, t.Weight < 0 && !up:
		return t.Weight
	}
	return 0
}

// isUp is the state as the instance takes it.
func (t tracked) isUp() bool { return (t.State == track.Up) != t.Reverse }

// fault is why a tracker of weight 0 keeps the instance in FAULT; empty if it
// does not.
func (t tracked) fault() string {
	switch {
	case t.State == track.Unknown && t.Overdue:
		return "no answer yet"
	case t.State == track.Unknown:
		return ""
	case t.Kind == config.TrackFile:
		if t.State == track.Up && (t.Value != 0) == t.Reverse {
			return ""
		}
	case t.isUp():
		return ""
	}
	if t.Reason == "" {
		return t.State.String()
	}
	return t.State.String() + ": " + t.Reason
}

// faults are the causes of FAULT among what is tracked, with details.
func (f fitness) faults() map[string]string {
	causes := map[string]string{}
	for _, c := range f.Contributions {
		if c.Fault != "" {
			causes["tracker "+c.Tracker] = c.Fault
		}
	}
	return causes
}

// explain writes the sum out: "100 −20 haproxy since 12:03:11 = 80".
func (f fitness) explain(sum int, now time.Time) string {
	var b strings.Builder
	fmt.Fprint(&b, f.Base.Priority)
	switch {
	case f.Base.Priority == vrrp.Owner:
		b.WriteString(" (owner)")
	case f.Base.Operator:
		b.WriteString(" set by operator")
	}
	terms := 0
	for _, c := range f.Contributions {
		if c.Applied != 0 {
			terms++
			fmt.Fprintf(&b, " %s %s since %s", signed(c.Applied), c.Tracker, clock(c.Since, now))
		}
	}
	if terms > 0 {
		fmt.Fprintf(&b, " = %d", f.Priority)
	}
	if int(f.Priority) != sum {
		b.WriteString(" (bounded)")
	}
	return b.String()
}

// signed is n with its sign, the minus as wide as the plus.
func signed(n int) string {
	if n < 0 {
		return fmt.Sprintf("\u2212%d", -n)
	}
	return fmt.Sprintf("+%d", n)
}

// clock is the time of day, with the date if it is another than now's.
func clock(t, now time.Time) string {
	if t.Format(time.DateOnly) == now.Format(time.DateOnly) {
		return t.Format(time.TimeOnly)
	}
	return t.Format(time.DateTime)
}
