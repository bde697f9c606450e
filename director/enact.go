package director

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/healthcheck"
)

func (d *Director) overrideFile() overrideFile { return overrideFile(d.OverrideFile) }

func (d *Director) overridesNow() overrideSet {
	_ = d.recallOverrides()
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.overrides
}

// recallOverrides finds out what was ordered before this start, once: who asks first
// may be another node or an operator, before Run is that far. The error is that it
// cannot be known.
func (d *Director) recallOverrides() error {
	d.recalling.Do(func() {
		o, err := d.overrideFile().load()
		d.mu.Lock()
		defer d.mu.Unlock()
		d.overrides, d.upkeep = o.set().without(time.Now()), o.upkeep()
		d.overrideTrouble = errorText(err)
		d.damage, d.damaged = err, err != nil
	})
	return d.damage
}

// saveOrders writes down what is ordered. A damaged file is kept for whoever wants to
// look at it. It needs d.ordering.
func (d *Director) saveOrders(set overrideSet, u upkeep) error {
	if d.damaged {
		if err := d.overrideFile().setAside(); err != nil {
			return fmt.Errorf("damaged override file: %w", err)
		}
		d.damaged = false
	}
	return d.overrideFile().save(ordersOf(set, u))
}

// guessOrders is for when it cannot be known what was ordered. A real server that an
// operator took out must not come back because a file is damaged, and a service must
// not lose its last real server for that: whoever has weight 0 in the kernel beside
// others that serve, or is not there, stays so until an operator says otherwise, or
// another node tells what was ordered.
func (d *Director) guessOrders(first Snapshot, c *config.Config) {
	d.ordering.Lock()
	defer d.ordering.Unlock()
	guesses := guessesOf(c, first.State(OwnedBy(c)), d.nodeName())
	set, _, _ := d.overridesNow().with(guesses...)
	d.mu.Lock()
	d.overrides = set
	d.mu.Unlock()
	d.setAdmin(adminOf(set, time.Now()))
}

// guessesOf are the orders that the kernel's table may follow from.
func guessesOf(c *config.Config, have State, node string) []Override {
	var all []Override
	guess := func(t Target, state AdminState, was string) {
		all = append(all, Override{
			Target: t, State: state, Reason: "the override file is damaged, and it " + was, By: "lvsd", Node: node, At: guessed,
		})
	}
	there := Set[string]{}
	for i := range c.Services {
		if _, present := have.Services[c.Services[i].IPVS.ServiceKey]; present {
			there.Add(c.Services[i].Name)
		}
	}
	for i := range c.Services {
		service := &c.Services[i]
		if len(there) > 0 && !there.Has(service.Name) {
			guess(Target{Service: service.Name}, Disabled, "was not there")
		}
		drained, disabled := takenOut(service, have.Services[service.IPVS.ServiceKey])
		for _, address := range drained {
			guess(Target{Service: service.Name, Server: address.String()}, Drain, "had weight 0")
		}
		for _, address := range disabled {
			guess(Target{Service: service.Name, Server: address.String()}, Disabled, "was not there")
		}
	}
	return all
}

// takenOut are the real servers that have weight 0, and those that are not there, if
// others serve.
func takenOut(service *config.VirtualService, present Service) (drained, disabled []netip.AddrPort) {
	serves := false
	for i := range service.RealServers {
		server := &service.RealServers[i]
		if !server.Address.IsValid() || server.Weight == 0 {
			continue
		}
		switch destination, there := present.realServer(server.Address); {
		case !there:
			disabled = append(disabled, server.Address)
		case destination.Weight == 0:
			drained = append(drained, server.Address)
		default:
			serves = true
		}
	}
	if !serves {
		return nil, nil
	}
	return drained, disabled
}

// mendOverrides writes the file anew after a start from a damaged one.
func (d *Director) mendOverrides(damage error) {
	d.ordering.Lock()
	defer d.ordering.Unlock()
	d.Log.Error("it is not known what was ordered: real servers with weight 0 or not there, beside others that serve, stay so, until they are enabled",
		"err", damage, "guessed", len(d.overridesNow().guesses()))
	d.tellUnknownHolds()
	if err := d.saveOrders(d.overridesNow(), d.maintenanceNow()); err != nil {
		d.Log.Error("what is guessed would be forgotten by a restart", "err", err)
	}
}

// tellUnknownHolds tells that instances are held, and that nothing will release them
// by itself.
func (d *Director) tellUnknownHolds() {
	d.mu.Lock()
	held := slices.Sorted(maps.Keys(d.held))
	if len(held) > 0 {
		d.overrideTrouble += fmt.Sprintf("; %s held, perhaps for maintenance: its end will not release them, lvsd vrrp release does",
			strings.Join(held, ", "))
	}
	d.mu.Unlock()
	if len(held) > 0 {
		d.Log.Error("it is not known whether they are held for maintenance: lvsd vrrp release ends that", "held", held)
	}
}

// Agreed tells that another node has told all that it knows: what was ordered is known
// again, and nothing is guessed any more.
func (d *Director) Agreed() {
	d.ordering.Lock()
	defer d.ordering.Unlock()
	set := d.overridesNow()
	guesses := set.guesses()
	if len(guesses) > 0 {
		next := set.less(Override.isGuess)
		if err := d.saveOrders(next, d.maintenanceNow()); err != nil {
			d.Log.Error("what was guessed stands until the override file can be written", "err", err)
			return
		}
		d.mu.Lock()
		d.overrides, d.overridesNew = next, true
		d.mu.Unlock()
		for _, o := range guesses {
			d.recordOverride(EventOverrideEnded, o, o.state())
		}
		d.Log.Info("another node knows what was ordered: what was guessed is over", "count", len(guesses))
		nudge(d.wake)
	}
	d.trust()
}

// trust is for when nothing stands that was guessed, and somebody who knows has
// spoken: it is no trouble any more what was ordered before the start.
func (d *Director) trust() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.overrideTrouble != "" && len(d.overrides.guesses()) == 0 {
		d.overrideTrouble = ""
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
