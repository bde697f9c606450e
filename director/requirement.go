package director

import (
	"strings"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/director/ipvs"
)

// Requirement is a kernel parameter that the configuration depends on.
type Requirement struct {
	// Name is dotted, as sysctl(8) prints it; a dot inside an interface name
	// is written as a slash.
	Name, Value string
	// Why says what breaks without it.
	Why string
}

// Requirements returns the kernel parameters that c depends on.
func Requirements(c *config.Config) []Requirement {
	var required []Requirement
	add := func(name, value, why string) {
		required = append(required, Requirement{name, value, why})
	}
	var nat, persistent, direct bool
	for _, service := range c.Services {
		nat = nat || service.Forwarding == ipvs.Masquerade
		direct = direct || service.Forwarding != ipvs.Masquerade
		persistent = persistent || service.IPVS.Flags&ipvs.Persistent != 0
	}
	if len(c.Services) > 0 {
		add("net.ipv4.vs.expire_nodest_conn", "1",
			"otherwise a client that uses a port again is sent to the server of its old connection, "+
				"although that server has weight 0 or is gone")
	}
	if direct {
		add("net.ipv4.vs.conn_reuse_mode", "2",
			"dr, tun: a connection ends in FIN_WAIT here, and a client that uses its port again "+
				"must be scheduled anew")
	}
	if nat {
		add("net.ipv4.ip_forward", "1", "nat: replies of real servers are routed through this node")
		const why = "nat: otherwise real servers on the same network are told to bypass this node"
		add("net.ipv4.conf.all.send_redirects", "0", why)
		for _, name := range interfaces(c) {
			add("net.ipv4.conf."+sysctlName(name)+".send_redirects", "0", why)
		}
	}
	if persistent {
		add("net.ipv4.vs.expire_quiescent_template", "1",
			"persistence: otherwise clients keep being sent to a real server with weight 0")
	}
	return required
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
