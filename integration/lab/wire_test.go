package lab

import (
	"fmt"
	"net/netip"
	"testing"
	"time"
)

// Packets as on the wire (tcpdump -x) from 198.51.100.1 or 2001:db8::1 to
// 198.51.100.2 or 2001:db8::2; port 0x1b58 is 7000.
const (
	outerIPv4    = "\x45\x00\x00\x00\x00\x00\x40\x00\x40%s\x00\x00\xc6\x33\x64\x01\xc6\x33\x64\x02"
	outerIPv6    = "\x60\x00\x00\x00\x00\x00%s\x40" + documentIPv6 + "\x01" + documentIPv6 + "\x02"
	innerIPv4    = "\x45\x00\x00\x00\x00\x00\x40\x00\x40\x06\x00\x00\xcb\x00\x71\x01\xc0\x00\x02\x64"
	segment      = "\x80\x00\x1b\x58" + "\x00\x00\x00\x00" + "\x00\x00\x00\x00" + "\x50\x02\x00\x00" + "\x00\x00\x00\x00"
	datagram     = "\x80\x00\x1b\x58\x00\x08\x00\x00"
	toGUE        = "\x80\x00\x17\xc0\x00\x00\x00\x00"
	toGUESum     = "\x80\x00\x17\xc0\x00\x00\x12\x34"
	documentIPv6 = "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
)

func TestDissect(t *testing.T) {
	ipv4 := func(protocol string) string { return fmt.Sprintf(outerIPv4, protocol) }
	ipv6 := func(protocol string) string { return fmt.Sprintf(outerIPv6, protocol) }
	const vip, own = "192.0.2.100", "198.51.100.2"
	for _, tt := range []struct{ packet, layers, to, inner string }{
		{ipv4("\x06") + segment, "ipv4 tcp", own, own},
		{ipv6("\x11") + datagram, "ipv6 udp", "2001:db8::2", "2001:db8::2"},
		{ipv4("\x84") + segment[:12], "ipv4 sctp", own, own},
		{ipv4("\x04") + innerIPv4 + segment, "ipv4 ipv4 tcp", own, vip},
		{ipv6("\x04") + innerIPv4 + segment, "ipv6 ipv4 tcp", "2001:db8::2", vip},
		{ipv4("\x29") + ipv6("\x06") + segment, "ipv4 ipv6 tcp", own, "2001:db8::2"},
		{ipv4("\x2f") + "\x00\x00\x08\x00" + innerIPv4 + segment, "ipv4 gre ipv4 tcp", own, vip},
		{ipv4("\x2f") + "\x80\x00\x08\x00\x12\x34\x00\x00" + innerIPv4 + segment, "ipv4 gre checksum ipv4 tcp", own, vip},
		{ipv4("\x11") + toGUE + "\x00\x04\x00\x00" + innerIPv4 + segment, "ipv4 udp gue ipv4 tcp", own, vip},
		{ipv4("\x11") + toGUESum + "\x00\x04\x00\x00" + innerIPv4 + segment, "ipv4 udp checksum gue ipv4 tcp", own, vip},
		{
			ipv4("\x11") + toGUE + "\x02\x04\x01\x00" + "\x20\x00\x00\x00\x00\x00\x00\x00" + innerIPv4 + segment,
			"ipv4 udp gue private ipv4 tcp", own, vip,
		},
	} {
		p, ok := dissect([]byte(tt.packet), 6080)
		inner := netip.AddrPortFrom(netip.MustParseAddr(tt.inner), 7000)
		if !ok || p.Layers != tt.layers || p.To.String() != tt.to || p.Inner != inner {
			t.Errorf("%x is %+v, %v, want %q to %s, inside to %s", tt.packet, p, ok, tt.layers, tt.to, inner)
		}
		for n := range len(tt.packet) {
			if p, ok := dissect([]byte(tt.packet[:n]), 6080); ok {
				t.Errorf("%d bytes of %x are %+v", n, tt.packet, p)
			}
		}
	}
	for _, other := range []string{"", "\x00", ipv4("\x01") + "\x08\x00\x00\x00", "\x45\x00\x00\x00\x00\x00\x00\x10\x40\x06" + innerIPv4[10:] + segment} {
		if p, ok := dissect([]byte(other), 6080); ok {
			t.Errorf("%x is %+v", other, p)
		}
	}
}

// TestEcho: a server says who asked, and the wire has it too.
func TestEcho(t *testing.T) {
	Require(t, NeedNetns)
	l := New(t)
	client, server := l.Host("client", "10.77.0.1/24"), l.Host("server", "10.77.0.2/24")
	wire := server.Watch(LinkName, 6080)
	for port, network := range map[uint16]string{7001: TCP, 7002: UDP} {
		address := netip.AddrPortFrom(netip.MustParseAddr("10.77.0.100"), port)
		server.Echo(network, address)
		server.Run("ip", "address", "replace", address.Addr().String()+"/32", "dev", "lo")
		client.Run("ip", "route", "replace", address.Addr().String(), "via", "10.77.0.2")
		conn, err := client.Dial(network, client.Address, address, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		for _, bytes := range []int{1, 1000} {
			got, err := Ask(conn, bytes, time.Minute)
			if err != nil {
				t.Fatal(err)
			}
			peer := netip.MustParseAddrPort(conn.LocalAddr().String())
			if want := (Answer{"server", bytes, address, peer}); got != want || peer.Addr() != client.Address {
				t.Errorf("%s: the answer is %+v, want %+v", network, got, want)
			}
		}
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
		l.WaitFor("the packets", func() error {
			for _, p := range wire.To(address) {
				if p.Layers == "ipv4 "+network && p.From == client.Address && p.To == address.Addr() {
					return nil
				}
			}
			return fmt.Errorf("%s: the wire has %+v", network, wire.To(address))
		})
	}
}
