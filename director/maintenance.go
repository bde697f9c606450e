package director

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
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
	target := d.maintenanceTarget()
	if !o.On {
		if err := d.releaseMaintained(); err != nil {
			return Spread{}, err
		}
		return d.Clear(ctx, target, o.By)
	}
	if own := d.nodeName(); target.Node != own {
		return Spread{}, badIf(true, "this node is in maintenance as %q, and is %q now: end that first", target.Node, own)
	}
	_, already := d.overridesNow().standing(target, time.Now())
	if err := d.mayLeave(); err != nil {
		return Spread{}, fmt.Errorf("no maintenance: %w", err)
	}
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

// mayLeave is ErrNoTakeover if this node is the MASTER that is left: every other node
// that is known is in maintenance.
func (d *Director) mayLeave() error {
	if !d.isAnyMaster() {
		return nil
	}
	others := d.otherNodes()
	if len(others) == 0 { // those that were heard of
		heard := Set[string]{}
		for _, o := range d.Overrides() {
			heard.Add(o.Node)
		}
		delete(heard, d.nodeName())
		others = slices.Sorted(maps.Keys(heard))
	}
	return d.anyFit(others)
}

// anyFit is ErrNoTakeover if all of the nodes, of which there are some, are in
// maintenance.
func (d *Director) anyFit(nodes []string) error {
	set, now := d.overridesNow(), time.Now()
	fit := slices.ContainsFunc(nodes, func(name string) bool {
		_, maintained := set.standing(Target{Node: name}, now)
		return !maintained
	})
	if fit || len(nodes) == 0 {
		return nil
	}
	return fmt.Errorf("%w: in maintenance already: %s", ErrNoTakeover, strings.Join(nodes, ", "))
}

// handOverAll leaves each instance to another node and holds it. It writes down
// which are to be released again before the first one is touched.
func (d *Director) handOverAll(ctx context.Context, spread Spread) error {
	if d.isAnyMaster() {
		if len(spread.Told) == 0 && len(spread.Untold) > 0 {
			return fmt.Errorf("%w: no other node answers, so none is asked to", ErrNoTakeover)
		}
		// Another node may have been ordered the same meanwhile.
		if err := d.anyFit(spread.Told); err != nil {
			return err
		}
	}
	var names []string
	for _, c := range d.currentConfig().VRRP {
		if name := c.Router.Name; !d.isHeld(name) {
			names = append(names, name)
		}
	}
	if err := d.keepUp(names); err != nil {
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
	done := d.maintenanceNow()
	if len(done.holds) == 0 && done.as == "" {
		return nil
	}
	names := slices.Sorted(maps.Keys(done.holds))
	if err := d.setHeld(names, false); err != nil {
		return fmt.Errorf("nothing is released: %w", err)
	}
	for _, i := range d.instancesOf(names) {
		i.router.Release()
	}
	d.Log.Info("out of maintenance", "released", names)
	return d.changeUpkeep(func(u *upkeep) { *u = upkeep{holds: Set[string]{}} })
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
	if o, stands := d.overridesNow().standing(d.maintenanceTarget(), now); stands {
		return &o
	}
	return nil
}

// maintenanceTarget is this node under the name that it had when maintenance was
// ordered.
func (d *Director) maintenanceTarget() Target {
	return Target{Node: cmp.Or(d.maintenanceNow().as, d.nodeName())}
}

func (d *Director) maintenanceNow() upkeep {
	_ = d.recallOverrides()
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.upkeep
}

// keepUp remembers that the instances are held for maintenance.
func (d *Director) keepUp(instances []string) error {
	as := d.maintenanceTarget().Node
	return d.changeUpkeep(func(u *upkeep) {
		u.as = as
		for _, name := range instances {
			u.holds.Add(name)
		}
	})
}

// changeUpkeep remembers something else of maintenance. It is as before if that cannot
// be written.
func (d *Director) changeUpkeep(change func(*upkeep)) error {
	d.ordering.Lock()
	defer d.ordering.Unlock()
	next := d.maintenanceNow()
	next.holds = SetOf(allKeys(next.holds)...)
	change(&next)
	if err := d.saveOrders(d.overridesNow(), next); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.upkeep = next
	return nil
}

// holdForGood has the end of maintenance not release the instances: an operator holds
// them.
func (d *Director) holdForGood(instances []string) error {
	holds := d.maintenanceNow().holds
	if !slices.ContainsFunc(instances, holds.Has) {
		return nil
	}
	return d.changeUpkeep(func(u *upkeep) {
		for _, name := range instances {
			delete(u.holds, name)
		}
	})
}

// holdNew holds an instance that comes while this node is in maintenance, and reports
// whether it does.
func (d *Director) holdNew(name string) bool {
	if d.inMaintenance(time.Now()) == nil {
		return false
	}
	err := d.keepUp([]string{name})
	if err == nil {
		err = d.setHeld([]string{name}, true)
	}
	if err != nil {
		d.Log.Error("held for maintenance, until a restart", "instance", name, "err", err)
	}
	return true
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
