package director

import (
	"time"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/director/ipvs"
	"github.com/lvsd/lvsd/iptables"
	"github.com/lvsd/lvsd/vrrp"
)

// syncLinger is how long a node that was MASTER, or stops, goes on with what the
// switch needs of it: the kernel's sender sends what it holds within 3 s.
const syncLinger = 4 * time.Second

// relayLinger is how long IPVS works on a node that was MASTER and goes on as
// BACKUP: until every neighbour must have heard of the new one, however slow that
// is to come.
const relayLinger = 30 * time.Second

// syncSettle is how long a new MASTER may still be told of connections that the
// former one served: a sender's delay, and a client's patience to send again.
const syncSettle = 5 * time.Second

// backupOnly makes IPVS leave all packets alone while a receiver runs.
const backupOnly = "net.ipv4.vs.backup_only"

// planSync adds the synchronisation daemons. With SyncFollow the receiver runs
// wherever the sender's instance is not MASTER, a lingering sender or not: the
// new MASTER's connections are told from its first moment on. And it runs on a new
// MASTER that settles, which is still told of the former one's.
func planSync(want State, f Facts) {
	sync := f.Config.Sync
	if sync == nil {
		return
	}
	both := sync.Daemons != config.SyncFollow
	master := f.Roles[sync.Instance] == vrrp.Master
	run := func(state ipvs.DaemonState) {
		want.Daemons[state] = ipvs.Daemon{
			State: state, Interface: sync.Interface, ID: sync.ID,
			MaxLen: sync.MaxLen, Group: sync.Group, Port: sync.Port, TTL: sync.TTL,
		}
	}
	if f.lingers(sync.Instance) || !f.Stopping && (both || master) {
		run(ipvs.DaemonMaster)
	}
	if !f.Stopping && (both || !master || f.settles(sync.Instance)) {
		run(ipvs.DaemonBackup)
	}
}

// planBackupOnly lets IPVS work only where a MASTER needs it. A node that ceased
// to be one lingers: its VIPs stand on lo, so what neighbours still send it would
// reach its own TCP, which knows nothing of other nodes' connections and resets
// them, while IPVS goes on sending them where they belong.
func planBackupOnly(want State, f Facts) {
	if !keepsConnections(f.Config) {
		return
	}
	value := "1"
	for _, instance := range f.Config.VRRP {
		if name := instance.Router.Name; f.Roles[name] == vrrp.Master && !f.Stopping || f.relays(name) {
			value = "0"
		}
	}
	want.Sysctls[backupOnly] = value
}

// planMutes keeps a new MASTER's resets back for syncSettle. The youngest
// connections are those that it has not been told of; a packet of theirs finds no
// entry of IPVS, ends at this host's TCP, which knows nothing of them, and would be
// answered with a reset. The client hears nothing instead and sends it again, and
// by then IPVS knows. At all other times a reset tells the truth.
func planMutes(want State, f Facts, instance *config.VRRP) {
	if f.Config.Sync == nil || !f.settles(instance.Router.Name) {
		return
	}
	for _, vip := range instance.VIPs {
		want.Mutes.Add(iptables.Mute{VIP: vip.Addr})
	}
}

// settles reports whether the instance became MASTER just now.
func (f Facts) settles(instance string) bool {
	at, became := f.Assumed[instance]
	master := f.Roles[instance] == vrrp.Master && !f.Stopping
	return became && master && f.Now.Before(at.Add(syncSettle))
}

func keepsConnections(c *config.Config) bool {
	for i := range c.VRRP {
		if c.VRRP[i].KeepConnections {
			return true
		}
	}
	return false
}

// lingers reports whether the instance was MASTER just now and is no more.
func (f Facts) lingers(instance string) bool { return f.wasMaster(instance, syncLinger) }

// relays reports whether packets of others' connections may still come here.
func (f Facts) relays(instance string) bool { return f.wasMaster(instance, f.relayTime()) }

func (f Facts) relayTime() time.Duration {
	if f.Stopping {
		return syncLinger
	}
	return relayLinger
}

// wasMaster reports whether the instance was MASTER within the time, and is no
// more.
func (f Facts) wasMaster(instance string, within time.Duration) bool {
	at, was := f.Relinquished[instance]
	master := f.Roles[instance] == vrrp.Master && !f.Stopping
	return was && !master && f.Now.Before(at.Add(within))
}

// handsOver reports whether a node that stops still serves packets of
// connections which others are about to take over.
func (f Facts) handsOver() bool {
	for i := range f.Config.VRRP {
		instance := &f.Config.VRRP[i]
		if instance.KeepConnections && instance.KeepRedirectOnStop && f.lingers(instance.Router.Name) {
			return true
		}
	}
	return false
}

// settlesUntil is when the first instance that settles or relays, and for which
// that means something, does so no longer.
func (f Facts) settlesUntil() time.Time {
	var until time.Time
	for i := range f.Config.VRRP {
		name := f.Config.VRRP[i].Router.Name
		if f.Config.Sync != nil && f.settles(name) {
			until = earlier(until, f.Assumed[name].Add(syncSettle))
		}
		if keepsConnections(f.Config) && f.relays(name) {
			until = earlier(until, f.Relinquished[name].Add(f.relayTime()))
		}
	}
	return until
}

// lingersUntil is when the first instance that lingers, and for which that means
// something, does so no longer.
func (f Facts) lingersUntil() time.Time {
	var until time.Time
	for i := range f.Config.VRRP {
		instance := &f.Config.VRRP[i]
		name := instance.Router.Name
		synced := f.Config.Sync != nil && f.Config.Sync.Instance == name
		if (synced || keepsConnections(f.Config)) && f.lingers(name) {
			until = earlier(until, f.Relinquished[name].Add(syncLinger))
		}
	}
	return until
}

// syncSysctls are the kernel parameters that decide when a connection is told to
// the other nodes: with its first packet once it is established, and again when
// sync_refresh_period seconds of its timeout have gone. The kernel's own "3 50"
// leaves out connections of less than 3 packets, and tells of the others every
// 50 packets, however fast these come.
func syncSysctls() []Requirement {
	const why = "sync: otherwise connections of a few packets are unknown to the other nodes"
	return []Requirement{
		{Name: "net.ipv4.vs.sync_threshold", Value: "0 0", Why: why},
		{Name: "net.ipv4.vs.sync_refresh_period", Value: "10", Why: why},
	}
}
