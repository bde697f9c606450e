package director

import (
	"context"
	"maps"
	"time"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/healthcheck"
	"github.com/lvsd/lvsd/healthcheck/probe"
)

// lookInterval is how often everything is looked at in any case: for rivals, of
// whom no event tells, and for what the network did not tell.
const lookInterval = time.Second

// watchElection follows links, trackers, notices and rivals until ctx ends. It
// has its own goroutine: a link that goes down must not wait for kernel work.
func (d *Director) watchElection(ctx context.Context) {
	for {
		timer := time.NewTimer(d.evaluate())
		select {
		case <-ctx.Done():
		case <-d.look:
		case <-timer.C:
		}
		timer.Stop()
		if ctx.Err() != nil {
			return
		}
	}
}

// lookAgain makes watchElection look at what changed. It does not block.
func (d *Director) lookAgain() {
	nudge(d.look)
}

// evaluate makes every instance's priority and faults what links and trackers
// say now, and returns how long that holds if nothing happens.
func (d *Director) evaluate() time.Duration {
	d.evaluating.Lock()
	defer d.evaluating.Unlock()
	return d.evaluateLocked()
}

// evaluateLocked is evaluate for who has d.evaluating.
func (d *Director) evaluateLocked() time.Duration {
	now := time.Now()
	seen := &links{ask: d.Network.LinkUp, found: map[string]finding{}}
	due := d.track(d.sources(seen), now)
	for _, i := range d.currentInstances() {
		due = sooner(due, d.judge(i, seen, now))
		d.watchRival(i, now)
	}
	d.logNotices()
	wait := lookInterval
	if !due.IsZero() {
		wait = max(min(wait, due.Sub(now)), 0)
	}
	return wait
}

func (d *Director) sources(seen *links) sources {
	return sources{runners: d.runners.All(), check: d.checkStatus, service: d.serviceNamed, links: seen}
}

// checkStatus is where the check stands.
func (d *Director) checkStatus(spec healthcheck.Spec) healthcheck.Status {
	return d.statusOf(spec)
}

func (d *Director) isCheckUp(spec healthcheck.Spec) bool { return d.checkStatus(spec).Up }

// told is the weight that the server tells by the check.
func (d *Director) told(spec healthcheck.Spec) probe.Weight { return d.checkStatus(spec).Weight }

// serviceNamed is the first virtual service of that name.
func (d *Director) serviceNamed(name string) (config.VirtualService, bool) {
	c := d.currentConfig()
	for i := range c.Services {
		if c.Services[i].Name == name {
			return c.Services[i], true
		}
	}
	return config.VirtualService{}, false
}

// judge tells the instance's router what changed for it. It returns when the
// next change counts.
func (d *Director) judge(i *instance, seen *links, now time.Time) time.Time {
	d.mu.Lock()
	c := i.config
	d.mu.Unlock()
	faults, due := i.linkFaults(c, seen, now)
	lost, lostDue := i.sourceLost(c, d.Network, now)
	if due = sooner(due, lostDue); lost != "" {
		faults[causeSource] = lost
	}

	d.mu.Lock()
	was, is := i.fit, assess(i.base(), d.tracksOf(c, now), now)
	i.fit = is
	d.mu.Unlock()
	maps.Copy(faults, is.faults())
	i.tell(is.Priority, faults)
	if was.Priority != is.Priority {
		d.Log.Info("priority changed", "instance", c.Router.Name,
			"from", was.Priority, "to", is.Priority, "sum", is.Explanation)
	}
	if was.Waiting != "" && is.Waiting == "" {
		nudge(d.wake) // it may start
	}
	return due
}

// tell hands the router what is new for it. New causes come before old ones go:
// there must be no moment without any.
func (i *instance) tell(priority uint8, faults map[string]string) {
	if priority != i.priority {
		i.router.SetPriority(priority)
	}
	for cause, detail := range faults {
		if old, ok := i.faults[cause]; !ok || old != detail {
			i.router.SetFault(cause, detail)
		}
	}
	for cause := range i.faults {
		if _, ok := faults[cause]; !ok {
			i.router.ClearFault(cause)
		}
	}
	i.priority, i.faults = priority, faults
}

// base is what the priority starts from. It needs Director.mu.
func (i *instance) base() base {
	if i.override != 0 {
		return base{Priority: i.override, Operator: true}
	}
	return base{Priority: int(i.config.Router.Priority)}
}
