package director

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/director/ipvs"
	"github.com/lvsd/lvsd/director/netif"
	"github.com/lvsd/lvsd/vrrp"
)

// observation is what the last reconciliation saw and did.
type observation struct {
	at      time.Time
	foreign []string
	sysctls []SysctlStatus
	drift   []DriftStatus
	changes int
	err     error
	ready   bool
	reload  ReloadStatus
	// settled is the configuration that has been applied completely, masters
	// are the instances that were MASTER.
	settled *config.Config
	masters Set[string]
}

// reconcile reads the kernel, plans, and applies the difference. What is planned
// is everything if complete; otherwise only what may differ from the last plan,
// so that a kernel with thousands of services at rest costs little. The work is
// done without the lock: what changes meanwhile wakes the loop again.
func (d *Director) reconcile(ctx context.Context, complete, stopping bool) error {
	c, owned := d.derived.config, d.ownedNow()
	d.takeOver(ctx, d.takeRoles(stopping))
	snapshot, err := d.readAgain(ctx)
	if err != nil {
		d.observe(func(o *observation) { o.at, o.err = time.Now(), err })
		return err
	}
	if renamed := d.view.renamed(snapshot, owned); len(renamed) > 0 {
		owned, complete = d.ownToo(renamed), true
	}
	differ := d.see(snapshot, owned)
	touched := d.takeVerdicts()
	var p pass
	if complete || !d.view.left {
		p = d.planAll(stopping)
	} else {
		p = d.planPart(d.unsettled(differ, touched))
	}
	err = errors.Join(d.carryOut(ctx, p), d.followPaths(p))
	d.observe(func(o *observation) {
		o.at, o.err = time.Now(), err
		o.masters = mastersOf(c, p.facts.Roles)
		o.foreign = snapshot.Foreign(owned)
		o.sysctls = mismatches(d.derived.requirements, d.view.have)
	})
	if err == nil && p.keys == nil {
		d.settled(c)
	}
	if d.applied != c && d.Applied != nil && p.keys == nil {
		d.applied = c
		d.retired.Go(d.Applied)
	}
	d.judgeServices(p.facts)
	d.judgeVIPs(err)
	d.hold(d.view.have)
	return err
}

// reading is what the kernel was at a time.
type reading struct {
	Snapshot
	at time.Time
}

// readAgain is read, except that at a start what Run has just read will do.
func (d *Director) readAgain(ctx context.Context) (Snapshot, error) {
	first := d.first
	d.first = nil
	if first != nil && time.Since(first.at) < d.derived.config.Global.Resync {
		d.lookCost = 0 // what changed since is not long unseen
		return first.Snapshot, nil
	}
	return d.read(ctx)
}

// read reads the kernel and notes what that costs: on a busy machine it takes long
// and costs little.
func (d *Director) read(ctx context.Context) (Snapshot, error) {
	began := time.Now()
	s, err := d.Kernel.Read(ctx, d.watchedSysctls())
	if d.lookCost = time.Since(began); s.Cost > 0 {
		d.lookCost = min(d.lookCost, s.Cost)
	}
	if err != nil {
		return Snapshot{}, fmt.Errorf("read the kernel's state: %w", err)
	}
	return s, nil
}

// pass is one planning: of all, or of some services.
type pass struct {
	facts Facts
	// have and want hold no services but keys, unless keys is nil.
	have, want State
	keys       Set[ipvs.ServiceKey]
}

// planAll plans everything.
func (d *Director) planAll(stopping bool) pass {
	d.setDraining(d.view.snapshot.Draining(d.derived.config))
	facts := d.facts(stopping)
	return pass{facts: facts, have: d.view.have, want: Plan(facts)}
}

// planPart plans these services; the rest is as it was planned last.
func (d *Director) planPart(keys Set[ipvs.ServiceKey]) pass {
	services := d.derived.servicesIn(keys)
	part := *d.derived.config
	part.Services = services
	found := drained(d.view.snapshot, &part, keys)
	draining := maps.Clone(d.view.draining)
	for key := range keys {
		delete(draining, key)
	}
	maps.Copy(draining, found)
	d.setDraining(draining)

	p := pass{facts: d.partFacts(services), keys: keys, have: d.view.have.only(keys)}
	d.mu.Lock()
	p.facts.Roles = d.roles()
	d.mu.Unlock()
	p.want = d.view.expected
	p.want.Services = servicesOnly(p.facts)
	addPaths(p.want.Services, d.derived.paths, keys)
	return p
}

