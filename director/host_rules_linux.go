package director

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/iptables"
)

// ruleset is the iptables rules of a Host. Nothing is run while no
// configuration has needed rules.
type ruleset struct {
	table *iptables.Table
	// lockWait is what table was opened with.
	lockWait time.Duration
	// needed are the chains that the configuration needs, read those and others
	// that have rules of an earlier one.
	needed, read Set[iptables.Chain]
	// listed is what the last complete listing, at listedAt, found.
	listed   []iptables.Tagged
	listedAt time.Time
	// hasEvents tells that the kernel tells of changed rules, hearing that watch
	// is told, heard that it was since the last listing.
	hasEvents, hearing, heard atomic.Bool
	// opened tells watch that hasEvents is known.
	opened chan struct{}
}

func newRuleset() *ruleset { return &ruleset{opened: make(chan struct{}, 1)} }

// listInterval is how often the rules are listed although no event told of a
// change.
const listInterval = 10 * time.Second

// chainsFor returns the chains that hold the rules of c.
func chainsFor(c *config.Config) Set[iptables.Chain] {
	chains := Set[iptables.Chain]{}
	for i := range c.VRRP {
		for _, vip := range c.VRRP[i].VIPs {
			if c.VRRP[i].ServeOnBackup {
				chains.Add(iptables.Redirect{VIP: vip.Addr}.Chain())
				chains.Add(iptables.Hold{IPv6: vip.Addr.Is6()}.Chain())
			}
			if c.Sync != nil {
				chains.Add(iptables.Mute{VIP: vip.Addr}.Chain())
			}
		}
	}
	for i := range c.Services {
		service := &c.Services[i]
		vips := []netip.Addr{service.IPVS.Address.Addr()}
		for _, mark := range service.Marks {
			chains.Add(mark.Chain())
			vips = append(vips, mark.VIP)
		}
		for _, vip := range vips {
			if service.SNAT != nil && vip.IsValid() {
				chains.Add(iptables.SNAT{VIP: vip}.Chain())
			}
		}
	}
	return chains
}

// prepare makes sure that what c needs can be listed. At the first need it looks
// for all that a predecessor may have left; later the chains of the last
// configuration are read until they are empty.
func (r *ruleset) prepare(c *config.Config) error {
	needed := chainsFor(c)
	if len(needed) > 0 && (r.table == nil || r.lockWait != c.Global.LockWait) {
		first := r.table == nil
		table, err := iptables.New(c.Global.LockWait, keysOf(needed)...)
		if err != nil {
			return err
		}
		r.table, r.lockWait = table, c.Global.LockWait
		if first {
			r.read = SetOf(table.Present(iptables.Chains())...)
		}
	} else if r.table != nil && !includes(r.read, needed) {
		if _, err := r.table.List(context.Background(), keysOf(needed)...); err != nil {
			return err
		}
	}
	r.needed = needed
	merge(&r.read, needed)
	r.changed()
	if r.table != nil && r.table.HasEvents() && !r.hasEvents.Swap(true) {
		select {
		case r.opened <- struct{}{}:
		default:
		}
	}
	return nil
}

// keysOf returns the chains of the set, in a fixed order.
func keysOf(chains Set[iptables.Chain]) []iptables.Chain {
	return slices.DeleteFunc(iptables.Chains(), func(c iptables.Chain) bool { return !chains.Has(c) })
}

func includes[T comparable](all, some Set[T]) bool {
	for element := range some {
		if !all.Has(element) {
			return false
		}
	}
	return true
}

// fill lists the tagged rules. A second copy of a rule, and a rule that this
// version would not write, is a stray. While somebody else keeps the xtables
// lock, the rules are taken to be as they were: VIPs and services must not wait
// for it.
func (r *ruleset) fill(ctx context.Context, s *Snapshot) error {
	if r.table == nil {
		return nil
	}
	err := r.list(ctx)
	locked := errors.Is(err, iptables.ErrLocked)
	if err != nil && !locked {
		return err
	}
	seen := Set[iptables.Rule]{}
	for _, found := range r.listed {
		if found.Rule == nil || seen.Has(found.Rule) {
			s.Strays = append(s.Strays, found.Deletion())
			continue
		}
		seen.Add(found.Rule)
		switch rule := found.Rule.(type) {
		case iptables.Redirect:
			s.Redirects = append(s.Redirects, rule)
		case iptables.Mark:
			s.Marks = append(s.Marks, rule)
		case iptables.SNAT:
			s.SNATs = append(s.SNATs, rule)
		case iptables.Mute:
			s.Mutes = append(s.Mutes, rule)
		case iptables.Hold:
			s.Holds = append(s.Holds, rule)
		}
	}
	for _, hold := range []iptables.Hold{{}, {IPv6: true}} {
		if locked && r.needed.Has(hold.Chain()) {
			s.Holds = append(s.Holds, hold)
		}
	}
	return nil
}

