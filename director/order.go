package director

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// spreadPatience bounds how long an order waits for the other nodes; who has not
// answered by then hears of it later.
const spreadPatience = 5 * time.Second

// Order makes an override, writes it down, applies it and tells the other nodes.
//
// The real server may be named by its host name, or by its address without a port;
// all that the name means in the service are ordered, or with an empty service in
// all services that have it, and the first is returned. What an order does not name,
// the weight or the state, stays as ordered before. Enabled takes the state back;
// with nothing left the override is cleared.
//
// The error is ErrUnknownService, ErrUnknownServer (both with the nearest),
// ErrUnknownNode if the node is not this one, ErrBadOrder, or that it could not be
// written down; then nothing changed.
func (d *Director) Order(ctx context.Context, o Order) (Spread, error) {
	if err := o.validate(); err != nil {
		return Spread{}, err
	}
	targets, err := d.targets(o.Target)
	if err != nil {
		return Spread{}, err
	}
	return d.ordered(ctx, targets, o.override)
}

// Clear takes an override back. Targets are named as for Order; one that the
// configuration does not have must be named as it stands. The errors are Order's; to
// clear what is not ordered is none.
func (d *Director) Clear(ctx context.Context, t Target, by string) (Spread, error) {
	if err := text("by", by); err != nil {
		return Spread{}, err
	}
	targets := []Target{t}
	if _, known := d.overridesNow().all[t]; !known {
		var err error
		if targets, err = d.targets(t); err != nil {
			return Spread{}, err
		}
	}
	return d.ordered(ctx, targets, func(Override, time.Time) (Override, error) {
		return Override{Cleared: true, By: by}, nil
	})
}

// Overrides are those that stand and those that are over and count against older
// ones, sorted by Target.
func (d *Director) Overrides() []Override {
	now := time.Now()
	return d.overridesNow().less(func(o Override) bool { return o.isForgotten(now) || o.isGuess() }).list()
}

// Merge takes in the overrides of another node and reports whether that changed
// anything. What makes no sense is left out, which the log tells. The error is that
// the rest could not be written down; then nothing changed.
func (d *Director) Merge(_ context.Context, overrides []Override) (changed bool, err error) {
	now := time.Now()
	sensible := make([]Override, 0, len(overrides))
	var errs []error
	for _, o := range overrides {
		o.At, o.Until = o.At.Round(0).UTC(), o.Until.Round(0).UTC()
		switch err := o.validate(); {
		case err != nil:
			errs = append(errs, fmt.Errorf("%s, ordered on %q: %w", o.Target, o.Node, err))
		case o.isForgotten(now), o.isGuess():
		default:
			sensible = append(sensible, o)
		}
	}
	news, err := d.enter(func(set overrideSet, _ time.Time) ([]Override, error) {
		_, news, refused := set.with(sensible...)
		errs = append(errs, badIf(refused > 0, "%d overrides: more than %d are not kept", refused, maxOverrides))
		d.tellLeftOut(errors.Join(errs...))
		return news, nil
	})
	return len(news) > 0, err
}

// tellLeftOut logs which overrides of other nodes were not taken in, once: they come
// again and again. It needs d.ordering.
func (d *Director) tellLeftOut(err error) {
	if text := errorText(err); text != "" && text != d.leftOut {
		d.leftOut = text
		d.Log.Warn("orders of another node are left out", "err", err)
	}
}

// validate is an error unless the order makes sense, whatever its target.
func (o Order) validate() error {
	return errors.Join(
		Override{State: o.State, Weight: o.Weight, Target: o.Target}.wanted(),
		text("reason", o.Reason), text("by", o.By),
		badIf(o.For < 0, "for %v: want a time, or none", o.For),
		badIf(o.For > 0 && o.State == Enabled && o.Weight == nil, "%s: %q is how everything is without an order, so it has no end", o.Target, Enabled),
	)
}

// override is what the order makes of what stands, which may be the zero Override.
// What two orders want of one target has one end, or one of them would end unasked.
func (o Order) override(standing Override, now time.Time) (Override, error) {
	next := Override{State: o.State, Weight: o.Weight, Reason: o.Reason, By: o.By}
	if o.For > 0 {
		next.Until = now.Add(o.For)
	}
	kept := ""
	if o.State == "" && standing.State != "" {
		next.State, kept = standing.State, string(standing.State)
	}
	if o.Weight == nil && standing.Weight != nil {
		next.Weight, kept = standing.Weight, fmt.Sprintf("weight %d", *standing.Weight)
	}
	if o.State == Enabled {
		next.State = ""
		if o.Weight == nil {
			next.Until = standing.Until
		}
	}
	if next.State == "" && next.Weight == nil {
		next.Cleared, next.Until = true, time.Time{}
	}
	differ := kept != "" && o.State != Enabled && !next.Until.Equal(standing.Until)
	return next, badIf(differ, "%s is ordered %s, and this order %s: clear that first, or give both the same end",
		kept, end(standing.Until), end(next.Until))
}

func end(until time.Time) string {
	if until.IsZero() {
		return "without end"
	}
	return "until " + until.Format(time.RFC3339)
}

