package director

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/lvsd/lvsd/director/ipvs"
	"github.com/lvsd/lvsd/director/netif"
	"github.com/lvsd/lvsd/iptables"
)

// Op is one change of the kernel. String is the command by which a person would
// make the same change: it serves the log, the plan and the tests alike.
type Op interface {
	fmt.Stringer
	// applyTo makes the change in a State: the model of what the kernel does.
	applyTo(State)
}

// The operations.
type (
	// SetSysctl gives a kernel parameter a value.
	SetSysctl struct{ Name, Value string }
	// AddService creates a virtual service without real servers.
	AddService struct{ Service ipvs.Service }
	// EditService changes scheduler, flags or persistence of a service.
	EditService struct{ Service ipvs.Service }
	// DeleteService removes a service and its real servers.
	DeleteService struct{ Key ipvs.ServiceKey }
	// AddRealServer adds a real server to a service.
	AddRealServer struct {
		Key    ipvs.ServiceKey
		Server ipvs.Destination
	}
	// EditRealServer changes weight, forwarding method or thresholds.
	EditRealServer struct {
		Key    ipvs.ServiceKey
		Server ipvs.Destination
	}
	// DeleteRealServer removes a real server from a service.
	DeleteRealServer struct {
		Key    ipvs.ServiceKey
		Server netip.AddrPort
	}
	// AddVIP puts a VIP on its interface.
	AddVIP struct{ VIP netif.VIP }
	// EditVIP makes of Old the VIP of the same address and interface.
	EditVIP struct{ Old, VIP netif.VIP }
	// DeleteVIP takes a VIP off its interface.
	DeleteVIP struct{ VIP netif.VIP }
	// AddRoute adds a virtual route.
	AddRoute struct{ Route netif.Route }
	// DeleteRoute deletes a route that bears lvsd's tag.
	DeleteRoute struct{ Route netif.Route }
	// AddRule adds a virtual rule.
	AddRule struct{ Rule netif.Rule }
	// DeleteRule deletes a rule that bears lvsd's tag.
	DeleteRule struct{ Rule netif.Rule }
	// AddRedirect adds a rule.
	AddRedirect struct{ Rule iptables.Redirect }
	// DeleteRedirect deletes a rule.
	DeleteRedirect struct{ Rule iptables.Redirect }
	// DeleteStray deletes one rule that bears lvsd's tag and is not wanted. Rule
	// is the command that does so.
	DeleteStray struct{ Rule string }
	// AddMark adds a rule that gives a firewall mark.
	AddMark struct{ Rule iptables.Mark }
	// DeleteMark deletes one.
	DeleteMark struct{ Rule iptables.Mark }
	// AddSNAT adds a rule that gives NAT connections a source of this node.
	AddSNAT struct{ Rule iptables.SNAT }
	// DeleteSNAT deletes one.
	DeleteSNAT struct{ Rule iptables.SNAT }
	// AddMute adds a rule that keeps resets from a VIP back.
	AddMute struct{ Rule iptables.Mute }
	// DeleteMute deletes one.
	DeleteMute struct{ Rule iptables.Mute }
	// SetTimeout sets a timeout of idle connections.
	SetTimeout struct {
		Name  Timeout
		Value time.Duration
	}
	// StartDaemon starts a synchronisation daemon.
	StartDaemon struct{ Daemon ipvs.Daemon }
	// StopDaemon stops one; what it has not sent is lost.
	StopDaemon struct{ Daemon ipvs.Daemon }
	// AddDecapsulation takes packets out of a kind of tunnel.
	AddDecapsulation struct{ Tunnel netif.Decapsulation }
	// DeleteDecapsulation does so no longer. The device stays up if DeviceStays,
	// because another kind of tunnel that is wanted ends at it.
	DeleteDecapsulation struct {
		Tunnel      netif.Decapsulation
		DeviceStays bool
	}
	// HoldConntrack adds the rule that keeps connection tracking on.
	HoldConntrack struct{ Rule iptables.Hold }
	// ReleaseConntrack deletes it.
	ReleaseConntrack struct{ Rule iptables.Hold }
)

