package director

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/director/netif"
	"github.com/lvsd/lvsd/healthcheck"
	"github.com/lvsd/lvsd/vrrp"
)

// observation is what the last reconciliation saw and did.
type observation struct {
	at       time.Time
	snapshot Snapshot
	have     State
	foreign  []string
	sysctls  []SysctlStatus
	changes  int
	err      error
	ready    bool
	reload   ReloadStatus
	// settled is the configuration that has been applied completely, masters
	// are the instances that were MASTER.
	settled *config.Config
	masters Set[string]
}

// reconcile reads the kernel, plans, and applies the difference. The work is
// done without the lock: what changes meanwhile wakes the loop again.
func (d *Director) reconcile(ctx context.Context, stopping bool) error {
	facts, owned, changed := d.facts(stopping)
	d.takeOver(ctx, facts)
	snapshot, err := d.Kernel.Read(ctx, d.watchedSysctls(facts.Config))
	if err != nil {
		err = fmt.Errorf("read the kernel's state: %w", err)
		d.observe(func(o *observation) { o.at, o.err = time.Now(), err }, err)
		return err
	}
	facts.Draining = snapshot.Draining(facts.Config)
	have := snapshot.State(owned)
	ops := Diff(have, Plan(facts))
	d.saveSysctls(ops, have)
	done, err := Apply(ctx, d.Kernel, ops)
	d.logOps(done, changed)
	for _, op := range done {
		op.applyTo(have)
	}
	d.observe(func(o *observation) {
		o.at, o.err, o.snapshot, o.have = time.Now(), err, snapshot, have
		o.changes += len(done)
		o.masters = mastersOf(facts.Config, facts.Roles)
		o.foreign = snapshot.Foreign(owned)
		o.sysctls = mismatches(facts.Config, have)
	}, err)
	if err == nil {
		d.settled(facts)
	}
	d.judgeVIPs(err)
	d.arrived(done)
	held := d.holdings(have)
	d.announcer.hold(held, time.Now())
	d.conflicts.hold(held, time.Now())
	return err
}

// facts collects what Plan decides from.
func (d *Director) facts(stopping bool) (Facts, Owned, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	facts := Facts{
		Config:   d.config,
		Roles:    map[string]vrrp.Role{},
		Up:       map[healthcheck.Spec]bool{},
		Sysctls:  maps.Clone(d.sysctls),
		Stopping: stopping,
	}
	for name, instance := range d.instances {
		facts.Roles[name] = instance.role
	}
	for spec, status := range d.pool.All() {
		facts.Up[spec] = status.Up
	}
	owned := d.owned.Clone()
	changed := d.changed || stopping
	d.changed = false
	return facts, owned, changed
}

// observe records the outcome and logs what is new in it.
func (d *Director) observe(record func(*observation), err error) {
	d.mu.Lock()
	old := d.status
	record(&d.status)
	now := d.status
	if err != nil {
		// What could not be applied now is not drift when it is tried again.
		d.changed = true
	}
	d.mu.Unlock()

	if text := errorText(now.err); text != errorText(old.err) {
		if now.err != nil {
			d.Log.Error("the kernel is not as planned, trying again", "err", text)
		} else {
			d.Log.Info("the kernel is as planned again")
		}
	}
	for _, foreign := range now.foreign {
		if !slices.Contains(old.foreign, foreign) {
			d.Log.Warn("not lvsd's, left alone", "found", foreign)
		}
	}
	for _, sysctl := range now.sysctls {
		if !slices.Contains(old.sysctls, sysctl) {
			d.Log.Warn("kernel parameter is not as needed",
				"name", sysctl.Name, "have", sysctl.Have, "want", sysctl.Want, "why", sysctl.Why)
		}
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// settled drops what a complete reconciliation has made obsolete: ownership of
// what an earlier configuration named, and saved kernel parameters that have
// their old value again.
func (d *Director) settled(f Facts) {
	required := SetOf(requiredSysctls(f.Config)...)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.status.settled = f.Config
	if d.config == f.Config {
		d.owned = OwnedBy(f.Config)
	}
	for name := range d.sysctls {
		if !required.Has(name) || !f.Config.Sysctl.Manage {
			delete(d.sysctls, name)
		}
	}
}

// saveSysctls remembers the values that are about to be replaced.
func (d *Director) saveSysctls(ops []Op, have State) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, op := range ops {
		set, ok := op.(SetSysctl)
		if !ok {
			continue
		}
		if _, saved := d.sysctls[set.Name]; !saved {
			d.sysctls[set.Name] = have.Sysctls[set.Name]
		}
	}
}

// logOps tells what was changed; without a reason of lvsd's own, somebody else
// changed the kernel and it was repaired.
func (d *Director) logOps(done []Op, changed bool) {
	for _, op := range done {
		if changed {
			d.Log.Info("changed", "op", op.String())
		} else {
			d.Log.Warn("repaired what somebody else changed", "op", op.String())
		}
	}
}

// holdings are the VIPs to announce: those that a MASTER has on its interface.
func (d *Director) holdings(have State) map[netif.Address]holding {
	d.mu.Lock()
	defer d.mu.Unlock()
	held := map[netif.Address]holding{}
	for _, instance := range d.instances {
		if instance.role != vrrp.Master {
			continue
		}
		for _, vip := range instance.config.VIPs {
			if have.VIPs.Has(vip.VIP) {
				held[vip.Address] = holding{
					garp: instance.config.GARP, epoch: instance.epoch,
					interval: instance.config.Router.Interval, vrid: instance.config.Router.VRID,
				}
			}
		}
	}
	return held
}

// requiredSysctls are the names of what c requires.
func requiredSysctls(c *config.Config) []string {
	var names []string
	for _, requirement := range Requirements(c) {
		names = append(names, requirement.Name)
	}
	return names
}

// watchedSysctls are the required ones and those to be put back.
func (d *Director) watchedSysctls(c *config.Config) []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	names := SetOf(requiredSysctls(c)...)
	for name := range d.sysctls {
		names.Add(name)
	}
	return slices.Sorted(maps.Keys(names))
}

// mismatches are the required kernel parameters that have another value.
func mismatches(c *config.Config, have State) []SysctlStatus {
	var wrong []SysctlStatus
	for _, r := range Requirements(c) {
		if have.Sysctls[r.Name] != r.Value {
			wrong = append(wrong, SysctlStatus{Name: r.Name, Have: have.Sysctls[r.Name], Want: r.Value, Why: r.Why})
		}
	}
	return wrong
}

// verdicts are what the weights in the kernel say of c's checks: a predecessor,
// or a check that a reload replaces, set them. A real server that is not there
// tells nothing.
func (s State) verdicts(c *config.Config) map[healthcheck.Spec]bool {
	up := map[healthcheck.Spec]bool{}
	for _, service := range c.Services {
		present := s.Services[service.IPVS.ServiceKey]
		for _, server := range service.RealServers {
			destination, there := present.RealServers[server.Address]
			if !there || server.Weight == 0 {
				continue
			}
			for _, check := range server.Checks {
				known, seen := up[check]
				up[check] = destination.Weight > 0 && (known || !seen)
			}
		}
	}
	return up
}
