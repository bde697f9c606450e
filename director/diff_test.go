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
	cmpopts.EquateComparable(netip.Addr{}, netip.AddrPort{}),
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
			if rapid.Bool().Draw(t, fmt.Sprintf("%s VIP %d %s", name, i, device)) {
				s.VIPs.Add(netif.Address{Interface: device, Addr: vipNumber(i)})
			}
		}
		for _, rule := range rulesNumber(i) {
			if rapid.Bool().Draw(t, fmt.Sprintf("%s rule %v", name, rule)) {
				s.Redirects.Add(rule)
			}
		}
	}
	return s
}

func vipNumber(i int) netip.Addr { return netip.AddrFrom4([4]byte{192, 0, 2, byte(100 + i)}) }

func rulesNumber(i int) []iptables.Redirect {
	return []iptables.Redirect{
		{VIP: vipNumber(i), Protocol: "tcp", Port: 25},
		{VIP: vipNumber(i), Protocol: "tcp", Port: 25, NewOnly: true},
		{VIP: vipNumber(i), Protocol: "udp", Port: 53},
	}
}

func (s State) holds(vip netip.Addr) bool {
	for address := range s.VIPs {
		if address.Addr == vip {
			return true
		}
	}
	return false
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
			if add, ok := op.(AddVIP); ok && !have.holds(add.Address.Addr) {
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

func TestDiffOfRoleChanges(t *testing.T) {
	vip := netip.MustParseAddr("192.0.2.100")
	master, requests, all := NewState(), NewState(), NewState()
	master.VIPs.Add(netif.Address{Interface: "eth0", Addr: vip})
	requests.Redirects.Add(iptables.Redirect{VIP: vip, Protocol: "tcp", Port: 25, NewOnly: true})
	all.Redirects.Add(iptables.Redirect{VIP: vip, Protocol: "tcp"})

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
