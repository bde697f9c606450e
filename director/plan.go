package director

import (
	"net/netip"
	"slices"
	"time"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/director/ipvs"
	"github.com/lvsd/lvsd/director/netif"
	"github.com/lvsd/lvsd/healthcheck"
	"github.com/lvsd/lvsd/healthcheck/probe"
	"github.com/lvsd/lvsd/iptables"
	"github.com/lvsd/lvsd/vrrp"
)

// Facts are what Plan decides from.
type Facts struct {
	Config *config.Config
	// Roles holds the role of each VRRP instance by name; an instance that is
	// not in it counts as BACKUP.
	Roles map[string]vrrp.Role
	// Up is the verdict of a check; if it is nil, every check counts as down.
	Up func(healthcheck.Spec) bool
	// Told is the weight that a real server tells by a check; nil is none.
	Told func(healthcheck.Spec) probe.Weight
	// Kept are the weights of real servers that stand until the checks by which
	// those tell theirs have answered.
	Kept map[ServerKey]int
	// Admin is what operators want of the real servers and services.
	Admin Admin
	// Draining are real servers that the configuration no longer names but that
	// still have connections.
	Draining map[ipvs.ServiceKey]map[netip.AddrPort]ipvs.Destination
	// Sysctls are the values that kernel parameters had before lvsd set them.
	Sysctls map[string]string
	// Now is the time of the plan, for what changes by itself: nextChange tells
	// when that is.
	Now time.Time
	// Recovered is when each real server that came up again did so; it counts
	// for slow start.
	Recovered map[ServerKey]time.Time
	// Quorate holds whether each service, by name, had its quorum last; one that
	// is not in it had not.
	Quorate map[string]bool
	// Relinquished is when each instance, by name, last ceased to be MASTER, a
	// clean stop included. For syncLinger after that its sender of connections
	// and, with KeepConnections, IPVS go on.
	Relinquished map[string]time.Time
	// Assumed is when each instance, by name, last became MASTER, except that one
	// which went on where a predecessor was is not in it.
	Assumed map[string]time.Time
	// Stopping is a clean stop: give everything up, but for what other
	// directors' traffic to this node needs. What lingers goes at nextChange:
	// a stop is complete when that is zero.
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
	want.Services = make(map[ipvs.ServiceKey]Service, len(f.Config.Services))
	redirects := redirects(f.Config)
	for i := range f.Config.VRRP {
		planInstance(want, f, &f.Config.VRRP[i], redirects)
	}
	planAccept(want, f)
	planSync(want, f)
	for i := range f.Config.VRRP {
		planMutes(want, f, &f.Config.VRRP[i])
	}
	planSysctls(want, f)
	if !f.Stopping || f.handsOver() {
		planServices(want, f)
		planPaths(want, f)
	}
	if !f.Stopping {
		planTimeouts(want, f.Config.IPVS.Timeouts)
	}
	return want
}

func planInstance(want State, f Facts, instance *config.VRRP, redirects map[netip.Addr][]iptables.Redirect) {
	master := f.Roles[instance.Router.Name] == vrrp.Master && !f.Stopping
	if master {
		planRoutes(want, instance)
	}
	serves := instance.ServeOnBackup && (!f.Stopping || instance.KeepRedirectOnStop)
	for _, vip := range instance.VIPs {
		if instance.ServeOnBackup && !f.Stopping {
			want.Conntrack.Add(iptables.Hold{IPv6: vip.Addr.Is6()})
		}
		if master {
			want.VIPs.Add(vip.VIP)
		}
		if serves && instance.KeepConnections {
			want.VIPs.Add(netif.HostVIP(loopback, vip.Addr))
		}
		if master || !serves {
			continue
		}
		if instance.Redirect == config.RedirectAllTCP {
			want.Redirects.Add(iptables.Redirect{VIP: vip.Addr, Protocol: "tcp"})
			continue
		}
		for _, rule := range redirects[vip.Addr] {
			want.Redirects.Add(rule)
		}
	}
}

func planRoutes(want State, instance *config.VRRP) {
	for _, route := range instance.Routes {
		want.Routes.Add(route)
	}
	for _, rule := range instance.Rules {
		want.Rules.Add(rule)
	}
}

// planTimeouts names those that the file gives.
func planTimeouts(want State, t ipvs.Timeouts) {
	for name, value := range timeouts(t) {
		if value != 0 {
			want.Timeouts[name] = value
		}
	}
}

func timeouts(t ipvs.Timeouts) map[Timeout]time.Duration {
	return map[Timeout]time.Duration{TimeoutTCP: t.TCP, TimeoutTCPFin: t.TCPFin, TimeoutUDP: t.UDP}
}

// redirects returns, by VIP, the rules that make a node which is not MASTER
// accept what the MASTER forwards to it. Of TCP they take connection requests
// only: a neighbour that has not heard of the new MASTER yet still sends packets
// of established connections here, and a rule that took them would answer with a
// reset, where silence lets the client send again to the right node.
func redirects(c *config.Config) map[netip.Addr][]iptables.Redirect {
	rules := map[netip.Addr][]iptables.Redirect{}
	if !slices.ContainsFunc(c.VRRP, func(v config.VRRP) bool { return v.ServeOnBackup }) {
		return rules
	}
	for i := range c.Services {
		key := c.Services[i].IPVS.ServiceKey
		if key.Protocol != ipvs.TCP && key.Protocol != ipvs.UDP {
			continue
		}
		vip := key.Address.Addr()
		rules[vip] = append(rules[vip], iptables.Redirect{
			VIP:      vip,
			Protocol: key.Protocol.String(),
			Port:     key.Address.Port(),
			NewOnly:  key.Protocol == ipvs.TCP,
		})
	}
	return rules
}