// ordered makes overrides of the targets out of those that stand, and spreads them.
func (d *Director) ordered(ctx context.Context, targets []Target, build func(Override, time.Time) (Override, error)) (Spread, error) {
	node := d.nodeName()
	var first Override
	news, err := d.enter(func(set overrideSet, now time.Time) ([]Override, error) {
		var all []Override
		at := set.tick(now)
		for _, t := range targets {
			standing, stands := set.standing(t, now)
			if !stands {
				standing = Override{}
			}
			o, err := build(standing, now.Round(0).UTC())
			if err != nil {
				return nil, fmt.Errorf("%s: %w", t, err)
			}
			o.Target, o.Node, o.At = t, node, at
			if t.Node == node && !o.Cleared {
				o.Addresses = d.ownServers()
			}
			all = append(all, o)
		}
		first = all[0]
		_, _, refused := set.with(all...)
		return all, badIf(refused > 0, "there are %d overrides already, as many as are kept: clear some", maxOverrides)
	})
	if err != nil {
		return Spread{}, err
	}
	d.trust()
	d.enacted(ctx)
	return d.spread(ctx, first, news), nil
}

// spread tells the other nodes.
func (d *Director) spread(ctx context.Context, first Override, news []Override) Spread {
	s := Spread{Override: first, Told: []string{}, Untold: map[string]string{}}
	if d.Spread != nil {
		ctx, cancel := context.WithTimeout(ctx, spreadPatience)
		defer cancel()
		told, untold := d.Spread(ctx, news)
		s.Told = append(s.Told, told...)
		maps.Copy(s.Untold, untold)
	}
	for _, name := range d.otherNodes() {
		if _, known := s.Untold[name]; !known && !slices.Contains(s.Told, name) {
			s.Untold[name] = "the cluster channel does not work here"
		}
	}
	return s
}

// otherNodes are those of the configured cluster, sorted.
func (d *Director) otherNodes() []string {
	cluster := d.currentConfig().Cluster
	if cluster == nil {
		return nil
	}
	names := slices.DeleteFunc(allKeys(cluster.Nodes), func(name string) bool { return name == cluster.Self })
	slices.Sort(names)
	return names
}

// nodeName is this node's name in overrides: the one that the other nodes know.
func (d *Director) nodeName() string {
	c := d.currentConfig()
	switch {
	case c.Cluster != nil:
		return c.Cluster.Self
	case d.Node != "":
		return d.Node
	default:
		return c.Global.RouterID
	}
}

// targets are what the target means: services and real servers of the configuration,
// or this node.
func (d *Director) targets(t Target) ([]Target, error) {
	switch {
	case t.Node != "" && t.Service+t.Server == "":
		if own := d.nodeName(); t.Node != own {
			return nil, fmt.Errorf("%w here: %q, this one is %q", ErrUnknownNode, t.Node, own)
		}
		return []Target{t}, nil
	case t.Node == "" && t.Server != "":
		return d.serverTargets(t)
	case t.Node == "" && t.Service != "":
		return []Target{t}, d.hasService(t.Service)
	}
	return nil, t.validate()
}

// serverTargets are the real servers of the name, which must be whole: an order has no
// use for the beginning of one.
func (d *Director) serverTargets(t Target) ([]Target, error) {
	configured := scene{facts: Facts{Config: d.currentConfig()}}
	meant, err := configured.find(t.Server, t.Service)
	if err != nil {
		return nil, err
	}
	if !meant[0].is(t.Server) {
		return nil, fmt.Errorf("%w: %q, which is only the beginning of %q", ErrUnknownServer, t.Server, meant[0].name())
	}
	var all []Target
	for _, m := range meant {
		target := Target{Service: m.service.Name, Server: m.address.String()}
		if m.address.IsValid() && !slices.Contains(all, target) {
			all = append(all, target)
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%w: %q has no address", ErrUnknownServer, t.Server)
	}
	return all, nil
}

// hasService is an error, with the nearest, unless there is a service of the name.
func (d *Director) hasService(name string) error {
	var names []string
	services := d.currentConfig().Services
	for i := range services {
		names = append(names, services[i].Name)
	}
	slices.Sort(names)
	if names = slices.Compact(names); slices.Contains(names, name) {
		return nil
	}
	return fmt.Errorf("%w: %q%s", ErrUnknownService, name, NearestName(name, names))
}

// enter puts overrides into the set, which are made of it as it is, and returns those
// that are new. Unless that can be written down, nothing changes.
func (d *Director) enter(build func(set overrideSet, now time.Time) ([]Override, error)) ([]Override, error) {
	d.ordering.Lock()
	defer d.ordering.Unlock()
	now := time.Now()
	set := d.overridesNow()
	overrides, err := build(set, now)
	if err != nil || len(overrides) == 0 {
		return nil, err
	}
	next, news, _ := set.with(overrides...)
	next = next.without(now)
	if err := d.saveOrders(next, d.maintenanceNow()); err != nil {
		return nil, err
	}
	d.mu.Lock()
	d.overrides, d.overridesNew = next, true
	d.mu.Unlock()
	for _, o := range news {
		before, _ := set.standing(o.Target, now)
		d.tellOrder(o, before, now)
	}
	nudge(d.wake)
	nudge(d.maintained)
	return news, nil
}