func (o SetSysctl) String() string {
	if strings.Contains(o.Value, " ") {
		return fmt.Sprintf("sysctl -w %s=%q", o.Name, o.Value)
	}
	return fmt.Sprintf("sysctl -w %s=%s", o.Name, o.Value)
}

func (o AddService) String() string     { return "ipvsadm -A " + serviceArguments(o.Service) }
func (o EditService) String() string    { return "ipvsadm -E " + serviceArguments(o.Service) }
func (o DeleteService) String() string  { return "ipvsadm -D " + keyArguments(o.Key) }
func (o AddRealServer) String() string  { return "ipvsadm -a " + serverArguments(o.Key, o.Server) }
func (o EditRealServer) String() string { return "ipvsadm -e " + serverArguments(o.Key, o.Server) }
func (o DeleteRealServer) String() string {
	return fmt.Sprintf("ipvsadm -d %s -r %s", keyArguments(o.Key), o.Server)
}
func (o AddVIP) String() string  { return "ip address add " + vipArguments(o.VIP) }
func (o EditVIP) String() string { return DeleteVIP{o.Old}.String() + " && " + AddVIP{o.VIP}.String() }

func (o DeleteVIP) String() string {
	return "ip address del " + addressArguments(o.VIP.Address)
}

func (o AddRoute) String() string {
	return ipCommand(o.Route.Destination.Addr().Is6()) + " route add " + routeArguments(o.Route)
}

func (o DeleteRoute) String() string {
	return ipCommand(o.Route.Destination.Addr().Is6()) + " route del " + routeArguments(o.Route)
}

func (o AddRule) String() string {
	return ipCommand(o.Rule.IPv6) + " rule add " + ruleArguments(o.Rule)
}

func (o DeleteRule) String() string {
	return ipCommand(o.Rule.IPv6) + " rule del " + ruleArguments(o.Rule)
}

func (o AddRedirect) String() string {
	return iptablesCommand(o.Rule.VIP.Is6()) + " -t nat -I PREROUTING " + redirectArguments(o.Rule)
}

func (o DeleteRedirect) String() string {
	return iptablesCommand(o.Rule.VIP.Is6()) + " -t nat -D PREROUTING " + redirectArguments(o.Rule)
}

func (o DeleteStray) String() string { return o.Rule }

func (o HoldConntrack) String() string {
	return iptablesCommand(o.Rule.IPv6) + " -t mangle -A FORWARD " + holdArguments
}

func (o ReleaseConntrack) String() string {
	return iptablesCommand(o.Rule.IPv6) + " -t mangle -D FORWARD " + holdArguments
}

func (o AddMark) String() string {
	return iptablesCommand(o.Rule.VIP.Is6()) + " -t mangle -A PREROUTING " + markArguments(o.Rule)
}

func (o DeleteMark) String() string {
	return iptablesCommand(o.Rule.VIP.Is6()) + " -t mangle -D PREROUTING " + markArguments(o.Rule)
}

func (o AddSNAT) String() string {
	return iptablesCommand(o.Rule.VIP.Is6()) + " -t nat -I POSTROUTING " + snatArguments(o.Rule)
}

func (o DeleteSNAT) String() string {
	return iptablesCommand(o.Rule.VIP.Is6()) + " -t nat -D POSTROUTING " + snatArguments(o.Rule)
}

func (o AddMute) String() string {
	return iptablesCommand(o.Rule.VIP.Is6()) + " -t mangle -A OUTPUT " + muteArguments(o.Rule)
}

func (o DeleteMute) String() string {
	return iptablesCommand(o.Rule.VIP.Is6()) + " -t mangle -D OUTPUT " + muteArguments(o.Rule)
}

func (o SetTimeout) String() string {
	seconds := map[Timeout]int{o.Name: int(o.Value.Seconds())}
	return fmt.Sprintf("ipvsadm --set %d %d %d", seconds[TimeoutTCP], seconds[TimeoutTCPFin], seconds[TimeoutUDP])
}

