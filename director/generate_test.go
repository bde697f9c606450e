package director

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"pgregory.net/rapid"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/director/ipvs"
	"github.com/lvsd/lvsd/director/netif"
	"github.com/lvsd/lvsd/healthcheck"
	"github.com/lvsd/lvsd/healthcheck/probe"
	"github.com/lvsd/lvsd/iptables"
	"github.com/lvsd/lvsd/vrrp"
)

// drawState draws a small State, so that two of them overlap often.
func drawState(t *rapid.T, name string) State {
	s := NewState()
	for i := range 2 {
		key := ipvs.ServiceKey{
			Family:   ipvs.IPv4,
			Protocol: ipvs.TCP,
			Address:  netip.AddrPortFrom(vipNumber(i), 25),
		}
		if !rapid.Bool().Draw(t, fmt.Sprintf("%s service %d", name, i)) {
			continue
		}
		service := Service{
			Service: ipvs.Service{
				ServiceKey:  key,
				Scheduler:   rapid.SampledFrom([]string{"wlc", "rr"}).Draw(t, "scheduler"),
				Granularity: 32,
			},
		}
		for j := range 3 {
			if weight := rapid.IntRange(-1, 2).Draw(t, "weight"); weight >= 0 {
				address := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(j + 1)}), 25)
				service.RealServers = append(service.RealServers, ipvs.Destination{
					Address: address, Forwarding: ipvs.DirectRoute, Weight: weight,
				})
			}
		}
		s.Services[key] = service
	}
	if rapid.Bool().Draw(t, name+" conntrack") {
		s.Conntrack.Add(iptables.Hold{})
	}
	for i := range 2 {
		for _, device := range []string{"eth0", "eth1"} {
			if form := rapid.IntRange(-1, len(vipForms)-1).Draw(t, fmt.Sprintf("%s VIP %d %s", name, i, device)); form >= 0 {
				s.VIPs.Add(vipForms[form](netif.HostVIP(device, vipNumber(i))))
			}
		}
		for _, rule := range rulesNumber(i) {
			if rapid.Bool().Draw(t, fmt.Sprintf("%s rule %v", name, rule)) {
				s.Redirects.Add(rule)
			}
		}
	}
	drawRouting(t, s, name)
	return s
}

// vipForms are what a VIP may look like; the kernel has each address only once
// with each prefix length on an interface.
var vipForms = []func(netif.VIP) netif.VIP{
	func(v netif.VIP) netif.VIP { return v },
	func(v netif.VIP) netif.VIP {
		v.Label, v.Scope = v.Interface+":vip", netif.ScopeLink
		return v
	},
	func(v netif.VIP) netif.VIP {
		v.Bits = 24
		return v
	},
	func(v netif.VIP) netif.VIP {
		v.Bits, v.Label, v.Broadcast = 24, v.Interface+":vip", netip.MustParseAddr("192.0.2.255")
		return v
	},
}

// routesNumber are routes that the kernel takes for the same one.
func routesNumber(i int) []netif.Route {
	route := netif.Route{
		Destination: netip.PrefixFrom(netip.AddrFrom4([4]byte{198, 51, 100, byte(16 * i)}), 28),
		Table:       254,
	}
	onLink, gateway, blackhole, beyond := route, route, route, route
	onLink.Interface, onLink.Scope = "eth0", netif.ScopeLink
	gateway.Gateway = netip.MustParseAddr("203.0.113.1")
	beyond.Interface, beyond.OnLink, beyond.Gateway = "eth1", true, netip.MustParseAddr("203.0.113.1")
	blackhole.Type = netif.Blackhole
	return []netif.Route{onLink, gateway, blackhole, beyond}
}

func rulesFor(i int) []netif.Rule {
	return []netif.Rule{
		{Priority: 100, From: netip.PrefixFrom(vipNumber(i), 32), Table: 1000},
		{Priority: uint32(200 + i), IPv6: true, Incoming: "eth0", Mark: 1, Mask: 0xff, Table: 7},
	}
}

// sourced is a route whose source is a VIP.
func sourced(i int) netif.Route {
	return netif.Route{
		Destination: netip.MustParsePrefix("198.51.100.128/25"), Interface: "eth1", Scope: netif.ScopeLink,
		Source: vipNumber(i), Table: 1000,
	}
}

