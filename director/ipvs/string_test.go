package ipvs

import (
	"fmt"
	"net/netip"
	"testing"
	"time"
)

func TestString(t *testing.T) {
	v4 := ServiceKey{Family: IPv4, Protocol: TCP, Address: netip.MustParseAddrPort("192.0.2.1:25")}
	v6 := ServiceKey{Family: IPv6, Protocol: UDP, Address: netip.MustParseAddrPort("[2001:db8::1]:53")}
	rs := netip.MustParseAddrPort("192.0.2.11:25")
	for _, c := range []struct {
		value fmt.Stringer
		want  string
	}{
		{IPv4, "IPv4"},
		{IPv6, "IPv6"},
		{Family(7), "family 7"},
		{Protocol(0), "ip"},
		{SCTP, "sctp"},
		{Protocol(50), "ip-50"},
		{Masquerade, "Masq"},
		{Local, "Local"},
		{Tunnel, "Tunnel"},
		{DirectRoute, "Route"},
		{Bypass, "Bypass"},
		{Forwarding(7), "forwarding 7"},
		{v4, "tcp 192.0.2.1:25"},
		{v6, "udp [2001:db8::1]:53"},
		{ServiceKey{Family: IPv4, Mark: 7}, "fwmark 7"},
		{ServiceKey{Family: IPv6, Mark: 7}, "fwmark 7 IPv6"},
		{Service{ServiceKey: v4, Scheduler: "wlc", Granularity: 32}, "tcp 192.0.2.1:25 wlc"},
		{
			Service{
				ServiceKey: v4, Scheduler: "sh", Flags: Persistent | OnePacket | Sched1,
				Timeout: 5 * time.Minute, Granularity: 24, Engine: "sip",
			},
			"tcp 192.0.2.1:25 sh flags 0x8 persistent 300 mask 24 pe sip ops",
		},
		{
			Service{ServiceKey: v6, Scheduler: "rr", Flags: Persistent, Timeout: time.Minute, Granularity: 128},
			"udp [2001:db8::1]:53 rr persistent 60",
		},
		{Destination{Address: rs, Forwarding: DirectRoute, Weight: 1}, "192.0.2.11:25 Route weight 1"},
		{Destination{Address: rs, Upper: 9, Lower: 5}, "192.0.2.11:25 Masq weight 0 upper 9 lower 5"},
		{
			Destination{Address: rs, Forwarding: Tunnel, Tunnel: TunnelInfo{Type: 1, Port: 6080, Flags: 1}},
			"192.0.2.11:25 Tunnel weight 0 gue port 6080 flags 0x1",
		},
		{TunnelInfo{Type: 9}, "tunnel type 9"},
		{Info{Version: 0x010201, TableSize: 4096}, "1.2.1 (size=4096)"},
	} {
		if got := c.value.String(); got != c.want {
			t.Errorf("%#v is %q, want %q", c.value, got, c.want)
		}
	}
}
