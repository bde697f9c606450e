package director

import (
	"fmt"
	"strings"

	"github.com/lvsd/lvsd/director/ipvs"
)

func daemonState(s ipvs.DaemonState) string {
	if s == ipvs.DaemonMaster {
		return "master"
	}
	return "backup"
}

func daemonArguments(d ipvs.Daemon) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s --mcast-interface %s --syncid %d", daemonState(d.State), d.Interface, d.ID)
	if d.MaxLen != 0 {
		fmt.Fprintf(&b, " --sync-maxlen %d", d.MaxLen)
	}
	if d.Group.IsValid() {
		fmt.Fprintf(&b, " --mcast-group %s", d.Group)
	}
	if d.Port != 0 {
		fmt.Fprintf(&b, " --mcast-port %d", d.Port)
	}
	if d.TTL != 0 {
		fmt.Fprintf(&b, " --mcast-ttl %d", d.TTL)
	}
	return b.String()
}
