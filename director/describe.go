package director

import (
	"maps"
	"net/netip"
	"os"
	"slices"
	"time"
)

// Status describes the director as it is now: roles and checks at this moment,
// the kernel as the last reconciliation left it.
func (d *Director) Status() Status {
	now := time.Now()
	d.mu.Lock()
	c, seen, instances := d.config, d.status, maps.Clone(d.instances)
	groups, trackers := d.describeGroups(), d.describeTrackers()
	overrides, trouble := append([]Override{}, d.overrides.inForce(now)...), d.overrideTrouble
	d.mu.Unlock()
	status := Status{
		Schema:   "lvsd.status/1",
		Version:  d.Version,
		PID:      os.Getpid(),
		RouterID: c.Global.RouterID,
		Config:   d.ConfigPath,
		Started:  d.started,
		Ready:    seen.ready,

		ConfigHash:   c.Hash,
		CheckNotices: describeCheckNotices(d.pool.Notices()),
		Reload:       seen.reload,
		Reconcile:    ReconcileStatus{At: seen.at, Changes: seen.changes, Error: errorText(seen.err)},
		Instances:    []InstanceStatus{},
		Groups:       groups,
		Trackers:     trackers,
		Conflicts:    d.conflicts.status(),
		Drift:        append([]DriftStatus{}, seen.drift...),
		Hosts:        d.names.describe(c.Names()),
		Foreign:      append([]string{}, seen.foreign...),
		Sysctls:      append([]SysctlStatus{}, seen.sysctls...),

		Overrides:       overrides,
		OverrideTrouble: trouble,
		Maintenance:     d.inMaintenance(now),
	}
	d.seen.RLock()
	defer d.seen.RUnlock()
	have := d.view.have
	for _, v := range c.VRRP {
		if i, ok := instances[v.Router.Name]; ok {
			described := have.instance(v, i.router.Status())
			d.mu.Lock()
			described.weighed(i.fit)
			d.mu.Unlock()
			status.Instances = append(status.Instances, described)
		}
	}
	status.Services = d.describeServices(c)
	status.Daemons = have.describeDaemons()
	return status
}

func (s State) redirected(vip netip.Addr) bool {
	for rule := range s.Redirects {
		if rule.VIP == vip {
			return true
		}
	}
	return false
}

func (s State) describeDaemons() []DaemonStatus {
	all := []DaemonStatus{}
	for _, state := range slices.Sorted(maps.Keys(s.Daemons)) {
		daemon := s.Daemons[state]
		all = append(all, DaemonStatus{
			State: daemonState(state), Interface: daemon.Interface, ID: int(daemon.ID),
		})
	}
	return all
}

// describe tells what is known of the hosts.
func (r *resolver) describe(hosts []string) []HostStatus {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := []HostStatus{}
	for _, host := range hosts {
		answer := r.hosts[host]
		status := HostStatus{Host: host, Addresses: []string{}, At: answer.at, Error: errorText(answer.err)}
		for _, address := range answer.addresses {
			status.Addresses = append(status.Addresses, address.String())
		}
		all = append(all, status)
	}
	return all
}