// drawRouting adds virtual routes and rules. One whose source is a VIP is only
// there with it.
func drawRouting(t *rapid.T, s State, name string) {
	for i := range 2 {
		if n := rapid.IntRange(-1, 3).Draw(t, fmt.Sprintf("%s route %d", name, i)); n >= 0 {
			s.Routes.Add(routesNumber(i)[n])
		}
		for n, rule := range rulesFor(i) {
			if rapid.Bool().Draw(t, fmt.Sprintf("%s virtual rule %d %d", name, i, n)) {
				s.Rules.Add(rule)
			}
		}
	}
	if i := rapid.IntRange(0, 1).Draw(t, name+" source"); s.holds(vipNumber(i)) {
		s.Routes.Add(sourced(i))
	}
}

func vipNumber(i int) netip.Addr { return netip.AddrFrom4([4]byte{192, 0, 2, byte(100 + i)}) }

func rulesNumber(i int) []iptables.Redirect {
	return []iptables.Redirect{
		{VIP: vipNumber(i), Protocol: "tcp", Port: 25},
		{VIP: vipNumber(i), Protocol: "tcp", Port: 25, NewOnly: true},
		{VIP: vipNumber(i), Protocol: "udp", Port: 53},
	}
}

// drawWide draws a State with all that one can have, on top of drawState.
func drawWide(t *rapid.T, name string) State {
	s := drawState(t, name)
	for i := range 2 {
		for _, mark := range marksNumber(i) {
			if rapid.Bool().Draw(t, name+" mark") {
				s.Marks.Add(mark)
			}
		}
		for _, snat := range snatsNumber(i) {
			if rapid.Bool().Draw(t, name+" SNAT") {
				s.SNATs.Add(snat)
			}
		}
		if rapid.Bool().Draw(t, name+" mute") {
			s.Mutes.Add(iptables.Mute{VIP: vipNumber(i)})
		}
		if rapid.Bool().Draw(t, name+" VIP on lo") {
			s.VIPs.Add(netif.HostVIP(loopback, vipNumber(i)))
		}
	}
	for _, state := range []ipvs.DaemonState{ipvs.DaemonMaster, ipvs.DaemonBackup} {
		if id := rapid.IntRange(0, 2).Draw(t, name+" daemon"); id > 0 {
			s.Daemons[state] = ipvs.Daemon{
				State: state, Interface: "eth0", ID: uint8(id), TTL: rapid.SampledFrom([]uint8{0, 1, 3}).Draw(t, "TTL"),
			}
		}
	}
	for _, name := range []Timeout{TimeoutTCP, TimeoutTCPFin, TimeoutUDP} {
		s.Timeouts[name] = time.Duration(rapid.IntRange(1, 3).Draw(t, "timeout")) * time.Minute
	}
	for _, tunnel := range tunnels {
		if rapid.Bool().Draw(t, name+" tunnel") {
			s.Decapsulations.Add(tunnel)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(sysctlValues)) {
		s.Sysctls[name] = rapid.SampledFrom(sysctlValues[name]).Draw(t, name)
	}
	return s
}

// drawKernel draws what a kernel may have, which is never all wanted.
func drawKernel(t *rapid.T, name string) State {
	s := drawWide(t, name)
	if rapid.IntRange(0, 3).Draw(t, name+" stray") == 0 {
		s.Strays.Add("iptables -t nat -D PREROUTING -j RETURN")
	}
	return s
}

// tunnels are kinds of decapsulation, of which some end at one device.
var tunnels = []netif.Decapsulation{
	{Encapsulation: netif.IPIP},
	{Encapsulation: netif.IPIP, InnerIPv6: true},
	{Encapsulation: netif.GUE, Port: 6080},
	{Encapsulation: netif.GUE, Port: 6081},
	{Encapsulation: netif.GRE},
}

// sysctlValues are kernel parameters and what they may be.
var sysctlValues = map[string][]string{
	"net.ipv4.conf.all.arp_ignore":     {"0", "1"},
	"net.ipv4.conf.all.arp_announce":   {"0", "2"},
	"net.ipv4.conf.all.rp_filter":      {"0", "1", "2"},
	"net.ipv4.conf.tunl0.rp_filter":    {"0", "1"},
	"net.ipv4.vs.conntrack":            {"0", "1"},
	"net.ipv4.vs.sync_threshold":       {"3 50", "0 0"},
	"net.ipv4.vs.sync_refresh_period":  {"0", "10"},
	"net.ipv4.vs.expire_nodest_conn":   {"0", "1"},
	"net.ipv4.vs.conn_reuse_mode":      {"0", "1", "2"},
	"net.ipv4.vs.sloppy_tcp":           {"0", "1"},
	"net.ipv4.ip_forward":              {"0", "1"},
	"net.ipv4.conf.all.send_redirects": {"0", "1"},
	backupOnly:                         {"0", "1"},
}

func marksNumber(i int) []iptables.Mark {
	return []iptables.Mark{
		{VIP: vipNumber(i), Protocol: "tcp", First: 80, Last: 81, Mark: 1},
		{VIP: vipNumber(i), Mark: 2},
	}
}

func snatsNumber(i int) []iptables.SNAT {
	return []iptables.SNAT{
		{VIP: vipNumber(i), Protocol: "tcp", Port: 25},
		{VIP: vipNumber(i), Protocol: "tcp", Port: 25, Source: netip.MustParseAddr("203.0.113.9")},
	}
}

// drawConfig draws a valid configuration of few things, so that two of them, and
// a State of drawWide, overlap often.
func drawConfig(t *rapid.T) *config.Config {
	c := &config.Config{
		Global: config.Global{RouterID: "node", Resync: time.Second, LockWait: time.Second},
		Sysctl: config.Sysctl{Manage: rapid.Bool().Draw(t, "manage")},
	}
	for i := range 2 {
		if rapid.Bool().Draw(t, "instance") {
			c.VRRP = append(c.VRRP, drawInstance(t, i))
		}
		for port := range uint16(rapid.IntRange(0, 3).Draw(t, "services")) {
			c.Services = append(c.Services, drawService(t, i, 25+port))
		}
	}
	if len(c.VRRP) > 0 && rapid.Bool().Draw(t, "sync") {
		c.Sync = &config.Sync{
			Instance: c.VRRP[0].Router.Name, Interface: "eth0", ID: uint8(rapid.IntRange(1, 2).Draw(t, "sync id")),
			Daemons: rapid.SampledFrom([]config.SyncDaemons{config.SyncBoth, config.SyncFollow}).Draw(t, "daemons"),
			TTL:     rapid.SampledFrom([]uint8{0, 1, 3}).Draw(t, "sync TTL"),
		}
		c.VRRP[0].KeepConnections = c.VRRP[0].ServeOnBackup && rapid.Bool().Draw(t, "keep connections")
	}
	if rapid.Bool().Draw(t, "accept") {
		c.Accept = append(c.Accept, drawAccept(t))
	}
	if rapid.Bool().Draw(t, "timeouts") {
		c.IPVS.Timeouts = ipvs.Timeouts{TCP: 2 * time.Minute, UDP: time.Minute}
	}
	if rapid.Bool().Draw(t, "sysctls") {
		c.IPVS.Sysctls = map[string]string{
			"net.ipv4.vs.sloppy_tcp":      "1",
			"net.ipv4.vs.conn_reuse_mode": rapid.SampledFrom([]string{"0", "1"}).Draw(t, "conn_reuse_mode"),
		}
	}
	return c
}

func drawInstance(t *rapid.T, i int) config.VRRP {
	v := config.VRRP{
		Router:             vrrp.Config{Name: "vi" + strconv.Itoa(i)},
		Interface:          "eth0",
		ServeOnBackup:      rapid.Bool().Draw(t, "serve on backup"),
		Redirect:           rapid.SampledFrom([]config.RedirectScope{config.RedirectServices, config.RedirectAllTCP}).Draw(t, "redirect"),
		KeepRedirectOnStop: rapid.Bool().Draw(t, "keep redirect"),
	}
	form := rapid.SampledFrom(vipForms).Draw(t, "form")
	v.VIPs = []config.VIP{{VIP: form(netif.HostVIP("eth0", vipNumber(i)))}}
	if rapid.Bool().Draw(t, "routes") {
		v.Routes, v.Rules = routesNumber(i)[:1], rulesFor(i)
	}
	return v
}

// drawService draws a service on VIP i, or one selected by a mark.
func drawService(t *rapid.T, i int, port uint16) config.VirtualService {
	s := config.VirtualService{
		Name: fmt.Sprintf("s%d-%d", i, port),
		IPVS: ipvs.Service{
			ServiceKey: ipvs.ServiceKey{
				Family: ipvs.IPv4, Protocol: rapid.SampledFrom([]ipvs.Protocol{ipvs.TCP, ipvs.UDP}).Draw(t, "protocol"),
				Address: netip.AddrPortFrom(vipNumber(i), port),
			},
			Scheduler: rapid.SampledFrom([]string{"wlc", "rr"}).Draw(t, "scheduler"), Granularity: 32,
		},
		Forwarding: rapid.SampledFrom([]ipvs.Forwarding{ipvs.Masquerade, ipvs.DirectRoute, ipvs.Tunnel}).Draw(t, "method"),
		OnFailure:  rapid.SampledFrom([]config.OnFailure{config.Quiesce, config.Remove}).Draw(t, "on failure"),
		SlowStart:  rapid.SampledFrom([]time.Duration{0, 10 * time.Second}).Draw(t, "slow start"),
	}
	s.Quorum.Weight = rapid.IntRange(0, 12).Draw(t, "quorum")
	s.Quorum.Hysteresis = rapid.IntRange(0, max(s.Quorum.Weight-1, 0)).Draw(t, "hysteresis")
	if rapid.IntRange(0, 3).Draw(t, "by mark") == 0 {
		s.IPVS.ServiceKey = ipvs.ServiceKey{Family: ipvs.IPv4, Mark: uint32(port)}
		s.Marks = []iptables.Mark{{VIP: vipNumber(i), Protocol: "tcp", First: port, Last: port, Mark: uint32(port)}}
	}
	for range rapid.IntRange(0, 4).Draw(t, "servers") {
		s.RealServers = append(s.RealServers, drawServer(t, s.Forwarding, port))
	}
	if s.Forwarding == ipvs.Masquerade && rapid.Bool().Draw(t, "SNAT") {
		s.SNAT = &config.SNAT{}
	}
	if rapid.Bool().Draw(t, "sorry") {
		s.Sorry = &config.SorryServer{
			Address: netip.AddrPortFrom(netip.MustParseAddr("10.0.0.9"), port), Forwarding: s.Forwarding,
			Weight: rapid.IntRange(1, 2).Draw(t, "sorry weight"), Inhibit: rapid.Bool().Draw(t, "inhibit"),
			Mode: rapid.SampledFrom([]config.SorryMode{config.SorryReplaces, config.SorryBeside}).Draw(t, "sorry mode"),
		}
	}
	return s
}

// drawServer draws a real server. Two may come out with one address, as two
// host names may.
func drawServer(t *rapid.T, method ipvs.Forwarding, port uint16) config.RealServer {
	r := config.RealServer{
		Address:    netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(rapid.IntRange(1, 5).Draw(t, "server"))}), port),
		Forwarding: method,
		Weight:     rapid.IntRange(0, 8).Draw(t, "weight"),
		Upper:      uint32(rapid.IntRange(0, 1).Draw(t, "upper")),
	}
	if method == ipvs.Tunnel {
		r.Tunnel = rapid.SampledFrom([]ipvs.TunnelInfo{
			{}, {Type: ipvs.GUE, Port: 6080}, {Type: ipvs.GRE, Flags: ipvs.TunnelChecksum},
		}).Draw(t, "tunnel")
	}
	for range rapid.IntRange(0, 2).Draw(t, "checks") {
		r.Checks = append(r.Checks, drawCheck(t, r.Address))
	}
	r.AnyCheck = rapid.Bool().Draw(t, "any check")
	if rapid.IntRange(0, 2).Draw(t, "weight check") == 0 {
		r.WeightChecks = []config.WeightCheck{{Check: drawCheck(t, r.Address), Weight: rapid.IntRange(-9, 9).Draw(t, "added")}}
	}
	return r
}

