package director

import (
	"context"
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/vrrp"
)

// takeOver puts the VIPs of instances that have just become MASTER on their
// interfaces and announces them, before the complete reconciliation, which
// reads and changes much that takes longer. It does nothing that a complete one
// would not do, and nothing out of order: the virtual services stand in every
// role, and a REDIRECT rule goes after the VIP has come. What fails here, or has
// changed since the kernel was last read, is put right there.
func (d *Director) takeOver(ctx context.Context, facts Facts) {
	want := d.newlyWanted(facts)
	if len(want.VIPs) == 0 {
		return
	}
	// To ask the kernel again takes longer than to add a VIP.
	have := NewState()
	have.VIPs = maps.Clone(d.view.have.VIPs)
	have.Sysctls = maps.Clone(d.view.have.Sysctls)
	have.Mutes = maps.Clone(d.view.have.Mutes)
	needed := diffTakeOver(have, want)
	d.saveSysctls(needed, have)
	var all []Op
	for ops := range slices.Chunk(needed, takeOverChunk) {
		done, _ := Apply(ctx, d.Kernel, ops)
		for _, op := range done {
			op.applyTo(have)
		}
		d.arrived(done)
		d.tell(have)
		all = append(all, done...)
	}
	d.leaveTaken(all)
	d.logChanged(all)
}

// leaveTaken records that the kernel was left with what was done, so that it is
// not taken for somebody else's work if it is to go before the next complete
// reconciliation.
func (d *Director) leaveTaken(done []Op) {
	d.seen.Lock()
	defer d.seen.Unlock()
	for _, op := range done {
		op.applyTo(d.view.expected)
	}
}

// takeOverChunk is how many VIPs are put in place before they are announced:
// the announcer works on them while the next ones come.
const takeOverChunk = 50

// tell has the VIPs announced that neighbours may be told of.
func (d *Director) tell(have State) {
	withheld := d.withheld()
	tellable := NewState()
	for vip := range have.VIPs {
		if !withheld.Has(vip.Addr) {
			tellable.VIPs.Add(vip)
		}
	}
	d.announcer.hold(d.holdings(tellable), time.Now())
	d.desistLost()
}

// newlyWanted holds the VIPs of instances that were not MASTER at the last
// reconciliation. It is empty as long as the configuration has not been applied
// completely once, because then the virtual services come first.
func (d *Director) newlyWanted(facts Facts) State {
	want := NewState()
	d.mu.Lock()
	defer d.mu.Unlock()
	if facts.Stopping || d.status.settled != facts.Config {
		return want
	}
	for i := range facts.Config.VRRP {
		instance := &facts.Config.VRRP[i]
		name := instance.Router.Name
		if facts.Roles[name] == vrrp.Master && !d.status.masters.Has(name) {
			planTakeOver(want, facts, instance)
		}
	}
	return want
}

// mastersOf are the instances that are MASTER.
func mastersOf(c *config.Config, roles map[string]vrrp.Role) Set[string] {
	masters := Set[string]{}
	for _, instance := range c.VRRP {
		if roles[instance.Router.Name] == vrrp.Master {
			masters.Add(instance.Router.Name)
		}
	}
	return masters
}

// withheld are the VIPs that neighbours must not be told of yet: a rule takes
// every packet to them, also those of connections that IPVS knows.
func (d *Director) withheld() Set[netip.Addr] {
	vips := Set[netip.Addr]{}
	for rule := range d.view.have.Redirects {
		if !rule.NewOnly {
			vips.Add(rule.VIP)
		}
	}
	return vips
}

// arrived makes the announcer begin again with VIPs that were put on their
// interfaces: neighbours may have forgotten them, or learned of another host.
func (d *Director) arrived(done []Op) {
	for _, op := range done {
		switch op := op.(type) {
		case AddVIP:
			d.announcer.forget(op.VIP.Address)
		case EditVIP:
			d.announcer.forget(op.VIP.Address)
		}
	}
}
