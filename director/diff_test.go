package director

import (
	"maps"
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

// accepts reports whether a connection request to the VIP is served.
func (s State) accepts(vip netip.Addr) bool {
	return s.holds(vip) ||
		s.Redirects.Has(iptables.Redirect{VIP: vip, Protocol: "tcp", Port: 25}) ||
		s.Redirects.Has(iptables.Redirect{VIP: vip, Protocol: "tcp", Port: 25, NewOnly: true})
}

// announces reports whether a neighbour that asks for the VIP hears of this node.
func (s State) announces(vip netip.Addr) bool {
	for address := range s.VIPs {
		if address.Addr == vip && address.Interface != loopback {
			return true
		}
	}
	return false
}

// mustBe fails unless have is want as far as that names things; a daemon's zeros
// are the kernel's defaults.
func mustBe(t *rapid.T, have, want State) {
	t.Helper()
	want = want.Clone()
	for name, value := range have.Timeouts {
		if _, named := want.Timeouts[name]; !named {
			want.Timeouts[name] = value
		}
	}
	sysctls := maps.Clone(have.Sysctls)
	for name, value := range want.Sysctls {
		if _, there := sysctls[name]; there {
			sysctls[name] = value
		}
	}
	want.Sysctls = sysctls
	for state, daemon := range want.Daemons {
		if runsAs(have.Daemons[state], daemon) {
			want.Daemons[state] = have.Daemons[state]
		}
	}
	if diff := cmp.Diff(want, have, compareStates); diff != "" {
		t.Fatalf("after all operations (-want +got):\n%s", diff)
	}
}

func TestDiffReachesWhatIsWanted(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		have, want := drawKernel(t, "have"), drawWide(t, "want")
		for _, op := range Diff(have, want) {
			have = have.With(op)
		}
		mustBe(t, have, want)
		if ops := Diff(have, want); len(ops) != 0 {
			t.Fatalf("an unchanged kernel needs %v", ops)
		}
	})
}

func TestDiffServesEveryAddressAtEveryStep(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		have, want := drawKernel(t, "have"), drawWide(t, "want")
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
		have, want := drawKernel(t, "have"), drawWide(t, "want")
		ops, now := Diff(have, want), have
		for i, op := range ops {
			now = now.With(op)
			for v := range 2 {
				vip := vipNumber(v)
				all := iptables.Redirect{VIP: vip, Protocol: "tcp", Port: 25}
				if have.Redirects.Has(all) || want.announces(vip) {
					continue
				}
				if now.announces(vip) && now.Redirects.Has(all) {
					t.Fatalf("%s is local and wholly redirected after step %d of %v", vip, i, ops)
				}
			}
		}
	})
}

func TestDiffHasRealServersBeforeTheVIPComes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		have, want := drawKernel(t, "have"), drawWide(t, "want")
		now := have
		for _, op := range Diff(have, want) {
			if add, ok := op.(AddVIP); ok && add.VIP.Interface != loopback && !have.holds(add.VIP.Addr) {
				for key, service := range want.Services {
					for _, server := range service.RealServers {
						if there, _ := now.Services[key].realServer(server.Address); there != server {
							t.Fatalf("%v comes before real server %v of %v", op, server, key)
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
		have, want := drawKernel(t, "have"), drawWide(t, "want")
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
		have, want := drawKernel(t, "have"), drawWide(t, "want")
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

// TestDiffKeepsQuietAboutVIPsOnLoopback: a node that answers ARP for a VIP on lo
// takes it away from the MASTER.
func TestDiffKeepsQuietAboutVIPsOnLoopback(t *testing.T) {
	const ignore = "net.ipv4.conf.all.arp_ignore"
	rapid.Check(t, func(t *rapid.T) {
		have, want := drawKernel(t, "have"), drawWide(t, "want")
		now := have
		for _, op := range Diff(have, want) {
			now = now.With(op)
			for vip := range now.VIPs {
				quietBefore := have.VIPs.Has(vip) && have.Sysctls[ignore] == "1"
				quietAfter := want.VIPs.Has(vip) && want.Sysctls[ignore] == "1"
				came := !have.VIPs.Has(vip) && quietAfter
				goes := !want.VIPs.Has(vip) && quietBefore
				if vip.Interface == loopback && (came || goes || quietBefore && quietAfter) && now.Sysctls[ignore] != "1" {
					t.Fatalf("after %v ARP tells of %v", op, vip)
				}
			}
		}
	})
}

// TestDiffLetsIPVSWorkWhileItIsNeeded: a packet of somebody else's connection that
// comes with a VIP must find IPVS at work, or this host's TCP resets it.
func TestDiffLetsIPVSWorkWhileItIsNeeded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		have, want := drawKernel(t, "have"), drawWide(t, "want")
		now := have
		for _, op := range Diff(have, want) {
			now = now.With(op)
			for v := range 2 {
				vip := vipNumber(v)
				came := now.announces(vip) && !have.announces(vip) && want.Sysctls[backupOnly] == "0"
				goes := now.announces(vip) && !want.announces(vip) && have.Sysctls[backupOnly] == "0"
				if (came || goes) && now.Sysctls[backupOnly] != "0" {
					t.Fatalf("after %v IPVS leaves packets to %v alone", op, vip)
				}
			}
		}
	})
}

// TestDiffHasWhatServicesNeed: the first packet of a connection decides whether it
// is translated, and whether others are told.
func TestDiffHasWhatServicesNeed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		have, want := drawKernel(t, "have"), drawWide(t, "want")
		now := have
		for _, op := range Diff(have, want) {
			switch op := op.(type) {
			case AddService, AddRealServer:
				for rule := range want.SNATs {
					if !now.SNATs.Has(rule) {
						t.Fatalf("%v comes before %v", op, AddSNAT{rule})
					}
				}
			case AddMark, StartDaemon:
				for key := range want.Services {
					if _, there := now.Services[key]; !there {
						t.Fatalf("%v comes before %v", op, key)
					}
				}
			case DeleteService:
				for rule := range now.Marks {
					if !want.Marks.Has(rule) {
						t.Fatalf("%v comes before %v", op, DeleteMark{rule})
					}
				}
			case AddVIP:
				for state, daemon := range want.Daemons {
					if op.VIP.Interface != loopback && !runsAs(now.Daemons[state], daemon) {
						t.Fatalf("%v comes before %v", op, StartDaemon{daemon})
					}
				}
			}
			now = now.With(op)
		}
	})
}

