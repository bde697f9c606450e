package doctor

import (
	"github.com/lvsd/lvsd/config"
)

// Case is what is examined: a configuration and the host that it is for.
type Case struct {
	// Config has the addresses of host names filled in.
	Config *config.Config
	Facts
}

// check is one subject that is looked into.
type check struct {
	name string
	find func(*Case) []Finding
}

// checks are all of them, in the order in which they are told of: what the host
// lacks comes before what follows from it.
func checks() []check {
	return []check{
		{"host", findLacks},
		{"daemon", findDaemon},
		{"rivals", findRivals},
		{"kernel parameters", findSysctls},
		{"kernel tables", findFullTables},
		{"interfaces", findLinks},
		{"VIPs", findVIPs},
		{"VRRP", findAdverts},
		{"routes", findRoutes},
		{"real servers", findServers},
		{"NAT", findNAT},
		{"tunnels", findTunnels},
		{"firewall", findFirewall},
		{"clock", findClock},
	}
}

// Examine makes findings of what is known of the host. What is not known makes
// none.
func Examine(c *Case) Report {
	report := Report{Schema: Schema, Findings: []Finding{}, Unchecked: append([]Unchecked{}, c.Unchecked...)}
	if c.Status != nil {
		report.Daemon = c.Status.PID
	}
	for _, check := range checks() {
		found := distinct(check.find(c))
		for i := range found {
			found[i].Check = check.name
		}
		if len(found) == 0 {
			report.OK++
		}
		report.Checks = append(report.Checks, check.name)
		report.Findings = append(report.Findings, found...)
	}
	return report
}
