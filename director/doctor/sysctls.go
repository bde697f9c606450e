package doctor

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/director"
)

// findSysctls tells of kernel parameters that are not as the configuration needs
// them. Where lvsd is to set them, that is a finding only while it runs: it was
// unable to, or somebody else has changed them.
func findSysctls(c *Case) []Finding {
	if c.Sysctls == nil {
		return nil
	}
	var found []Finding
	for _, r := range director.Requirements(c.Config) {
		have, ok := c.Sysctls[r.Name]
		managed := r.Always || c.Config.Sysctl.Manage
		if !ok || have == r.Value || managed && c.Status == nil {
			continue
		}
		found = append(found, Finding{
			ID: "sysctl", Severity: sysctlSeverity(r.Name), Subject: r.Name,
			What: fmt.Sprintf("it is %s, should be %s", have, r.Value), Breaks: r.Why, Mend: setSysctl(r.Name, r.Value),
		})
	}
	return append(found, findReversePath(c)...)
}

// sysctlSeverity is that of a parameter with a wrong value: those of IPVS itself
// matter to some connections only.
func sysctlSeverity(name string) Severity {
	if strings.HasPrefix(name, "net.ipv4.vs.") {
		return Warning
	}
	return Error
}

// findReversePath tells of interfaces on which the kernel drops clients' packets
// because it would answer them elsewhere.
func findReversePath(c *Case) []Finding {
	back, known := c.Routes[netip.IPv4Unspecified()]
	if !known {
		return nil
	}
	var found []Finding
	for _, name := range clientInterfaces(c.Config, false) {
		if c.perInterface("rp_filter", name) != 1 || back.Interface == name {
			continue
		}
		what := "strict, and the default route goes through " + back.Interface
		if back.Missing {
			what = "strict, and there is no default route"
		}
		found = append(found, Finding{
			ID: "rp-filter", Severity: Error, Subject: "rp_filter on " + name, What: what,
			Breaks: "packets of clients that come in there are dropped, because the way back is another",
			Mend:   setSysctl("net.ipv4.conf."+sysctlName(name)+".rp_filter", "2"),
		})
	}
	return found
}

// clientInterfaces are those where packets to VIPs of the family come in, in file
// order.
func clientInterfaces(c *config.Config, ipv6 bool) []string {
	var names []string
	seen := director.Set[string]{}
	for _, v := range c.VRRP {
		for _, vip := range v.VIPs {
			if vip.Addr.Is6() == ipv6 && !seen.Has(vip.Interface) && servesVIP(c, vip.Addr) {
				seen.Add(vip.Interface)
				names = append(names, vip.Interface)
			}
		}
	}
	return names
}

// servesVIP reports whether a virtual service may be at the VIP: one of a firewall
// mark may be anywhere.
func servesVIP(c *config.Config, vip netip.Addr) bool {
	for i := range c.Services {
		if key := c.Services[i].IPVS.ServiceKey; key.Mark != 0 || key.Address.Addr() == vip {
			return true
		}
	}
	return false
}

// perInterface is the value in force of a parameter of net.ipv4.conf of which the
// greater of "all" and the interface's own counts; -1 is not known.
func (f *Facts) perInterface(parameter, ifname string) int {
	all, ok := f.Sysctls["net.ipv4.conf.all."+parameter]
	own, okOwn := f.Sysctls["net.ipv4.conf."+sysctlName(ifname)+"."+parameter]
	if !ok || !okOwn {
		return -1
	}
	return max(number(all), number(own))
}

// number is a parameter's value; 0 if it is none.
func number(value string) int {
	n, err := strconv.Atoi(value)
	if err != nil {
		return 0
	}
	return n
}

func setSysctl(name, value string) string { return fmt.Sprintf("sysctl -w %s=%s", name, quoted(value)) }

// quoted is a value as one word of the shell; values have digits and spaces.
func quoted(value string) string {
	if strings.ContainsAny(value, " \t") {
		return "'" + value + "'"
	}
	return value
}

// sysctlName writes an interface name as part of a parameter's name.
func sysctlName(name string) string { return strings.ReplaceAll(name, ".", "/") }

// sysctlNames are the parameters to read for c.
func sysctlNames(c *config.Config) []string {
	names := []string{conntrackCount, conntrackMax}
	for _, r := range director.Requirements(c) {
		names = append(names, r.Name)
	}
	for _, parameter := range []string{"rp_filter", "arp_ignore", "arp_announce"} {
		names = append(names, "net.ipv4.conf.all."+parameter)
		for _, v := range c.VRRP {
			for _, vip := range v.VIPs {
				names = append(names, "net.ipv4.conf."+sysctlName(vip.Interface)+"."+parameter)
			}
		}
	}
	return names
}