// TestDiffHasVIPsForTunnels: what comes out of a tunnel without its VIP is dropped,
// or sent on to the MASTER.
func TestDiffHasVIPsForTunnels(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		have, want := drawKernel(t, "have"), drawWide(t, "want")
		now := have
		for _, op := range Diff(have, want) {
			switch op := op.(type) {
			case AddDecapsulation:
				for vip := range want.VIPs {
					if vip.Interface == loopback && !now.VIPs.Has(vip) {
						t.Fatalf("%v comes before %v", op, AddVIP{vip})
					}
				}
			case DeleteVIP:
				for tunnel := range now.Decapsulations {
					if !want.Decapsulations.Has(tunnel) {
						t.Fatalf("%v comes before the end of %v", op, tunnel)
					}
				}
			}
			now = now.With(op)
		}
	})
}

// TestDiffLeavesDevicesOfTunnelsUp: several kinds of tunnel end at one device.
func TestDiffLeavesDevicesOfTunnelsUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		have, want := drawKernel(t, "have"), drawWide(t, "want")
		up := Set[string]{}
		for tunnel := range have.Decapsulations {
			up.Add(tunnel.Device())
		}
		for _, op := range Diff(have, want) {
			switch op := op.(type) {
			case AddDecapsulation:
				up.Add(op.Tunnel.Device())
			case DeleteDecapsulation:
				if !op.DeviceStays {
					delete(up, op.Tunnel.Device())
				}
			}
		}
		wanted := Set[string]{}
		for tunnel := range want.Decapsulations {
			wanted.Add(tunnel.Device())
		}
		if diff := cmp.Diff(wanted, up); diff != "" {
			t.Fatalf("devices that are up (-want +got):\n%s", diff)
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
	keptMaster, keptBackup := NewState(), NewState()
	for _, s := range []State{keptMaster, keptBackup} {
		s.VIPs.Add(netif.HostVIP(loopback, vip))
		s.Sysctls["net.ipv4.conf.all.arp_ignore"] = "1"
	}
	keptMaster.VIPs.Add(netif.HostVIP("eth0", vip))
	keptMaster.Sysctls[backupOnly] = "0"
	keptBackup.Redirects.Add(iptables.Redirect{VIP: vip, Protocol: "tcp", Port: 25, NewOnly: true})
	keptBackup.Sysctls[backupOnly] = "1"
	plain := NewState()
	plain.Sysctls["net.ipv4.conf.all.arp_ignore"], plain.Sysctls[backupOnly] = "0", "0"
	sender := func(id uint8) State {
		s := NewState()
		s.Daemons[ipvs.DaemonMaster] = ipvs.Daemon{State: ipvs.DaemonMaster, Interface: "eth0", ID: id}
		return s
	}
	listed := sender(1)
	listed.Daemons[ipvs.DaemonMaster] = ipvs.Daemon{
		State: ipvs.DaemonMaster, Interface: "eth0", ID: 1, MaxLen: 1472,
		Group: netip.MustParseAddr("224.0.0.81"), Port: 8848, TTL: 1,
	}
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
		{"backup to master, keeping connections", keptBackup, keptMaster, []string{
			"sysctl -w net.ipv4.vs.backup_only=0",
			"ip address add 192.0.2.100/32 dev eth0",
			"iptables -t nat -D PREROUTING -d 192.0.2.100/32 -p tcp --dport 25 --syn -j REDIRECT",
		}},
		{"master to backup, keeping connections", keptMaster, keptBackup, []string{
			"iptables -t nat -I PREROUTING -d 192.0.2.100/32 -p tcp --dport 25 --syn -j REDIRECT",
			"ip address del 192.0.2.100/32 dev eth0",
			"sysctl -w net.ipv4.vs.backup_only=1",
		}},
		{"connections no longer kept", keptBackup, plain, []string{
			"sysctl -w net.ipv4.vs.backup_only=0",
			"ip address del 192.0.2.100/32 dev lo",
			"iptables -t nat -D PREROUTING -d 192.0.2.100/32 -p tcp --dport 25 --syn -j REDIRECT",
			"sysctl -w net.ipv4.conf.all.arp_ignore=0",
		}},
		{"a daemon as the kernel fills it in", listed, sender(1), nil},
		{"another daemon", listed, sender(2), []string{
			"ipvsadm --stop-daemon master",
			"ipvsadm --start-daemon master --mcast-interface eth0 --syncid 2",
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
