package director

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/lvsd/lvsd/vrrp"
)

// Maintenance drains this node's real servers on every node, then gives up
// mastership of its instances and holds all of them; off, it undoes that in the
// reverse order. It returns when the other nodes have answered and another one is
// MASTER of each instance. Maintenance that was ordered for a time ends by itself,
// and also if its override is cleared, on whatever node.
//
// Nothing is held before another node is MASTER: the error is ErrNoTakeover then,
// and what was done is undone. After any other error what was done stands, and
// Maintenance may be asked for again, on or off.
func (d *Director) Maintenance(ctx context.Context, o MaintenanceOrder) (Spread, error) {
	if err := d.maintaining.take(ctx); err != nil {
		return Spread{}, fmt.Errorf("maintenance: %w", err)
	}
	defer d.maintaining.leave()
	target := Target{Node: d.nodeName()}
	if !o.On {
		if err := d.releaseMaintained(); err != nil {
			return Spread{}, err
		}
		return d.Clear(ctx, target, o.By)
	}
	_, already := d.overridesNow().standing(target, time.Now())
	spread, err := d.Order(ctx, Order{Target: target, State: Drain, Reason: o.Reason, By: o.By, For: o.For})
	if err != nil {
		return Spread{}, err
	}
	err = d.handOverAll(ctx, spread)
	if errors.Is(err, ErrNoTakeover) && !already {
		return Spread{}, errors.Join(fmt.Errorf("no maintenance: %w", err), d.endMaintenance(ctx, target))
	}
	return spread, err
}

// endMaintenance undoes what was begun, also when there is no time left for it.
func (d *Director) endMaintenance(ctx context.Context, own Target) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*spreadPatience)
	defer cancel()
	if err := d.releaseMaintained(); err != nil {
		return err
	}
	_, err := d.Clear(ctx, own, "lvsd")
	return err
}

// handOverAll leaves each instance to another node and holds it. It writes down
// which are to be released again before the first one is touched.
func (d *Director) handOverAll(ctx context.Context, spread Spread) error {
	if len(spread.Told) == 0 && len(spread.Untold) > 0 && d.isAnyMaster() {
		return fmt.Errorf("%w: no other node answers, so none is asked to", ErrNoTakeover)
	}
	var names []string
	holds := maps.Clone(d.maintenanceHolds())
	for _, c := range d.currentConfig().VRRP {
		if name := c.Router.Name; !d.isHeld(name) {
			names = append(names, name)
			holds.Add(name)
		}
	}
	if err := d.setMaintenanceHolds(holds); err != nil {
		return err
	}
	for _, name := range names {
		if err := d.leaveToAnother(ctx, name); err != nil {
			return err
		}
	}
	if err := d.setHeld(names, true); err != nil {
		return fmt.Errorf("nothing is held: %w", err)
	}
	for _, i := range d.instancesOf(names) {
		i.router.Hold()
	}
	d.Log.Info("in maintenance", "held", names)
	return nil
}

// leaveToAnother waits until another node is MASTER of the instance, and gives it up
// if it is this one. One that is not in the election needs nobody.
func (d *Director) leaveToAnother(ctx context.Context, name string) error {
	i, err := d.instance(name)
	if err != nil {
		return nil // a reload took it away
	}
	patience := time.Now().Add(2 * i.router.Status().MasterDownInterval)
	for {
		switch s := i.router.Status(); {
		case s.Role == vrrp.Master:
			_, err := d.GiveUp(ctx, name)
			if err == nil || i.router.Status().Role == vrrp.Master || ctx.Err() != nil {
				return err
			}
			// It moved with another one of its group, between the two.
		case s.Role != vrrp.Backup || servesElsewhere(s, time.Now()):
			return nil
		case time.Now().After(patience):
			return fmt.Errorf("instance %q: %w: no MASTER is heard", name, ErrNoTakeover)
		}
		if !pause(ctx, pollTakeover) {
			return fmt.Errorf("instance %q: %w: %w", name, ErrNoTakeover, context.Cause(ctx))
		}
	}
}

