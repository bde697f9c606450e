package director

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Bounds of what an override says.
const (
	maxOverrideText      = 256 // bytes of a reason or a name
	maxOverrideAddresses = 256
	// lastOverrideYear leaves room for later ones below the year 10000, which JSON
	// cannot tell.
	lastOverrideYear = 9000
)

// validate is an error unless the override makes sense, wherever it comes from.
func (o Override) validate() error {
	return errors.Join(
		o.Target.validate(), o.wanted(),
		text("reason", o.Reason), text("by", o.By), text("node", o.Node),
		moment("at", o.At), moment("until", o.Until),
		badIf(o.Node == "", "it does not say on which node it was ordered"),
		badIf(o.At.IsZero(), "it does not say when it was ordered"),
		badIf(len(o.Addresses) > maxOverrideAddresses, "%d addresses: want at most %d", len(o.Addresses), maxOverrideAddresses),
	)
}

// wanted is an error unless the override wants something that its target can be.
func (o Override) wanted() error {
	switch o.State {
	case "", Enabled, Drain, Disabled:
	default:
		return badIf(true, "state %q: want %q, %q or %q", o.State, Enabled, Drain, Disabled)
	}
	if o.Weight != nil {
		return errors.Join(
			badIf(o.Target.Server == "", "a weight is for a real server, not for %s", o.Target),
			badIf(*o.Weight < 0 || *o.Weight > MaxWeight, "weight %d: want 0..%d", *o.Weight, MaxWeight),
		)
	}
	return badIf(o.State == "" && !o.Cleared, "%s: neither a state nor a weight", o.Target)
}

// validate is an error unless the target is one real server, service or node.
func (t Target) validate() error {
	names := errors.Join(text("service", t.Service), text("node", t.Node))
	switch {
	case t == Target{}:
		return badIf(true, "no target: want a service, a service and a real server, or a node")
	case t.Node != "":
		return errors.Join(names, badIf(t.Service != "" || t.Server != "", "node %q and a service: want one of them", t.Node))
	case t.Server == "":
		return names
	}
	_, err := netip.ParseAddrPort(t.Server)
	return errors.Join(
		names, badIf(t.Service == "", "real server %q without its service", t.Server),
		badIf(err != nil, "real server %q: want ADDRESS:PORT", t.Server),
	)
}

// String names the target as in a log.
func (t Target) String() string {
	switch {
	case t.Node != "":
		return "node " + t.Node
	case t.Server != "":
		return t.Server + " in " + t.Service
	}
	return t.Service
}

func text(what, value string) error {
	if len(value) > maxOverrideText {
		return badIf(true, "%s of %d bytes: want at most %d", what, len(value), maxOverrideText)
	}
	return badIf(!utf8.ValidString(value) || strings.ContainsFunc(value, unicode.IsControl), "%s %q: want UTF-8 without control characters", what, value)
}

func moment(what string, t time.Time) error {
	return badIf(t.Year() > lastOverrideYear, "%s in the year %d", what, t.Year())
}

// badIf is ErrBadOrder, with what is wrong.
func badIf(bad bool, format string, arguments ...any) error {
	if !bad {
		return nil
	}
	return fmt.Errorf("%w: %s", ErrBadOrder, fmt.Sprintf(format, arguments...))
}