// list lists the rules again unless the kernel's events say that they are as
// they were.
func (r *ruleset) list(ctx context.Context) error {
	if len(r.read) == 0 {
		r.listed = nil
		return nil
	}
	quiet := r.hearing.Load() && !r.heard.Swap(false)
	if quiet && r.table.HasEvents() && time.Since(r.listedAt) < listInterval {
		return nil
	}
	tagged, err := r.table.List(ctx, keysOf(r.read)...)
	if err != nil && !errors.Is(err, iptables.ErrLocked) && len(r.read) > len(r.needed) {
		// What only may have something left must not be in the way.
		r.read = maps.Clone(r.needed)
		tagged, err = r.table.List(ctx, keysOf(r.read)...)
	}
	if err != nil {
		r.changed()
		return err
	}
	r.listed, r.listedAt = tagged, time.Now()
	for chain := range r.read {
		empty := !slices.ContainsFunc(tagged, func(rule iptables.Tagged) bool { return rule.Chain == chain })
		if empty && !r.needed.Has(chain) {
			delete(r.read, chain)
		}
	}
	return nil
}

// changed makes the next reading list the rules.
func (r *ruleset) changed() { r.heard.Store(true) }

// do carries out an operation on the rules.
func (r *ruleset) do(ctx context.Context, op Op) error {
	if r.table == nil {
		return fmt.Errorf("iptables: %w", errNotPrepared)
	}
	defer r.changed()
	switch op := op.(type) {
	case AddRedirect:
		return r.table.Add(ctx, op.Rule)
	case DeleteRedirect:
		return r.table.Delete(ctx, op.Rule)
	case AddMark:
		return r.table.Add(ctx, op.Rule)
	case DeleteMark:
		return r.table.Delete(ctx, op.Rule)
	case AddSNAT:
		return r.table.Add(ctx, op.Rule)
	case DeleteSNAT:
		return r.table.Delete(ctx, op.Rule)
	case HoldConntrack:
		return r.table.Add(ctx, op.Rule)
	case ReleaseConntrack:
		return r.table.Delete(ctx, op.Rule)
	case DeleteStray:
		return r.deleteStray(ctx, op.Rule)
	}
	return fmt.Errorf("%T: %w", op, errors.ErrUnsupported)
}

// mute adds or deletes rules that keep resets back, all of one family.
func (r *ruleset) mute(ctx context.Context, ops []Op) error {
	if r.table == nil {
		return fmt.Errorf("iptables: %w", errNotPrepared)
	}
	defer r.changed()
	var added, deleted []iptables.Mute
	for _, op := range ops {
		switch op := op.(type) {
		case AddMute:
			added = append(added, op.Rule)
		case DeleteMute:
			deleted = append(deleted, op.Rule)
		}
	}
	if len(deleted) > 0 {
		return r.table.Unmute(ctx, deleted)
	}
	return r.table.Mute(ctx, added)
}

// deleteStray deletes the last copy of the rule that deletion deletes.
func (r *ruleset) deleteStray(ctx context.Context, deletion string) error {
	tagged, err := r.table.List(ctx, keysOf(r.read)...)
	if err != nil {
		return err
	}
	for _, rule := range slices.Backward(tagged) {
		if rule.Deletion() == deletion {
			return r.table.Remove(ctx, rule)
		}
	}
	return nil
}

// watch calls changed when others may have changed the rules, until ctx ends.
// Where it hears no events, each reading lists the rules.
func (r *ruleset) watch(ctx context.Context, changed func()) {
	for ctx.Err() == nil {
		var again <-chan time.Time
		if r.hasEvents.Load() {
			_ = iptables.Watch(ctx, func() {
				r.changed()
				r.hearing.Store(true)
				changed()
			})
			r.hearing.Store(false)
			again = time.After(listInterval)
		}
		select {
		case <-ctx.Done():
		case <-again:
		case <-r.opened:
		}
	}
}
