package director

import (
	"maps"
	"slices"
	"strings"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/director/ipvs"
	"github.com/lvsd/lvsd/sysctl"
)

// Requirement is a kernel parameter that the configuration depends on.
type Requirement struct {
	// Name is dotted, as sysctl(8) prints it; a dot inside an interface name
	// is written as a slash.
	Name, Value string
	// Why says what breaks without it.
	Why string
	// Always is set whether or not Sysctl.Manage: it is part of what the file
	// asks for.
	Always bool
	// Quiet is one that VIPs on lo need, as long as they are there.
	Quiet bool
}

// Requirements returns the kernel parameters that c depends on, each once. What
// the file sets itself stands.
func Requirements(c *config.Config) []Requirement {
	var all requirements
	for _, name := range slices.Sorted(maps.Keys(c.IPVS.Sysctls)) {
		all.add(Requirement{Name: name, Value: sysctl.Normal(c.IPVS.Sysctls[name]), Why: "the file sets it", Always: true})
	}
	all.ofServices(c)
	if c.Sync != nil {
		for _, r := range syncSysctls() {
			r.Always = true
			all.add(r)
		}
	}
	all.ofVIPsOnLoopback(c)
	all.ofPaths(c)
	return all
}

// requirements are Requirements in the making.
type requirements []Requirement

// add adds r unless there is one of its name.
func (all *requirements) add(r Requirement) {
	if !slices.ContainsFunc(*all, func(other Requirement) bool { return other.Name == r.Name }) {
		*all = append(*all, r)
	}
}

func (all *requirements) reported(name, value, why string) {
	all.add(Requirement{Name: name, Value: value, Why: why})
}

func (all *requirements) quiet(name, value, why string) {
	all.add(Requirement{Name: name, Value: value, Why: why, Always: true, Quiet: true})
}

// ofServices adds what virtual services need on a director.
func (all *requirements) ofServices(c *config.Config) {
	var nat, nat6, snat, persistent, direct bool
	for i := range c.Services {
		service := &c.Services[i]
		snat = snat || service.SNAT != nil
		persistent = persistent || service.IPVS.Flags&ipvs.Persistent != 0
		for j := range service.RealServers {
			masquerade := service.RealServers[j].Forwarding == ipvs.Masquerade
			nat, direct = nat || masquerade, direct || !masquerade
			nat6 = nat6 || masquerade && service.IPVS.Family == ipvs.IPv6
		}
	}
	if len(c.Services) > 0 {
		all.reported("net.ipv4.vs.expire_nodest_conn", "1",
			"otherwise a client that uses a port again is sent to the server of its old connection, "+
				"although that server has weight 0 or is gone")
	}
	if direct {
		all.reported("net.ipv4.vs.conn_reuse_mode", "2",
			"dr, tun: a connection ends in FIN_WAIT here, and a client that uses its port again "+
				"must be scheduled anew")
	}
	if nat {
		all.ofNAT(c)
	}
	if nat6 {
		all.reported("net.ipv6.conf.all.forwarding", "1",
			"nat over IPv6: replies of real servers are routed through this node")
	}
	if snat {
		all.add(Requirement{
			Name: "net.ipv4.vs.conntrack", Value: "1", Always: true,
			Why: "snat: otherwise the firewall does not see the connections of IPVS",
		})
	}
	if persistent {
		all.reported("net.ipv4.vs.expire_quiescent_template", "1",
			"persistence: otherwise clients keep being sent to a real server with weight 0")
	}
}

func (all *requirements) ofNAT(c *config.Config) {
	all.reported("net.ipv4.ip_forward", "1", "nat: replies of real servers are routed through this node")
	const why = "nat: otherwise real servers on the same network are told to bypass this node"
	all.reported("net.ipv4.conf.all.send_redirects", "0", why)
	for _, name := range interfaces(c) {
		all.reported("net.ipv4.conf."+sysctlName(name)+".send_redirects", "0", why)
	}
}

// ofVIPsOnLoopback adds what keeps VIPs on lo from being told to neighbours, and
// what lets packets come out of tunnels. IPv6 needs neither.
func (all *requirements) ofVIPsOnLoopback(c *config.Config) {
	silent := keepsConnections(c)
	devices := Set[string]{}
	for _, accept := range c.Accept {
		for _, vip := range accept.VIPs {
			silent = silent || vip.Is4()
		}
		for _, tunnel := range accept.Decapsulations {
			devices.Add(tunnel.Device())
		}
	}
	if silent {
		const why = "a VIP on lo: otherwise this node says that the VIP is here"
		all.quiet("net.ipv4.conf.all.arp_ignore", "1", why)
		all.quiet("net.ipv4.conf.all.arp_announce", "2", why)
	}
	if len(devices) > 0 {
		const why = "tun: otherwise packets out of a tunnel are dropped, because their clients are not behind it"
		all.quiet("net.ipv4.conf.all.rp_filter", "0", why)
		for _, device := range sorted(devices, strings.Compare) {
			all.quiet("net.ipv4.conf."+sysctlName(device)+".rp_filter", "0", why)
		}
	}
}

// interfaces returns the interface of every instance, once each, in file order.
func interfaces(c *config.Config) []string {
	var names []string
	seen := Set[string]{}
	for _, instance := range c.VRRP {
		if !seen.Has(instance.Interface) {
			seen.Add(instance.Interface)
			names = append(names, instance.Interface)
		}
	}
	return names
}

// sysctlName writes an interface name as part of a kernel parameter's name, in
// which a dot separates: sysctl(8) puts a slash in its place.
func sysctlName(name string) string { return strings.ReplaceAll(name, ".", "/") }
