package director

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/lvsd/lvsd/director/ipvs"
	"github.com/lvsd/lvsd/director/netif"
	"github.com/lvsd/lvsd/iptables"
)

// diffTimeouts leaves out what want does not name.
func diffTimeouts(have, want State) []Op {
	var ops []Op
	for _, name := range slices.Sorted(maps.Keys(want.Timeouts)) {
		if value, ok := have.Timeouts[name]; !ok || value != want.Timeouts[name] {
			ops = append(ops, SetTimeout{name, want.Timeouts[name]})
		}
	}
	return ops
}

// diffSysctls returns what something is about to need, and what needs nothing any
// more. It leaves out what this kernel does not have.
func diffSysctls(have, want State) (needed, needless []Op) {
	for _, name := range slices.Sorted(maps.Keys(want.Sysctls)) {
		value, there := have.Sysctls[name]
		serving := servingValue(name)
		switch {
		case !there || value == want.Sysctls[name]:
		case value == serving && serving != "":
			needless = append(needless, SetSysctl{name, want.Sysctls[name]})
		default:
			needed = append(needed, SetSysctl{name, want.Sysctls[name]})
		}
	}
	return needed, needless
}

// servingValue is the value that a kernel parameter has as long as something
// depends on it: it is given up last. Empty is one whose order does not matter.
func servingValue(name string) string {
	switch name {
	case backupOnly:
		return "0"
	case "net.ipv4.vs.conntrack", "net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding", "net.ipv4.conf.all.arp_ignore":
		return "1"
	case "net.ipv4.conf.all.arp_announce":
		return "2"
	}
	if strings.HasSuffix(name, ".rp_filter") || strings.HasSuffix(name, ".send_redirects") {
		return "0"
	}
	return ""
}

// diffDaemons returns the operations that start daemons, a changed one again, and
// those that stop them for good.
func diffDaemons(have, want State) (started, stopped []Op) {
	for _, state := range []ipvs.DaemonState{ipvs.DaemonMaster, ipvs.DaemonBackup} {
		present, running := have.Daemons[state]
		wanted, ok := want.Daemons[state]
		switch {
		case ok && running && runsAs(present, wanted):
		case ok && running:
			started = append(started, StopDaemon{present}, StartDaemon{wanted})
		case ok:
			started = append(started, StartDaemon{wanted})
		case running:
			stopped = append(stopped, StopDaemon{present})
		}
	}
	return started, stopped
}

func addedMutes(have, want State) []Op {
	return appendMissing(nil, have.Mutes, want.Mutes, compareMutes, func(r iptables.Mute) Op { return AddMute{r} })
}

// What the kernel takes in place of a daemon's zeros (ip_vs_sync.c,
// start_sync_thread).
const (
	defaultSyncPort = 8848
	defaultSyncTTL  = 1
)

// runsAs reports whether a running daemon is as the wanted one: where that has
// zeros, as the kernel fills them in. The default of MaxLen depends on the
// interface's MTU, so that any will do.
func runsAs(running, wanted ipvs.Daemon) bool {
	if wanted.MaxLen == 0 {
		running.MaxLen = 0
	}
	return withDefaults(running) == withDefaults(wanted)
}

func withDefaults(d ipvs.Daemon) ipvs.Daemon {
	if !d.Group.IsValid() {
		d.Group = netip.AddrFrom4([4]byte{224, 0, 0, 81})
	}
	d.Port, d.TTL = cmp.Or(d.Port, defaultSyncPort), cmp.Or(d.TTL, defaultSyncTTL)
	return d
}

// tunnelChanges are the changes of decapsulations by where Diff puts them.
type tunnelChanges struct{ deleted, added []Op }

// diffTunnels leaves a device up that another wanted tunnel ends at.
func diffTunnels(have, want State) tunnelChanges {
	var changes tunnelChanges
	devices := Set[string]{}
	for tunnel := range want.Decapsulations {
		devices.Add(tunnel.Device())
	}
	for _, tunnel := range missing(want.Decapsulations, have.Decapsulations, compareTunnels) {
		changes.deleted = append(changes.deleted, DeleteDecapsulation{tunnel, devices.Has(tunnel.Device())})
	}
	for _, tunnel := range missing(have.Decapsulations, want.Decapsulations, compareTunnels) {
		changes.added = append(changes.added, AddDecapsulation{tunnel})
	}
	return changes
}

func compareTunnels(a, b netif.Decapsulation) int {
	return cmp.Or(
		cmp.Compare(a.Encapsulation, b.Encapsulation),
		compareBool(a.OuterIPv6, b.OuterIPv6),
		compareBool(a.InnerIPv6, b.InnerIPv6),
		cmp.Compare(a.Port, b.Port),
	)
}
