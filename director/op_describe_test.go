package director

import (
	"encoding/json"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/lvsd/lvsd/director/ipvs"
	"github.com/lvsd/lvsd/director/netif"
	"github.com/lvsd/lvsd/iptables"
)

// everyOp is one operation of each kind, on describedState.
func everyOp() []Op {
	key := ipvs.ServiceKey{Family: ipvs.IPv4, Protocol: ipvs.TCP, Address: netip.AddrPortFrom(vipNumber(0), 25)}
	mark := ipvs.ServiceKey{Family: ipvs.IPv6, Mark: 7}
	server := netip.MustParseAddrPort("10.0.0.1:25")
	vip, labelled := netif.HostVIP("eth0", vipNumber(0)), netif.HostVIP("eth0", vipNumber(0))
	labelled.Label = "eth0:vip"
	return []Op{
		SetTimeout{TimeoutUDP, time.Minute},
		SetSysctl{backupOnly, "0"},
		SetSysctl{"net.ipv4.vs.sync_threshold", "0 0"},
		AddService{ipvs.Service{ServiceKey: mark, Scheduler: "mh", Flags: ipvs.Sched2, Granularity: 128}},
		EditService{ipvs.Service{
			ServiceKey: key, Scheduler: "rr", Flags: ipvs.Persistent, Timeout: 5 * time.Minute, Granularity: 24,
		}},
		DeleteService{key},
		AddRealServer{mark, ipvs.Destination{
			Address: netip.MustParseAddrPort("[2001:db8::1]:0"), Forwarding: ipvs.Tunnel, Weight: 1,
			Tunnel: ipvs.TunnelInfo{Type: ipvs.GUE, Port: 6080},
		}},
		EditRealServer{key, ipvs.Destination{Address: server, Forwarding: ipvs.DirectRoute, Weight: 0, Upper: 9, Lower: 7}},
		DeleteRealServer{key, server},
		AddVIP{vip},
		EditVIP{vip, labelled},
		DeleteVIP{labelled},
		AddRoute{sourced(0)},
		DeleteRoute{routesNumber(0)[2]},
		AddRule{rulesFor(0)[0]},
		DeleteRule{rulesFor(0)[1]},
		AddRedirect{rulesNumber(0)[1]},
		DeleteRedirect{rulesNumber(0)[2]},
		AddMark{marksNumber(0)[0]},
		DeleteMark{marksNumber(0)[1]},
		AddSNAT{snatsNumber(0)[0]},
		DeleteSNAT{snatsNumber(0)[1]},
		AddMute{iptables.Mute{VIP: vipNumber(0)}},
		DeleteMute{iptables.Mute{VIP: netip.MustParseAddr("2001:db8::100")}},
		DeleteStray{"iptables -t nat -D PREROUTING -j RETURN"},
		HoldConntrack{},
		ReleaseConntrack{},
		StartDaemon{ipvs.Daemon{State: ipvs.DaemonMaster, Interface: "eth0", ID: 11}},
		StopDaemon{ipvs.Daemon{State: ipvs.DaemonBackup, Interface: "eth0", ID: 11, Port: 8848}},
		AddDecapsulation{netif.Decapsulation{Encapsulation: netif.GUE, Port: 6080}},
		DeleteDecapsulation{netif.Decapsulation{Encapsulation: netif.GUE, Port: 6080}, true},
		DeleteDecapsulation{netif.Decapsulation{Encapsulation: netif.IPIP, OuterIPv6: true}, false},
		AddMark{iptables.Mark{VIP: netip.MustParseAddr("2001:db8::100"), Protocol: "udp", First: 53, Last: 53, Mark: 3}},
	}
}

func describedState() State {
	s := NewState()
	key := ipvs.ServiceKey{Family: ipvs.IPv4, Protocol: ipvs.TCP, Address: netip.AddrPortFrom(vipNumber(0), 25)}
	s.Services[key] = Service{
		Service: ipvs.Service{ServiceKey: key, Scheduler: "wlc", Granularity: 32},
		RealServers: []ipvs.Destination{
			{Address: netip.MustParseAddrPort("10.0.0.1:25"), Forwarding: ipvs.DirectRoute, Weight: 3},
		},
	}
	s.Timeouts[TimeoutUDP] = 5 * time.Minute
	s.Sysctls[backupOnly], s.Sysctls["net.ipv4.vs.sync_threshold"] = "1", "3 50"
	return s
}

func TestDescribe(t *testing.T) {
	var text strings.Builder
	encoder := json.NewEncoder(&text)
	encoder.SetIndent("", "\t")
	encoder.SetEscapeHTML(false)
	for _, op := range everyOp() {
		if err := encoder.Encode(Describe(op, describedState())); err != nil {
			t.Fatal(err)
		}
	}
	golden(t, filepath.Join("testdata", "describe.want"), text.String())
}

// TestDescribeLeavesNothingOut: every operation that Diff returns has a kind, an
// action, an object and a command, and says what was and what will be.
func TestDescribeLeavesNothingOut(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		have, want := drawKernel(t, "have"), drawWide(t, "want")
		for _, op := range Diff(have, want) {
			c := Describe(op, have)
			if c.Kind == "" || c.Object == "" || c.Command != op.String() {
				t.Fatalf("%#v: %+v", op, c)
			}
			before := c.Action != ActionAdd
			after := c.Action != ActionDelete
			if c.Action == "" || (c.Before != "") != before || (c.After != "") != after {
				t.Fatalf("%#v: %+v", op, c)
			}
			have = have.With(op)
		}
	})
}