func (o StartDaemon) String() string { return "ipvsadm --start-daemon " + daemonArguments(o.Daemon) }

func (o StopDaemon) String() string { return "ipvsadm --stop-daemon " + daemonState(o.Daemon.State) }

// holdArguments are those of a rule that matches nothing of interest and does
// nothing: its match alone needs connection tracking.
const holdArguments = "-m conntrack --ctstate INVALID"

func (o SetSysctl) applyTo(s State)      { s.Sysctls[o.Name] = o.Value }
func (o DeleteService) applyTo(s State)  { delete(s.Services, o.Key) }
func (o AddRealServer) applyTo(s State)  { s.put(o.Key, o.Server) }
func (o EditRealServer) applyTo(s State) { s.put(o.Key, o.Server) }

func (o DeleteRealServer) applyTo(s State) {
	service := s.Services[o.Key]
	if i, there := service.find(o.Server); there {
		service.RealServers = slices.Delete(service.RealServers, i, i+1)
		s.Services[o.Key] = service
	}
}

// put makes the real server one of a service that is there.
func (s State) put(key ipvs.ServiceKey, server ipvs.Destination) {
	service, ok := s.Services[key]
	if !ok {
		return
	}
	i, there := service.find(server.Address)
	if there {
		service.RealServers[i] = server
		return
	}
	service.RealServers = slices.Insert(service.RealServers, i, server)
	s.Services[key] = service
}

func (o AddVIP) applyTo(s State)         { s.VIPs.Add(o.VIP) }
func (o DeleteVIP) applyTo(s State)      { delete(s.VIPs, o.VIP) }
func (o AddRoute) applyTo(s State)       { s.Routes.Add(o.Route) }
func (o DeleteRoute) applyTo(s State)    { delete(s.Routes, o.Route) }
func (o AddRule) applyTo(s State)        { s.Rules.Add(o.Rule) }
func (o DeleteRule) applyTo(s State)     { delete(s.Rules, o.Rule) }
func (o AddRedirect) applyTo(s State)    { s.Redirects.Add(o.Rule) }
func (o DeleteRedirect) applyTo(s State) { delete(s.Redirects, o.Rule) }

func (o SetTimeout) applyTo(s State)          { s.Timeouts[o.Name] = o.Value }
func (o AddMark) applyTo(s State)             { s.Marks.Add(o.Rule) }
func (o DeleteMark) applyTo(s State)          { delete(s.Marks, o.Rule) }
func (o AddSNAT) applyTo(s State)             { s.SNATs.Add(o.Rule) }
func (o DeleteSNAT) applyTo(s State)          { delete(s.SNATs, o.Rule) }
func (o AddMute) applyTo(s State)             { s.Mutes.Add(o.Rule) }
func (o DeleteMute) applyTo(s State)          { delete(s.Mutes, o.Rule) }
func (o StartDaemon) applyTo(s State)         { s.Daemons[o.Daemon.State] = o.Daemon }
func (o StopDaemon) applyTo(s State)          { delete(s.Daemons, o.Daemon.State) }
func (o AddDecapsulation) applyTo(s State)    { s.Decapsulations.Add(o.Tunnel) }
func (o DeleteDecapsulation) applyTo(s State) { delete(s.Decapsulations, o.Tunnel) }

func (o DeleteStray) applyTo(s State)      { delete(s.Strays, o.Rule) }
func (o HoldConntrack) applyTo(s State)    { s.Conntrack.Add(o.Rule) }
func (o ReleaseConntrack) applyTo(s State) { delete(s.Conntrack, o.Rule) }

func (o EditVIP) applyTo(s State) {
	delete(s.VIPs, o.Old)
	s.VIPs.Add(o.VIP)
}

func (o AddService) applyTo(s State) {
	s.Services[o.Service.ServiceKey] = Service{Service: o.Service}
}

func (o EditService) applyTo(s State) {
	service := s.Services[o.Service.ServiceKey]
	service.Service = o.Service
	s.Services[o.Service.ServiceKey] = service
}
