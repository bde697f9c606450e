package director

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/lvsd/lvsd/director/ipvs"
	"github.com/lvsd/lvsd/director/netif"
	"github.com/lvsd/lvsd/iptables"
)

var compareStates = cmp.Options{
	cmpopts.EquateEmpty(),
	cmpopts.EquateComparable(netip.Addr{}, netip.AddrPort{}, netip.Prefix{}),
}

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
			RealServers: map[netip.AddrPort]ipvs.Destination{},
		}
		for j := range 3 {
			if weight := rapid.IntRange(-1, 2).Draw(t, "weight"); weight >= 0 {
				address := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(j + 1)}), 25)
				service.RealServers[address] = ipvs.Destination{
					Address: address, Forwarding: ipvs.DirectRoute, Weight: weight,
				}
			}
		}
		s.Services[key] = service
	}
	if rapid.Bool().Draw(t, name+" conntrack") {
		s.Conntrack.Add(Hold{})
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

// accepts reports whether a connection request to the VIP is served.
func (s State) accepts(vip netip.Addr) bool {
	return s.holds(vip) ||
		s.Redirects.Has(iptables.Redirect{VIP: vip, Protocol: "tcp", Port: 25}) ||
		s.Redirects.Has(iptables.Redirect{VIP: vip, Protocol: "tcp", Port: 25, NewOnly: true})
}

func TestDiffReachesWhatIsWanted(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		have, want := drawState(t, "have"), drawState(t, "want")
		for _, op := range Diff(have, want) {
			have = have.With(op)
		}
		if diff := cmp.Diff(want, have, compareStates); diff != "" {
			t.Fatalf("after all operations (-want +got):\n%s", diff)
		}
		if ops := Diff(have, want); len(ops) != 0 {
			t.Fatalf("an unchanged kernel needs %v", ops)
		}
	})
}

func TestDiffServesEveryAddressAtEveryStep(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		have, want := drawState(t, "have"), drawState(t, "want")
		ops, now := Diff(have, want), have
		for i, op := range ops {
			now = now.With(op)
			for v := range 2 {
				vip := vipNumber(v)
				if have.accepts(vip) && want.accepts(vip) && !now.accepts(vip) {
					t.Fatalf("%s is not served after step %d of %v", vip, i, ops)
				}
			}
		}
	})
}

func TestDiffNeverCapturesEstablishedConnectionsOfALeavingVIP(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		have, want := drawState(t, "have"), drawState(t, "want")
		ops, now := Diff(have, want), have
		for i, op := range ops {
			now = now.With(op)
			for v := range 2 {
				vip := vipNumber(v)
				all := iptables.Redirect{VIP: vip, Protocol: "tcp", Port: 25}
				if have.Redirects.Has(all) || want.holds(vip) {
					continue
				}
				if now.holds(vip) && now.Redirects.Has(all) {
					t.Fatalf("%s is local and wholly redirected after step %d of %v", vip, i, ops)
				}
			}
		}
	})
}

func TestDiffHasRealServersBeforeTheVIPComes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		have, want := drawState(t, "have"), drawState(t, "want")
		now := have
		for _, op := range Diff(have, want) {
			if add, ok := op.(AddVIP); ok && !have.holds(add.VIP.Addr) {
				for key, service := range want.Services {
					for address, server := range service.RealServers {
						if now.Services[key].RealServers[address] != server {
							t.Fatalf("%v comes before real server %v of %v", op, address, key)
						}
					}
				}
			}
			now = now.With(op)
		}
	})
}

func TestDiffNeverHasARouteWithoutItsSource(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		have, want := drawState(t, "have"), drawState(t, "want")
		now := have
		for _, op := range Diff(have, want) {
			now = now.With(op)
			for route := range now.Routes {
				if route.Source.IsValid() && !now.holds(route.Source) {
					t.Fatalf("after %v there is %v without its source", op, AddRoute{route})
				}
			}
		}
	})
}

// TestDiffHasOneOfAKind: the kernel has an address, and a route to a destination,
// only once, and refuses the second.
func TestDiffHasOneOfAKind(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		have, want := drawState(t, "have"), drawState(t, "want")
		now := have
		for _, op := range Diff(have, want) {
			now = now.With(op)
			addresses, routes := Set[netif.Address]{}, Set[routeKey]{}
			for vip := range now.VIPs {
				addresses.Add(vip.Address)
			}
			for route := range now.Routes {
				routes.Add(keyOf(route))
			}
			if len(addresses) != len(now.VIPs) || len(routes) != len(now.Routes) {
				t.Fatalf("after %v there are %v", op, now)
			}
		}
	})
}

