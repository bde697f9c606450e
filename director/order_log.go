package director

import (
	"fmt"
	"strings"
	"time"
)

// tellOrder tells the log and who follows events of an override that is new.
func (d *Director) tellOrder(o, before Override, now time.Time) {
	kind := EventOverride
	if !o.stands(now) {
		if before.At.IsZero() {
			return // it stood for nobody here
		}
		kind = EventOverrideEnded
	}
	d.recordOverride(kind, o, before.state())
	arguments := []any{"target", o.Target.String()}
	if kind == EventOverride {
		arguments = append(arguments, o.arguments()...)
	}
	arguments = append(arguments, "reason", o.Reason, "by", o.By, "node", o.Node)
	if kind == EventOverride {
		d.Log.Info("ordered", arguments...)
	} else {
		d.Log.Info("order taken back", arguments...)
	}
}

// recordOverride makes an event of an override.
func (d *Director) recordOverride(kind EventKind, o Override, from AdminState) {
	to := o.state()
	if kind == EventOverrideEnded {
		to = Enabled
	}
	d.Record(Event{
		Kind: kind, Severity: SeverityInfo, Service: o.Target.Service, Server: o.Target.Server,
		From: string(from), To: string(to), Reason: o.Reason, Text: o.story(kind),
	})
}

// arguments are what is ordered, for a line of the log.
func (o Override) arguments() []any {
	var all []any
	if o.State != "" {
		all = append(all, "state", o.State)
	}
	if o.Weight != nil {
		all = append(all, "weight", *o.Weight)
	}
	if !o.Until.IsZero() {
		all = append(all, "until", o.Until)
	}
	return all
}

// story is the override in a line for people.
func (o Override) story(kind EventKind) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: ", o.Target)
	switch {
	case kind == EventOverrideEnded && o.Cleared:
		b.WriteString("order taken back")
	case kind == EventOverrideEnded:
		b.WriteString("the time of its order is over")
	default:
		b.WriteString(o.what())
	}
	if kind == EventOverride && !o.Until.IsZero() {
		fmt.Fprintf(&b, " until %s", o.Until.Format(time.RFC3339))
	}
	if o.By != "" {
		fmt.Fprintf(&b, ", by %s", o.By)
	}
	if o.Reason != "" {
		fmt.Fprintf(&b, ": %s", o.Reason)
	}
	return b.String()
}

// what is the state and the weight that are ordered.
func (o Override) what() string {
	var all []string
	if o.State != "" {
		all = append(all, string(o.State))
	}
	if o.Weight != nil {
		all = append(all, fmt.Sprintf("weight %d", *o.Weight))
	}
	return strings.Join(all, ", ")
}
