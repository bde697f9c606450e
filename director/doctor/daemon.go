package doctor

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/lvsd/lvsd/director"
)

// findDaemon tells of what the running daemon says of itself, and of what it may
// not do.
func findDaemon(c *Case) []Finding {
	if c.Status == nil {
		return nil
	}
	var found []Finding
	for _, name := range slices.Sorted(maps.Keys(c.DaemonMay)) {
		if c.DaemonMay[name] {
			continue
		}
		found = append(found, Finding{
			ID: "capability-missing", Severity: Error, Subject: name,
			What: fmt.Sprintf("the daemon, pid %d, does not have it", c.Status.PID), Breaks: capabilityBreaks(name),
			Mend: "systemctl edit lvsd", Edit: "AmbientCapabilities and CapabilityBoundingSet with " + name,
		})
	}
	if e := c.Status.Reload.Error; e != "" {
		found = append(found, Finding{
			ID: "reload-refused", Severity: Error, Subject: "configuration of the daemon", What: e,
			Breaks: "the daemon goes on with the file's former content", Edit: "the file, as it says", Mend: reload,
		})
	}
	if e := c.Status.Reconcile.Error; e != "" {
		found = append(found, Finding{
			ID: "kernel-not-as-planned", Severity: Error, Subject: "kernel", What: e,
			Breaks: "the kernel does not hold what the configuration asks for; lvsd plan shows what is left to do",
		})
	}
	for _, drift := range c.Status.Drift {
		found = append(found, Finding{
			ID: "drift", Severity: Warning, Subject: drift.Op, What: "somebody else has changed it: " + drift.Found,
			Breaks: "the kernel does not hold what the configuration asks for", Mend: drift.Op,
		})
	}
	for _, i := range c.Status.Instances {
		found = append(found, findInstance(i)...)
	}
	return found
}

func capabilityBreaks(name string) string {
	if name == capNetRaw {
		return "it sends no adverts and no gratuitous ARP"
	}
	return "it changes neither addresses nor IPVS"
}

// findInstance tells of what keeps an instance from being MASTER and of what its
// router has noticed.
func findInstance(i director.InstanceStatus) []Finding {
	var found []Finding
	for _, fault := range i.Faults {
		found = append(found, Finding{
			ID: "instance-fault", Severity: Error, Subject: fmt.Sprintf("instance %s: %s", i.Name, fault),
			What: "it is in FAULT because of that", Breaks: "this node cannot become MASTER",
		})
	}
	for _, n := range i.Notices {
		found = append(found, vrrpFinding(n.Kind, i.Name, n.Peer, n.Detail))
	}
	return found
}

// vrrpFinding is what is wrong between the speakers of a virtual router, by the
// kinds of vrrp.NoticeKind.
func vrrpFinding(kind, instance, peer, detail string) Finding {
	f := Finding{
		ID: "vrrp-" + strings.ReplaceAll(kind, "_", "-"), Severity: Error,
		Subject: strings.TrimSpace(fmt.Sprintf("instance %s %s", instance, peer)), What: detail,
		Mend: reload, On: "this node or " + peer,
	}
	if peer == "" {
		f.On = "the node that differs"
	}
	switch kind {
	case "two_masters":
		f.Breaks = "both hold the VIPs, and connections go to the one or to the other"
		f.Mend, f.On = "iptables -I INPUT -p 112 -j ACCEPT", "the one that does not hear the other"
	case "duplicate_vrid":
		f.Breaks = "neither group of routers elects its MASTER by itself"
		f.Edit = "another vrid for one of the groups, on all its nodes"
	case "version":
		f.Breaks = "they do not hear each other: both become MASTER"
		f.Edit = "the same version on all nodes"
	case "interval":
		f.Breaks = "version 2 discards such adverts, so both become MASTER; version 3 takes over later than planned"
		f.Edit = "the same advert_interval on all nodes"
	case "auth":
		f.Breaks = "they discard each other's adverts: both become MASTER"
		f.Edit = "the same [vrrp.auth] on all nodes"
	case "vips":
		f.Severity = Warning
		f.Breaks = "after a failover, the VIPs that one of them lacks are nowhere"
		f.Edit = "the same vips on all nodes"
	case "clock", "replay":
		f.Breaks = "signed adverts out of time are discarded: both become MASTER"
		f.Mend = setTime
	default:
		f.Severity = Warning
		f.Breaks = "adverts are discarded, and without them both become MASTER; lvsd adverts shows them"
		f.Mend, f.On = "", ""
	}
	return f
}