func TestDiffOfRoleChanges(t *testing.T) {
	vip := netip.MustParseAddr("192.0.2.100")
	master, requests, all := NewState(), NewState(), NewState()
	master.VIPs.Add(netif.HostVIP("eth0", vip))
	requests.Redirects.Add(iptables.Redirect{VIP: vip, Protocol: "tcp", Port: 25, NewOnly: true})
	all.Redirects.Add(iptables.Redirect{VIP: vip, Protocol: "tcp"})

	routed := NewState()
	routed.VIPs.Add(netif.VIP{
		Address: netif.Address{Interface: "eth0", Addr: vip, Bits: 24},
		Scope:   netif.ScopeLink, Label: "eth0:vip", Broadcast: netip.MustParseAddr("192.0.2.255"),
	})
	routed.VIPs.Add(netif.VIP{Address: netif.Address{Interface: "eth0", Addr: netip.MustParseAddr("2001:db8::100"), Bits: 64}})
	routed.Routes.Add(netif.Route{
		Destination: netip.MustParsePrefix("0.0.0.0/0"), Gateway: netip.MustParseAddr("192.0.2.1"),
		Interface: "eth0", Source: vip, Table: 254,
	})
	routed.Routes.Add(netif.Route{
		Destination: netip.MustParsePrefix("2001:db8:1::/48"), Type: netif.Blackhole, Table: 1000, Metric: 1024,
	})
	routed.Rules.Add(netif.Rule{Priority: 100, From: netip.PrefixFrom(vip, 32), Mark: 0x10, Mask: 0xff, Table: 1000})
	labelled := func(label string) State {
		s := NewState()
		s.VIPs.Add(netif.VIP{Address: netif.HostAddress("eth0", vip), Label: "eth0:" + label})
		return s
	}

	for _, test := range []struct {
		name       string
		have, want State
		ops        []string
	}{
		{"backup to master", requests, master, []string{
			"ip address add 192.0.2.100/32 dev eth0",
			"iptables -t nat -D PREROUTING -d 192.0.2.100/32 -p tcp --dport 25 --syn -j REDIRECT",
		}},
		{"master to backup", master, requests, []string{
			"iptables -t nat -I PREROUTING -d 192.0.2.100/32 -p tcp --dport 25 --syn -j REDIRECT",
			"ip address del 192.0.2.100/32 dev eth0",
		}},
		{"master to backup with a rule for every packet", master, all, []string{
			"iptables -t nat -I PREROUTING -d 192.0.2.100/32 -p tcp --syn -j REDIRECT",
			"ip address del 192.0.2.100/32 dev eth0",
			"iptables -t nat -I PREROUTING -d 192.0.2.100/32 -p tcp -j REDIRECT",
			"iptables -t nat -D PREROUTING -d 192.0.2.100/32 -p tcp --syn -j REDIRECT",
		}},
		{"backup to master with routes", NewState(), routed, []string{
			"ip address add 192.0.2.100/24 dev eth0 scope link label eth0:vip broadcast 192.0.2.255",
			"ip address add 2001:db8::100/64 dev eth0",
			"ip route add default via 192.0.2.1 dev eth0 src 192.0.2.100 proto 112",
			"ip -6 route add blackhole 2001:db8:1::/48 table 1000 metric 1024 proto 112",
			"ip rule add priority 100 from 192.0.2.100/32 fwmark 0x10/0xff table 1000 protocol 112",
		}},
		{"master to backup with routes", routed, NewState(), []string{
			"ip rule del priority 100 from 192.0.2.100/32 fwmark 0x10/0xff table 1000 protocol 112",
			"ip route del default via 192.0.2.1 dev eth0 src 192.0.2.100 proto 112",
			"ip -6 route del blackhole 2001:db8:1::/48 table 1000 metric 1024 proto 112",
			"ip address del 2001:db8::100/64 dev eth0",
			"ip address del 192.0.2.100/24 dev eth0",
		}},
		{"another label", labelled("left"), labelled("right"), []string{
			"ip address del 192.0.2.100/32 dev eth0 && ip address add 192.0.2.100/32 dev eth0 label eth0:right",
		}},
		{"nothing to do", master, master, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			var got []string
			for _, op := range Diff(test.have, test.want) {
				got = append(got, op.String())
			}
			if diff := cmp.Diff(test.ops, got); diff != "" {
				t.Errorf("operations (-want +got):\n%s", diff)
			}
		})
	}
}