// drawCheck draws a check, every other one of a kind by which servers tell their
// weight.
func drawCheck(t *rapid.T, target netip.AddrPort) healthcheck.Spec {
	kind := rapid.SampledFrom([]probe.Kind{
		probe.TCP{}, probe.HTTP{}, probe.File{Path: "/run/weight"}, probe.Script{Dynamic: true},
	}).Draw(t, "kind")
	return healthcheck.Check{Kind: kind}.Of(target)
}

func drawAccept(t *rapid.T) config.Accept {
	a := config.Accept{VIPs: []netip.Addr{vipNumber(1)}, Forwarding: ipvs.DirectRoute}
	if rapid.Bool().Draw(t, "accept tunnels") {
		a.Forwarding = ipvs.Tunnel
		a.Decapsulations = slices.Clone(tunnels[rapid.IntRange(0, 3).Draw(t, "first tunnel"):])
	}
	return a
}

// drawFacts draws what Plan decides from, for c.
func drawFacts(t *rapid.T, c *config.Config) Facts {
	noon := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	moment := rapid.Custom(func(t *rapid.T) time.Time {
		return noon.Add(-time.Duration(rapid.IntRange(0, 40000).Draw(t, "ms ago")) * time.Millisecond)
	})
	f := Facts{
		Config: c, Now: noon, Up: upOf(map[healthcheck.Spec]bool{}),
		Roles: map[string]vrrp.Role{}, Quorate: map[string]bool{}, Relinquished: map[string]time.Time{},
		Assumed:   map[string]time.Time{},
		Recovered: map[ServerKey]time.Time{}, Kept: map[ServerKey]int{}, Sysctls: map[string]string{},
		Admin:    adminOf(setOf(drawOverrides(t)...), noon),
		Stopping: rapid.IntRange(0, 4).Draw(t, "stopping") == 0,
	}
	up, told := map[healthcheck.Spec]bool{}, map[healthcheck.Spec]probe.Weight{}
	for _, service := range c.Services {
		f.Quorate[service.Name] = rapid.Bool().Draw(t, "quorate")
		for _, server := range service.RealServers {
			for _, check := range server.Checks {
				up[check] = rapid.Bool().Draw(t, "up")
				if weight := rapid.IntRange(-4, 8).Draw(t, "told"); weight >= 0 {
					told[check] = probe.Weight{Known: true, Value: weight}
				}
			}
			for _, check := range server.WeightChecks {
				up[check.Check] = rapid.Bool().Draw(t, "passes")
			}
			if rapid.Bool().Draw(t, "recovered") {
				f.Recovered[ServerKey{service.IPVS.ServiceKey, server.Address}] = moment.Draw(t, "recovered at")
			}
			if rapid.IntRange(0, 5).Draw(t, "kept") == 0 {
				f.Kept[ServerKey{service.IPVS.ServiceKey, server.Address}] = rapid.IntRange(0, 8).Draw(t, "kept weight")
			}
		}
	}
	f.Up = upOf(up)
	f.Told = func(spec healthcheck.Spec) probe.Weight { return told[spec] }
	for _, instance := range c.VRRP {
		f.Roles[instance.Router.Name] = vrrp.Role(rapid.IntRange(0, 3).Draw(t, "role"))
		if rapid.Bool().Draw(t, "relinquished") {
			f.Relinquished[instance.Router.Name] = moment.Draw(t, "relinquished at")
		}
		if rapid.Bool().Draw(t, "assumed") {
			f.Assumed[instance.Router.Name] = moment.Draw(t, "assumed at")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(sysctlValues)) {
		if rapid.IntRange(0, 3).Draw(t, "saved") == 0 {
			f.Sysctls[name] = rapid.SampledFrom(sysctlValues[name]).Draw(t, name)
		}
	}
	return f
}

// upOf is Facts.Up that knows the verdicts, and no others.
func upOf(verdicts map[healthcheck.Spec]bool) func(healthcheck.Spec) bool {
	return func(spec healthcheck.Spec) bool { return verdicts[spec] }
}

// snapshotOf is what a kernel lists that is as s, real servers newest first.
func snapshotOf(s State) Snapshot {
	listed := Snapshot{
		Addresses: slices.Collect(maps.Keys(s.VIPs)),
		Routes:    slices.Collect(maps.Keys(s.Routes)), Rules: slices.Collect(maps.Keys(s.Rules)),
		Redirects: slices.Collect(maps.Keys(s.Redirects)), Marks: slices.Collect(maps.Keys(s.Marks)),
		SNATs: slices.Collect(maps.Keys(s.SNATs)), Mutes: slices.Collect(maps.Keys(s.Mutes)),
		Strays:   slices.Collect(maps.Keys(s.Strays)),
		Timeouts: maps.Clone(s.Timeouts), Decapsulations: slices.Collect(maps.Keys(s.Decapsulations)),
		Holds: slices.Collect(maps.Keys(s.Conntrack)), Sysctls: maps.Clone(s.Sysctls),
	}
	for _, daemon := range s.Daemons {
		listed.Daemons = append(listed.Daemons, withDefaults(daemon))
	}
	for _, key := range sorted(s.Services, compareKeys) {
		service := s.Services[key]
		entry := ipvs.ServiceEntry{Service: service.Service}
		for _, server := range slices.Backward(service.RealServers) {
			entry.Destinations = append(entry.Destinations, ipvs.DestinationEntry{Destination: server})
		}
		listed.Services = append(listed.Services, entry)
	}
	return listed
}
