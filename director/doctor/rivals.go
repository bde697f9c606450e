package doctor

import (
	"fmt"
	"strings"

	"github.com/lvsd/lvsd/director"
	"github.com/lvsd/lvsd/director/ipvs"
)

// Rivals are the programs that change what lvsd changes, by name.
func rivalNames() []string { return []string{"keepalived", "ldirectord", "lvsd"} }

// findRivals tells of others that manage VIPs and IPVS here, and of what they left.
func findRivals(c *Case) []Finding {
	found := findProcesses(c)
	owned := director.OwnedBy(c.Config)
	for _, key := range c.Services {
		if owned.Services.Has(key) {
			continue
		}
		found = append(found, Finding{
			ID: "foreign-service", Severity: Warning, Subject: fmt.Sprintf("virtual service %s", key),
			What:   "IPVS has it, and it is not in the configuration",
			Breaks: "its packets are balanced by what somebody else has set up, and not checked",
			Mend:   "ipvsadm -D " + selector(key),
		})
	}
	for _, daemon := range c.Daemons {
		if owned.Daemons {
			break
		}
		found = append(found, Finding{
			ID: "foreign-sync-daemon", Severity: Warning, Subject: fmt.Sprintf("synchronisation daemon %s", daemon.State),
			What:   fmt.Sprintf("it runs on %s, and there is no [sync] in the configuration", daemon.Interface),
			Breaks: "connections are told to or taken from nodes that nobody keeps in step with this one",
			Mend:   fmt.Sprintf("ipvsadm --stop-daemon %s", daemon.State),
		})
	}
	return found
}

func findProcesses(c *Case) []Finding {
	pids := map[string][]string{}
	for _, p := range c.Rivals {
		if c.Status == nil || p.PID != c.Status.PID {
			pids[p.Name] = append(pids[p.Name], fmt.Sprint(p.PID))
		}
	}
	var found []Finding
	for _, name := range rivalNames() {
		if len(pids[name]) == 0 {
			continue
		}
		f := Finding{
			ID: "rival-running", Severity: Error, Subject: name,
			What:   fmt.Sprintf("it runs in this network namespace: pid %s", strings.Join(pids[name], ", ")),
			Breaks: "it and lvsd undo each other's VIPs and virtual services",
			Mend:   "systemctl disable --now " + name,
		}
		if name == "lvsd" {
			// It is no rival of a daemon that is still to be started.
			f.Mend = "kill " + strings.Join(pids[name], " ")
			if c.Status == nil {
				f.Severity = Note
				f.What += "; it uses another run directory than --run-dir"
				f.Breaks = "its findings are not known, and a second one here would undo what it does"
				f.Mend = ""
			}
		}
		found = append(found, f)
	}
	return found
}

// selector is how ipvsadm is told of a virtual service.
func selector(key ipvs.ServiceKey) string {
	if key.Mark != 0 {
		if key.Family == ipvs.IPv6 {
			return fmt.Sprintf("-f %d -6", key.Mark)
		}
		return fmt.Sprintf("-f %d", key.Mark)
	}
	option := map[ipvs.Protocol]string{ipvs.TCP: "-t", ipvs.UDP: "-u", ipvs.SCTP: "--sctp-service"}[key.Protocol]
	return option + " " + key.Address.String()
}
