package doctor

import (
	"fmt"
	"strings"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/director"
)

// findLacks tells of what the host does not have at all. What it has with another
// value is for findSysctls.
func findLacks(c *Case) []Finding {
	var found []Finding
	for _, lack := range c.Lacks {
		if lack.Unknown != "" || isSysctl(c.Config, lack) {
			continue
		}
		found = append(found, lackFinding(lack))
	}
	return found
}

// lackFinding takes the module to load out of what the Lack says.
func lackFinding(lack director.Lack) Finding {
	f := Finding{ID: "host-lacks", Severity: Error, What: lack.What, Breaks: lack.Breaks, Mend: lack.Mend}
	if at := strings.LastIndex(lack.What, "modprobe "); f.Mend == "" && at >= 0 {
		f.Mend = strings.TrimRight(lack.What[at:], ").")
	}
	name, isInterface := strings.CutPrefix(lack.What, "interface ")
	switch module, isModule := strings.CutPrefix(f.Mend, "modprobe "); {
	case isModule:
		f.ID, f.Subject = "module-missing", "module "+module
	case isInterface:
		name, nearest, _ := strings.Cut(name, " ")
		f.ID, f.Subject, f.What = "interface-missing", "interface "+name, strings.TrimSpace("there is none "+nearest)
	default:
		end := strings.IndexAny(lack.What+":", ":;")
		f.Subject, f.What = lack.What[:end], strings.TrimLeft(lack.What[end:], ":; ")
		if f.What == "" {
			f.What = "not there"
		}
	}
	return f
}

func isSysctl(c *config.Config, lack director.Lack) bool {
	for _, r := range director.Requirements(c) {
		if strings.Contains(lack.What, r.Name) {
			return true
		}
	}
	return false
}

// The parameters that tell how full connection tracking is.
const (
	conntrackCount = "net.netfilter.nf_conntrack_count"
	conntrackMax   = "net.netfilter.nf_conntrack_max"
)

const (
	// conntrackFull is the percentage from which the table counts as nearly full.
	conntrackFull = 80
	// bucketLoad is how many connections one bucket of IPVS's table bears before
	// each look into it costs noticeably more.
	bucketLoad = 8
	// maxBucketBits is the greatest conn_tab_bits of the kernel (IP_VS_CONN_TAB_BITS).
	maxBucketBits = 20
)

// findFullTables tells of tables of connections that run full.
func findFullTables(c *Case) []Finding {
	var found []Finding
	count, max := number(c.Sysctls[conntrackCount]), number(c.Sysctls[conntrackMax])
	if tracksConnections(c.Config) && max > 0 && count*100 >= max*conntrackFull {
		found = append(found, Finding{
			ID: "conntrack-full", Severity: Error, Subject: "nf_conntrack",
			What:   fmt.Sprintf("connection tracking holds %d of at most %d connections", count, max),
			Breaks: "when it is full, packets of new connections are dropped, those that REDIRECT and SNAT rules serve among them",
			Mend:   fmt.Sprintf("sysctl -w %s=%d", conntrackMax, 2*max),
		})
	}
	if c.Buckets > 0 && c.Connections > bucketLoad*c.Buckets {
		bits := 1
		for 1<<bits < c.Connections && bits < maxBucketBits {
			bits++
		}
		if 1<<bits > c.Buckets {
			found = append(found, Finding{
				ID: "ipvs-table-small", Severity: Note, Subject: "ip_vs",
				What:   fmt.Sprintf("%d connections in %d buckets of the connection table", c.Connections, c.Buckets),
				Breaks: "nothing yet, but each packet costs the kernel more; the size is that of the module's next load",
				Mend:   fmt.Sprintf("echo options ip_vs conn_tab_bits=%d >/etc/modprobe.d/ip_vs.conf", bits),
			})
		}
	}
	return found
}

// tracksConnections reports whether something of c needs connection tracking.
func tracksConnections(c *config.Config) bool {
	for i := range c.VRRP {
		if c.VRRP[i].ServeOnBackup {
			return true
		}
	}
	for i := range c.Services {
		if c.Services[i].SNAT != nil {
			return true
		}
	}
	return c.IPVS.Sysctls["net.ipv4.vs.conntrack"] == "1"
}