func (d *Director) setDraining(draining map[ipvs.ServiceKey]map[netip.AddrPort]ipvs.Destination) {
	if draining == nil {
		draining = map[ipvs.ServiceKey]map[netip.AddrPort]ipvs.Destination{}
	}
	d.view.draining = draining
}

// unsettled are the services that may have to be other than they were left:
// their verdicts or weights change, they drain, or somebody changed them.
func (d *Director) unsettled(differ Set[ipvs.ServiceKey], touched []int) Set[ipvs.ServiceKey] {
	keys := differ
	for _, n := range touched {
		keys.Add(d.derived.config.Services[n].IPVS.ServiceKey)
	}
	for key := range d.recovered {
		keys.Add(key.Service)
	}
	for key := range d.view.draining {
		keys.Add(key)
	}
	for key := range d.view.drifted {
		keys.Add(key)
	}
	return keys
}

// carryOut brings the kernel from what a pass has to what it wants. What somebody
// else changed is put right, or reported where the configuration says so.
func (d *Director) carryOut(ctx context.Context, p pass) error {
	ops := Diff(p.have, p.want)
	report := reportsDrift(p.facts.Config)
	var own, drift []Op
	if report {
		ops, drift = d.sort(ops, p)
	}
	d.saveSysctls(ops, p.have)
	done, err := Apply(ctx, d.Kernel, ops)
	var reported []DriftStatus
	if report {
		own = done
		reported = d.reportDrift(drift, p.have)
	} else {
		own, drift = d.sort(done, p)
		d.logRepaired(drift, p.have)
	}
	d.logChanged(own)
	d.view.drifted = servicesOf(drift)
	d.did(done)
	d.observe(func(o *observation) { o.changes += len(done); o.drift = reported })
	if err == nil {
		d.leave(p.want, p.keys)
	}
	d.arrived(done)
	return err
}

// sort splits the operations of a pass. At the first one all are lvsd's own:
// what a predecessor left is no drift.
func (d *Director) sort(ops []Op, p pass) (own, drift []Op) {
	if !d.view.left {
		return ops, nil
	}
	keys := servicesOf(ops)
	return split(ops, d.view.expected.only(keys), p.want.only(keys))
}

// observe records the outcome and logs what is new in it.
func (d *Director) observe(record func(*observation)) {
	d.mu.Lock()
	old := d.status
	record(&d.status)
	now := d.status
	d.mu.Unlock()

	if text := errorText(now.err); text != errorText(old.err) {
		if now.err != nil {
			d.Log.Error("the kernel is not as planned, trying again", "err", text)
		} else {
			d.Log.Info("the kernel is as planned again")
		}
		d.recordKernel(old.err, now.err)
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

// ownToo adds addresses to what this node owns, until all is as planned.
func (d *Director) ownToo(addresses Set[netif.Address]) Owned {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.own(merged(d.owned, Owned{VIPs: addresses}))
	d.status.settled = nil
	return d.owned
}

// settled drops what a complete reconciliation has made obsolete: ownership of
// what an earlier configuration named, and saved kernel parameters that have
// their old value again.
func (d *Director) settled(c *config.Config) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.status.settled != c && d.config == c {
		d.own(OwnedBy(c))
	}
	d.status.settled = c
	if len(d.sysctls) == 0 {
		return
	}
	set := setSysctls(c)
	for name := range d.sysctls {
		if !set.Has(name) {
			delete(d.sysctls, name)
			delete(d.view.expected.Sysctls, name)
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

// hold has the VIPs that are here announced and defended.
func (d *Director) hold(have State) {
	held := d.holdings(have)
	d.announcer.hold(held, time.Now())
	d.conflicts.hold(held, time.Now())
	d.desistLost()
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

// watchedSysctls are the required ones, those that are set and those to be put
// back.
func (d *Director) watchedSysctls() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	names := Set[string]{}
	for _, r := range d.derived.requirements {
		names.Add(r.Name)
	}
	for name := range setSysctls(d.derived.config) {
		names.Add(name)
	}
	for name := range d.sysctls {
		names.Add(name)
	}
	return slices.Sorted(maps.Keys(names))
}

// mismatches are the required kernel parameters that have another value.
func mismatches(required []Requirement, have State) []SysctlStatus {
	var wrong []SysctlStatus
	for _, r := range required {
		if have.Sysctls[r.Name] != r.Value {
			wrong = append(wrong, SysctlStatus{Name: r.Name, Have: have.Sysctls[r.Name], Want: r.Value, Why: r.Why})
		}
	}
	return wrong
}
