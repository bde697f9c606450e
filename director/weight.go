package director

import (
	"time"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/healthcheck"
)

// MaxWeight is what ipvsadm and this program take; the kernel would take more.
const MaxWeight = 65535

// slowStartPace is the shortest time between two weights of slow start.
const slowStartPace = 100 * time.Millisecond

// isUp reports whether the checks of the real server have it up: all of them, or
// with AnyCheck one. Without checks it always is.
func (f Facts) isUp(server *config.RealServer) bool {
	for i := range server.Checks {
		if f.passes(server.Checks[i]) == server.AnyCheck {
			return server.AnyCheck
		}
	}
	return !server.AnyCheck || len(server.Checks) == 0
}

// isAvailable reports whether the real server is to have a weight: it is up, and no
// operator has taken it out.
func (f Facts) isAvailable(s *config.VirtualService, server *config.RealServer) bool {
	admin, _ := f.Admin.of(s, server.Address)
	return admin == Enabled && f.isUp(server)
}

// passes is f.Up, where none is known to pass if that is nil.
func (f Facts) passes(check healthcheck.Spec) bool { return f.Up != nil && f.Up(check) }

// upWeight is the weight of the service's real server while it is up: the one
// that is ordered, that it tells or that is configured, as its weight checks have
// it; or the one that it had, until it can tell another.
func (f Facts) upWeight(s *config.VirtualService, server *config.RealServer) int {
	if kept, ok := f.kept(s, server); ok {
		return kept
	}
	weight := f.baseWeight(server)
	if ordered := f.Admin.weight(s, server.Address); ordered != nil {
		weight = *ordered
	}
	for i := range server.WeightChecks {
		weight += f.change(&server.WeightChecks[i])
	}
	return min(max(weight, 0), MaxWeight)
}

// kept is the weight that the real server had, if that stands until it can tell
// another.
func (f Facts) kept(s *config.VirtualService, server *config.RealServer) (weight int, ok bool) {
	if len(f.Kept) == 0 || f.Admin.weight(s, server.Address) != nil {
		return 0, false
	}
	weight, ok = f.Kept[serverKey(s, server.Address)]
	return weight, ok
}

// change is what a weight check adds to the weight now.
func (f Facts) change(check *config.WeightCheck) int {
	if f.passes(check.Check) == (check.Weight > 0) {
		return check.Weight
	}
	return 0
}

// ramp is how a weight rises from 1 to the full in slow start: in steps of equal
// height and length, so that the weight changes only at moments that are known
// beforehand.
type ramp struct {
	full  int
	steps int
	// step is the length of one; over the length of all, which step need not
	// divide.
	step, over time.Duration
}

func rampTo(full int, over time.Duration) ramp {
	r := ramp{full: full, over: over}
	if full > 1 && over > 0 {
		r.steps = min(full-1, max(int(over/slowStartPace), 1))
		r.step = over / time.Duration(r.steps)
	}
	return r
}

// passed is how many steps lie behind.
func (r ramp) passed(elapsed time.Duration) int {
	if r.steps == 0 || r.step == 0 || elapsed >= r.over {
		return r.steps
	}
	return min(int(max(elapsed, 0)/r.step), r.steps-1)
}

// weight is the weight so long after the recovery.
func (r ramp) weight(elapsed time.Duration) int {
	passed := r.passed(elapsed)
	if passed == r.steps {
		return r.full
	}
	return 1 + passed*(r.full-1)/r.steps
}

// next is how long after the recovery the weight changes next; zero is never.
func (r ramp) next(elapsed time.Duration) time.Duration {
	switch passed := r.passed(elapsed); {
	case passed == r.steps:
		return 0
	case passed == r.steps-1:
		return r.over
	default:
		return time.Duration(passed+1) * r.step
	}
}

// rampOf is the ramp that the real server is on, and since when.
func (f Facts) rampOf(s *config.VirtualService, server *config.RealServer) (r ramp, elapsed time.Duration, on bool) {
	if s.SlowStart <= 0 || len(f.Recovered) == 0 {
		return ramp{}, 0, false
	}
	since, on := f.Recovered[serverKey(s, server.Address)]
	return rampTo(f.upWeight(s, server), s.SlowStart), f.Now.Sub(since), on
}

// weight is the weight of a real server that is up.
func (f Facts) weight(s *config.VirtualService, server *config.RealServer) int {
	if r, elapsed, on := f.rampOf(s, server); on {
		return r.weight(elapsed)
	}
	return f.upWeight(s, server)
}

// nextStep is when a weight of the service that rises is to be raised again; zero
// is never.
func (f Facts) nextStep(s config.VirtualService) time.Time {
	var next time.Time
	for i := range s.RealServers {
		server := &s.RealServers[i]
		r, elapsed, on := f.rampOf(&s, server)
		if !on || !f.isAvailable(&s, server) {
			continue
		}
		if after := r.next(elapsed); after > 0 {
			next = earlier(next, f.Now.Add(after-elapsed))
		}
	}
	return next
}

// nextChange is when Plan comes to another result although nothing happens until
// then; zero is never. While Stopping, that is when the rest may go.
func nextChange(f Facts) time.Time {
	next := earlier(f.lingersUntil(), f.settlesUntil())
	if f.Stopping && !f.handsOver() || len(f.Recovered) == 0 {
		return next
	}
	for _, service := range f.Config.Services {
		if service.SlowStart > 0 {
			next = earlier(next, f.nextStep(service))
		}
	}
	return next
}

// earlier is the earlier of two times, of which zero is never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
