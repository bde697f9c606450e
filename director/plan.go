package director

import (
	"maps"
	"net/netip"
	"strings"
	"time"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/director/ipvs"
	"github.com/lvsd/lvsd/healthcheck"
	"github.com/lvsd/lvsd/iptables"
	"github.com/lvsd/lvsd/vrrp"
)

// Facts are what Plan decides from.
type Facts struct {
	Config *config.Config
	// Roles holds the role of each VRRP instance by name; an instance that is
	// not in it counts as BACKUP.
	Roles map[string]vrrp.Role
	// Up holds the verdict of each check; one that is not in it counts as down.
	Up map[healthcheck.Spec]bool
	// Draining are real servers that the configuration no longer names but that
	// still have connections.
	Draining map[ipvs.ServiceKey]map[netip.AddrPort]ipvs.Destination
	// Sysctls are the values that kernel parameters had before lvsd set them.
	Sysctls map[string]string
	// Now is the time of the plan, for what changes by itself.
	Now time.Time
	// Recovered is when each real server that came up again did so; it counts
	// for slow start.
	Recovered map[ServerKey]time.Time
	// Quorate holds whether each service, by name, had its quorum last; one that
	// is not in it had not.
	Quorate map[string]bool
	// Relinquished is when each instance, by name, last ceased to be MASTER.
	Relinquished map[string]time.Time
	// Stopping is a clean stop: give everything up, but for the rules that
	// other directors' traffic to this node needs.
	Stopping bool
}

// ServerKey is one real server of one virtual service.
type ServerKey struct {
	Service ipvs.ServiceKey
	Address netip.AddrPort
}

// Plan returns the state that the kernel should be in. Virtual services stand
// in every role, so that a failover touches only VIPs and rules; a MASTER has
// its VIPs, virtual routes and virtual rules, and no REDIRECT rule, any other
// role the reverse.
func Plan(f Facts) State {
	want := NewState()
	for _, instance := range f.Config.VRRP {
		planInstance(want, f, instance)
	}
	maps.Copy(want.Sysctls, f.Sysctls)
	if f.Stopping {
		return want
	}
	for _, service := range f.Config.Services {
		planService(want, f, service)
	}
	if f.Config.Sysctl.Manage {
		for _, requirement := range Requirements(f.Config) {
			want.Sysctls[requirement.Name] = requirement.Value
		}
	}
	return want
}

func planInstance(want State, f Facts, instance config.VRRP) {
	if instance.ServeOnBackup && !f.Stopping {
		want.Conntrack.Add(Hold{})
	}
	master := f.Roles[instance.Router.Name] == vrrp.Master && !f.Stopping
	if master {
		planRoutes(want, instance)
	}
	for _, vip := range instance.VIPs {
		if master {
			want.VIPs.Add(vip.VIP)
			continue
		}
		if !instance.ServeOnBackup || f.Stopping && !instance.KeepRedirectOnStop {
			continue
		}
		for _, rule := range redirects(f.Config, instance, vip.Addr) {
			want.Redirects.Add(rule)
		}
	}
}

func planRoutes(want State, instance config.VRRP) {
	for _, route := range instance.Routes {
		want.Routes.Add(route)
	}
	for _, rule := range instance.Rules {
		want.Rules.Add(rule)
	}
}

// redirects returns the rules that make a node which is not MASTER accept what
// the MASTER forwards to it for vip. Of TCP they take connection requests only:
// a neighbour that has not heard of the new MASTER yet still sends packets of
// established connections here, and a rule that took them would answer with a
// reset, where silence lets the client send again to the right node.
func redirects(c *config.Config, instance config.VRRP, vip netip.Addr) []iptables.Redirect {
	if instance.Redirect == config.RedirectAllTCP {
		return []iptables.Redirect{{VIP: vip, Protocol: "tcp"}}
	}
	var rules []iptables.Redirect
	for _, service := range c.Services {
		key := service.IPVS.ServiceKey
		if key.Address.Addr() == vip && (key.Protocol == ipvs.TCP || key.Protocol == ipvs.UDP) {
			rules = append(rules, iptables.Redirect{
				VIP:      vip,
				Protocol: strings.ToLower(key.Protocol.String()),
				Port:     key.Address.Port(),
				NewOnly:  key.Protocol == ipvs.TCP,
			})
		}
	}
	return rules
}

func planService(want State, f Facts, service config.VirtualService) {
	servers := make(map[netip.AddrPort]ipvs.Destination, len(service.RealServers)+1)
	available := false
	for _, server := range service.RealServers {
		destination := ipvs.Destination{
			Address:    server.Address,
			Forwarding: server.Forwarding,
			Tunnel:     server.Tunnel,
			Weight:     server.Weight,
			Upper:      server.Upper,
			Lower:      server.Lower,
		}
		switch {
		case f.isUp(server):
			available = available || server.Weight > 0
		case service.OnFailure == config.Remove:
			continue
		default:
			destination.Weight = 0
		}
		servers[server.Address] = destination
	}
	for address, destination := range f.Draining[service.IPVS.ServiceKey] {
		destination.Weight = 0
		servers[address] = destination
	}
	if sorry := service.Sorry; sorry != nil && !available {
		servers[sorry.Address] = ipvs.Destination{
			Address:    sorry.Address,
			Forwarding: sorry.Forwarding,
			Weight:     1,
		}
	}
	want.Services[service.IPVS.ServiceKey] = Service{Service: service.IPVS, RealServers: servers}
}

// isUp reports whether every check of the real server has the verdict up.
func (f Facts) isUp(server config.RealServer) bool {
	for _, check := range server.Checks {
		if !f.Up[check] {
			return false
		}
	}
	return true
}
