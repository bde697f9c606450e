package director

import (
	"cmp"
	"fmt"
	"log/slog"
	"slices"
	"strings"
)

// changes are the conflicts that began and ended in one look.
type changes struct{ begun, ended []claimant }

// tell has one line and one event for each host: one that was left with hundreds of
// VIPs is one story.
func (n changes) tell(tell teller) {
	for _, of := range perHost(n.begun) {
		tell(slog.LevelWarn, "another host has VIPs of this MASTER, announcing them again", conflictEvent(of, false),
			"mac", of[0].mac, "interface", of[0].ifname, "vips", vipsOf(of))
	}
	for _, of := range perHost(n.ended) {
		tell(slog.LevelInfo, "no other host has the VIPs any more, or this node is not MASTER any more", conflictEvent(of, true),
			"mac", of[0].mac, "interface", of[0].ifname, "vips", vipsOf(of))
	}
}

// perHost splits claimants by interface and hardware address.
func perHost(all []claimant) [][]claimant {
	slices.SortFunc(all, func(a, b claimant) int {
		return cmp.Or(cmp.Compare(a.ifname, b.ifname), slices.Compare(a.mac[:], b.mac[:]), a.addr.Compare(b.addr))
	})
	var hosts [][]claimant
	for i, who := range all {
		if i == 0 || all[i-1].ifname != who.ifname || all[i-1].mac != who.mac {
			hosts = append(hosts, nil)
		}
		hosts[len(hosts)-1] = append(hosts[len(hosts)-1], who)
	}
	return hosts
}

// vipsOf lists a few VIPs, and how many there are beside.
func vipsOf(all []claimant) string {
	const few = 4
	var b strings.Builder
	for i, who := range all[:min(few, len(all))] {
		if i > 0 {
			b.WriteString(" ")
		}
		b.WriteString(who.addr.String())
	}
	if more := len(all) - few; more > 0 {
		fmt.Fprintf(&b, " and %d more", more)
	}
	return b.String()
}
