// Package healthcheck keeps asking real servers whether they work: it schedules
// probes, counts rise and fall, and reports a verdict with its reason. It must
// not know IPVS, VRRP, or which virtual services share a target.
//
// From the inside out: package probe asks once, and its Connector connects to
// thousands at once. [Threshold] turns results into a verdict, unless so many
// checks fail together that this host is suspected ([OwnFault]), or the server
// comes and goes ([Flap]); what this host was too busy or too poor to find out is
// no result. A schedule says when a check is due, and a gate whether there is
// room for its probe ([Limits]). [Pool] keeps one check going for each distinct
// [Spec], tells of changes ([Change]), and of what delays or holds checks
// ([Notice]).
package healthcheck

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"time"
	"unique"

	"github.com/lvsd/lvsd/healthcheck/probe"
)

// Check is how a server is asked and how its answers count: all of a check but
// whom to ask. It is comparable.
type Check struct {
	Kind  probe.Kind
	Route probe.Route
	// Via sends the probe to this VIP on the way of a client's packets instead
	// of to the target itself; zero does not. Whoever starts such a check makes
	// the kernel forward packets with the Spec's Mark to the target.
	Via netip.AddrPort
	// Interval is the time from the start of one probe to the start of the
	// next, > 0. A probe that takes longer, retries included, is followed by
	// the next at once. FastInterval, if > 0, is in its place while results
	// speak against the verdict.
	Interval, FastInterval time.Duration
	// Timeout bounds the whole probe, whatever the server sends, > 0.
	Timeout time.Duration
	// Retries is how many times more a failed probe is tried, RetryDelay
	// apart, before it counts as one failure. A refused connection is an
	// answer: it counts at once.
	Retries    int
	RetryDelay time.Duration
	// Warmup is the time over which first probes are spread at random; 0 is
	// Interval, but at most a second. If Interval is longer, second probes are
	// spread over that.
	Warmup time.Duration
	// Rise and Fall are the consecutive successes and failures that change the
	// verdict, >= 1; what counts at the start is told at Threshold.
	Rise, Fall int
	// InitiallyUp starts with the verdict up instead of down.
	InitiallyUp bool
	Flap        Flap
}

// Flap keeps a server down that comes and goes. Each change of the verdict adds
// 1 to the score, which halves every HalfLife.
type Flap struct {
	// Limit is the score at which a server that is down stays down, until the
	// score is below half of it; 0 is never.
	Limit int
	// HalfLife is > 0; 0 is DefaultHalfLife.
	HalfLife time.Duration
}

// DefaultHalfLife is how long a score takes to halve unless told otherwise.
const DefaultHalfLife = 5 * time.Minute

// FirstWithin is how long the first probe may be put off: Warmup, or its default.
func (c Check) FirstWithin() time.Duration {
	return cmp.Or(c.Warmup, min(c.Interval, maxStartDelay))
}

// Spec is a check of one target: all that determines a probe and its verdict. It
// is comparable and is the identity of a check: two real servers with an equal
// Spec share one probe, and a check whose Spec a reload leaves equal keeps its
// history. It is small, however much the Check says. The zero Spec is no check.
type Spec struct {
	// Target is the server. The port of kinds that ask none is 0 or means
	// nothing.
	Target netip.AddrPort
	// Mark is the firewall mark of the probe's packets in place of the Route's;
	// 0 is none. Checks with a Via have one for each server.
	Mark  uint32
	check unique.Handle[Check]
}

// Of is the check of the target.
func (c Check) Of(target netip.AddrPort) Spec {
	return Spec{Target: target, check: unique.Make(c)}
}

// Check is how the target is asked.
func (s Spec) Check() Check {
	if s.check == (unique.Handle[Check]{}) {
		return Check{}
	}
	return s.check.Value()
}

// Request is what the check asks.
func (s Spec) Request() probe.Request {
	c := s.Check()
	r := probe.Request{Kind: c.Kind, Target: s.Target, Route: c.Route, Timeout: c.Timeout}
	if s.Mark != 0 {
		r.Route.Mark = s.Mark
	}
	if c.Via.IsValid() {
		r.Target, r.Route.Toward = c.Via, s.Target.Addr()
	}
	return r
}

// Type is the kind's: "smtp".
func (s Spec) Type() string {
	if k := s.Check().Kind; k != nil {
		return k.Type()
	}
	return "none"
}

// String names the check in logs: "smtp 192.0.2.1:25", "ping 192.0.2.1", "smtp
// 192.0.2.1:25 via 198.51.100.1:25".
func (s Spec) String() string {
	text := s.Type() + " " + s.Target.String()
	if s.Target.Port() == 0 && s.Target.Addr().IsValid() {
		text = s.Type() + " " + s.Target.Addr().String()
	}
	if via := s.Check().Via; via.IsValid() {
		text += " via " + via.String()
	}
	return text
}

// MarshalJSON writes all that s says, for who compares configurations; secrets
// included.
func (s Spec) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Type   string
		Target netip.AddrPort
		Mark   uint32
		Check  Check
	}{s.Type(), s.Target, s.Mark, s.Check()})
}

// Validate returns every reason why s cannot be run, joined, or nil.
func (s Spec) Validate() error {
	c := s.Check()
	var errs []error
	wrong := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("check %v: %w", s, fmt.Errorf(format, args...)))
	}
	if err := s.Request().Validate(); err != nil {
		wrong("%w", err)
	}
	if c.Via.IsValid() && s.Mark == 0 {
		wrong("one by way of a VIP needs a mark")
	}
	if c.Interval <= 0 {
		wrong("interval must be positive, got %v", c.Interval)
	}
	if c.FastInterval < 0 || c.Warmup < 0 {
		wrong("fast interval and warm-up must not be negative, got %v and %v", c.FastInterval, c.Warmup)
	}
	if c.Retries < 0 || c.RetryDelay < 0 {
		wrong("retries and retry delay must not be negative, got %d and %v", c.Retries, c.RetryDelay)
	}
	if c.Rise < 1 || c.Fall < 1 {
		wrong("rise and fall must be at least 1, got %d and %d", c.Rise, c.Fall)
	}
	if c.Flap.Limit < 0 || c.Flap.HalfLife < 0 {
		wrong("flap limit and half-life must not be negative, got %d and %v", c.Flap.Limit, c.Flap.HalfLife)
	}
	return errors.Join(errs...)
}
