package director

import (
	"context"
	"time"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/healthcheck"
)

func (d *Director) overrideFile() overrideFile { return overrideFile(d.OverrideFile) }

func (d *Director) overridesNow() overrideSet {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.overrides
}

// recallOverrides finds out what was ordered before this start. The error is that it
// cannot be known.
func (d *Director) recallOverrides() error {
	o, err := d.overrideFile().load()
	now := time.Now()
	d.mu.Lock()
	d.overrides, d.holdsOfMaintenance = o.set().without(now), SetOf(o.Holds...)
	d.overrideTrouble = errorText(err)
	set := d.overrides
	d.mu.Unlock()
	d.setAdmin(adminOf(set, now))
	return err
}

// keepDrained is for when it cannot be known what was ordered. A real server that an
// operator took out must not come back because a file is damaged, and a service must
// not lose its last real server for that: whoever has weight 0 in the kernel beside
// others that serve is drained until an operator says otherwise. It is the oldest
// order of all, so that what other nodes know goes before it.
func (d *Director) keepDrained(first Snapshot, c *config.Config) {
	node, now := d.nodeName(), time.Now()
	have := first.State(OwnedBy(c))
	var doubtful []Override
	for i := range c.Services {
		service := &c.Services[i]
		for _, server := range mute(service, have.Services[service.IPVS.ServiceKey]) {
			doubtful = append(doubtful, Override{
				Target: Target{Service: service.Name, Server: server.Address.String()}, State: Drain,
				Reason: "the override file is damaged, and it had weight 0", By: "lvsd", Node: node, At: time.Unix(0, 0).UTC(),
			})
		}
	}
	d.mu.Lock()
	set, _, _ := d.overrides.with(doubtful...)
	d.overrides = set
	d.mu.Unlock()
	d.setAdmin(adminOf(set, now))
}

// mute are the real servers that have weight 0, if others serve.
func mute(service *config.VirtualService, present Service) []*config.RealServer {
	var mute []*config.RealServer
	serves := false
	for i := range service.RealServers {
		server := &service.RealServers[i]
		switch destination, there := present.realServer(server.Address); {
		case !there || server.Weight == 0:
		case destination.Weight == 0:
			mute = append(mute, server)
		default:
			serves = true
		}
	}
	if !serves {
		return nil
	}
	return mute
}

// mendOverrides writes the file anew after a start from a damaged one.
func (d *Director) mendOverrides(damage error) {
	d.Log.Error("it is not known what was ordered: real servers with weight 0 beside others that serve stay drained, until they are enabled",
		"err", damage)
	if err := d.overrideFile().setAside(); err != nil {
		d.Log.Error("the damaged override file stays where it is", "err", err)
		return
	}
	d.ordering.Lock()
	defer d.ordering.Unlock()
	if err := d.overrideFile().save(ordersOf(d.overridesNow(), d.maintenanceHolds())); err != nil {
		d.Log.Error("what is drained would be forgotten by a restart", "err", err)
	}
}

// setAdmin is for the loop, or before there is one.
func (d *Director) setAdmin(a Admin) {
	d.seen.Lock()
	defer d.seen.Unlock()
	d.admin = a
}

// enact goes over to what is ordered now, and returns the services that this means
// something to, by their place in the configuration.
func (d *Director) enact() (touched []int) {
	now := time.Now()
	d.mu.Lock()
	set, fresh := d.overrides, d.overridesNew
	d.overridesNew = false
	d.mu.Unlock()
	before := d.admin
	over := !before.until.IsZero() && !now.Before(before.until)
	if !fresh && !over {
		return nil
	}
	next := adminOf(set, now)
	d.setAdmin(next)
	services := d.derived.config.Services
	for n := range services {
		if before.differs(next, &services[n]) {
			touched = append(touched, n)
			d.reenable(&services[n], before, next)
		}
	}
	if over {
		d.tellEnded(set, before.until, now)
		nudge(d.maintained)
	}
	return touched
}

// tellEnded tells of the overrides whose time was over between the two.
func (d *Director) tellEnded(set overrideSet, since, now time.Time) {
	for _, o := range set.list() {
		if o.Cleared || o.Until.Before(since) || now.Before(o.Until) {
			continue
		}
		d.recordOverride(EventOverrideEnded, o, o.state())
		d.Log.Info("the time of an order is over", "target", o.Target.String(), "reason", o.Reason, "by", o.By, "node", o.Node)
	}
}

// reenable has the weights rise slowly of real servers that operators took out and that
// are up when they come back, where the service says so.
func (d *Director) reenable(service *config.VirtualService, before, next Admin) {
	if service.SlowStart == 0 {
		return
	}
	d.seen.Lock()
	defer d.seen.Unlock()
	for i := range service.RealServers {
		server := &service.RealServers[i]
		was, _ := before.of(service, server.Address)
		is, _ := next.of(service, server.Address)
		key := serverKey(service, server.Address)
		switch {
		case is != Enabled:
			delete(d.recovered, key)
		case was != Enabled && verdictOf(server, d.checkStatus).State == healthcheck.Up:
			d.recovered[key] = time.Now()
		}
	}
}

// enacted waits until the loop has applied what was ordered before, or ctx ends: it
// is applied then too, but later. Between two questions the loop takes a step.
func (d *Director) enacted(ctx context.Context) {
	for range 2 {
		if d.ask(ctx, func() {}) != nil {
			return
		}
	}
}