// servesElsewhere reports whether another MASTER has been heard lately.
func servesElsewhere(s vrrp.Status, now time.Time) bool {
	return slices.ContainsFunc(s.Peers, func(p vrrp.Peer) bool {
		return speaks(p) && now.Sub(p.Last) <= s.MasterDownInterval
	})
}

func (d *Director) isAnyMaster() bool {
	return slices.ContainsFunc(d.currentInstances(), func(i *instance) bool {
		return i.router.Status().Role == vrrp.Master
	})
}

// instancesOf are the instances of the names that there are.
func (d *Director) instancesOf(names []string) []*instance {
	d.mu.Lock()
	defer d.mu.Unlock()
	var all []*instance
	for _, name := range names {
		if i, there := d.instances[name]; there {
			all = append(all, i)
		}
	}
	return all
}

// releaseMaintained ends the holds that maintenance made, and no others.
func (d *Director) releaseMaintained() error {
	holds := d.maintenanceHolds()
	if len(holds) == 0 {
		return nil
	}
	names := slices.Sorted(maps.Keys(holds))
	if err := d.setHeld(names, false); err != nil {
		return fmt.Errorf("nothing is released: %w", err)
	}
	for _, i := range d.instancesOf(names) {
		i.router.Release()
	}
	d.Log.Info("out of maintenance", "released", names)
	return d.setMaintenanceHolds(Set[string]{})
}

// followMaintenance ends the holds of a maintenance that is over by its time, or by
// another node's word.
func (d *Director) followMaintenance(ctx context.Context) {
	nudge(d.maintained)
	for {
		select {
		case <-ctx.Done():
			return
		case <-d.maintained:
		}
		if d.maintaining.take(ctx) != nil {
			return
		}
		err := d.releaseIfOver()
		d.maintaining.leave()
		if err == nil {
			continue
		}
		d.Log.Error("the end of maintenance is tried again", "err", err)
		if !pause(ctx, time.Second) {
			return
		}
		nudge(d.maintained)
	}
}

func (d *Director) releaseIfOver() error {
	if d.inMaintenance(time.Now()) != nil {
		return nil
	}
	return d.releaseMaintained()
}

// inMaintenance is the override that has this node in maintenance; nil is none.
func (d *Director) inMaintenance(now time.Time) *Override {
	if o, stands := d.overridesNow().standing(Target{Node: d.nodeName()}, now); stands {
		return &o
	}
	return nil
}

func (d *Director) maintenanceHolds() Set[string] {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.holdsOfMaintenance == nil {
		return Set[string]{}
	}
	return d.holdsOfMaintenance
}

// setMaintenanceHolds remembers what the end of maintenance releases. It is as before
// if that cannot be written.
func (d *Director) setMaintenanceHolds(holds Set[string]) error {
	d.ordering.Lock()
	defer d.ordering.Unlock()
	if err := d.overrideFile().save(ordersOf(d.overridesNow(), holds)); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.holdsOfMaintenance = holds
	return nil
}

// ownServers are the addresses of this host that real servers have. VIPs are nobody's
// own, and what every host has, such as 127.0.0.1, names none.
func (d *Director) ownServers() []netip.Addr {
	c := d.currentConfig()
	vips, servers := Set[netip.Addr]{}, Set[netip.Addr]{}
	for address := range OwnedBy(c).VIPs {
		vips.Add(address.Addr)
	}
	for i := range c.Services {
		for j := range c.Services[i].RealServers {
			servers.Add(c.Services[i].RealServers[j].Address.Addr())
		}
	}
	own := Set[netip.Addr]{}
	d.seen.RLock()
	defer d.seen.RUnlock()
	for _, address := range d.view.snapshot.Addresses {
		if a := address.Addr; a.IsGlobalUnicast() && servers.Has(a) && !vips.Has(a) {
			own.Add(a)
		}
	}
	return slices.SortedFunc(maps.Keys(own), netip.Addr.Compare)
}

// turn is had by one at a time, as a mutex that can be waited for until a context
// ends.
type turn chan struct{}

func newTurn() turn { return make(turn, 1) }

func (t turn) take(ctx context.Context) error {
	select {
	case t <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (t turn) leave() { <-t }
