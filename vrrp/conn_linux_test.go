package vrrp

import (
	"encoding/binary"
	"encoding/hex"
	"net"
	"net/netip"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A captured advert, from its IP header on.
const capturedIPv4 = "45c0002000010000ff70d0350a630002e0000012" + "313d6401006474a20a630064"

func TestParseIPv4(t *testing.T) {
	valid, err := hex.DecodeString(capturedIPv4)
	if err != nil {
		t.Fatal(err)
	}
	p := parseIPv4(valid)
	if p.Source != netip.MustParseAddr("10.99.0.2") || p.Destination != Group || p.TTL != 255 ||
		hex.EncodeToString(p.Payload) != "313d6401006474a20a630064" {
		t.Errorf("%+v", p)
	}
	for _, tt := range []struct {
		name   string
		change func(b []byte) []byte
		want   string
	}{
		{"options", func(b []byte) []byte { b[0] = 0x46; return b }, "006474a20a630064"},
		{"padding behind", func(b []byte) []byte { return append(b, 1, 2, 3) }, "313d6401006474a20a630064"},
		{"cut off", func(b []byte) []byte { return b[:31] }, ""},
		{"no header", func(b []byte) []byte { return b[:19] }, ""},
		{"header of 16 bytes", func(b []byte) []byte { b[0] = 0x44; return b }, ""},
		{"header longer than all", func(b []byte) []byte { b[0] = 0x4f; return b }, ""},
	} {
		b := tt.change(append([]byte(nil), valid...))
		if got := hex.EncodeToString(parseIPv4(b).Payload); got != tt.want {
			t.Errorf("%s: payload %s, want %s", tt.name, got, tt.want)
		}
	}
}

// What is sent is parsed as what it was.
func TestAppendIPv4(t *testing.T) {
	from := netip.MustParseAddr("10.99.0.2")
	b := appendIPv4(nil, []byte("message"), from, Group)
	p := parseIPv4(b)
	if p.Source != from || p.Destination != Group || p.TTL != TTL || string(p.Payload) != "message" || b[1] != 0xc0 {
		t.Errorf("%x: %+v", b, p)
	}
}

func FuzzParseIPv4(f *testing.F) {
	valid, err := hex.DecodeString(capturedIPv4)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(valid)
	f.Add(valid[:20])
	c := testConfig(V3)
	f.Fuzz(func(t *testing.T, b []byte) {
		p := parseIPv4(b)
		if len(p.Payload) > len(b) {
			t.Fatalf("%d bytes of %d", len(p.Payload), len(b))
		}
		var a Advert
		if c.take(p, &a) == Accepted && (a.VRID != c.VRID || a.Version != c.Version || len(a.Addresses) == 0) {
			t.Fatalf("accepted %+v", a)
		}
	})
}

func TestPickSource(t *testing.T) {
	var addrs []net.Addr
	for _, cidr := range []string{
		"192.0.2.100/32", "192.0.2.7/24", "192.0.2.8/24", "198.51.100.7/24",
		"2001:db8:1::7/64", "2001:db8:2::7/64", "2001:db8:2::8/64", "fe80::100/64", "fe80::7/64", "fe80::8/64",
	} {
		ip, ipnet, err := net.ParseCIDR(cidr)
		if err != nil {
			t.Fatal(err)
		}
		addrs = append(addrs, &net.IPNet{IP: ip, Mask: ipnet.Mask})
	}
	four := []string{"192.0.2.100", "192.0.2.101"}
	six := []string{"fe80::100", "2001:db8:1::100"}
	for _, tt := range []struct {
		name      string
		vips      []string
		source    string
		peer      string
		tentative string
		addrs     []net.Addr
		want, err string
	}{
		{name: "first", vips: four, addrs: addrs, want: "192.0.2.7"},
		{name: "given", vips: four, source: "192.0.2.8", addrs: addrs, want: "192.0.2.8"},
		{name: "given, not there", vips: four, source: "192.0.2.9", addrs: addrs, err: "192.0.2.9: not an IPv4 address of this interface"},
		{name: "only the VIP", vips: four, addrs: addrs[:1], err: "no IPv4 address"},
		{name: "nothing", vips: four, err: "no IPv4 address"},
		{name: "near the peer", vips: four, peer: "198.51.100.9", addrs: addrs, want: "198.51.100.7"},
		{name: "far from the peer", vips: four, peer: "203.0.113.9", addrs: addrs, want: "192.0.2.7"},
		{name: "link-local", vips: six, addrs: addrs, want: "fe80::7"},
		{name: "link-local given", vips: six, source: "fe80::8", addrs: addrs, want: "fe80::8"},
		{name: "link-local to link-local peer", vips: six, peer: "fe80::9", addrs: addrs, want: "fe80::7"},
		{name: "global near the peer", vips: six, peer: "2001:db8:2::9", addrs: addrs, want: "2001:db8:2::7"},
		{name: "global given", vips: six, peer: "2001:db8:2::9", source: "2001:db8:2::8", addrs: addrs, want: "2001:db8:2::8"},
		{name: "tentative, another is not", vips: six, tentative: "fe80::7", addrs: addrs, want: "fe80::8"},
		{name: "tentative", vips: six, tentative: "fe80::7", addrs: addrs[:9], err: "fe80::7 is tentative"},
		{name: "given, tentative", vips: six, source: "fe80::7", tentative: "fe80::7", addrs: addrs, err: "fe80::7 is tentative"},
		{name: "no link-local", vips: six, addrs: addrs[:8], err: "no IPv6 link-local address"},
		{name: "no global", vips: six, peer: "2001:db8:2::9", addrs: addrs[8:], err: "no IPv6 address"},
	} {
		c := testConfig(V3)
		c.Source, c.VIPs = netip.Addr{}, parseAddrs(tt.vips...)
		if tt.source != "" {
			c.Source = netip.MustParseAddr(tt.source)
		}
		if tt.peer != "" {
			c.Peers = parseAddrs(tt.peer)
		}
		usable := func(a netip.Addr) bool { return a.String() != tt.tentative }
		got, err := pickSource(tt.addrs, c, usable)
		if tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) ||
			tt.err == "" && (err != nil || got != netip.MustParseAddr(tt.want)) {
			t.Errorf("%s: %v, %v", tt.name, got, err)
		}
	}
}

func TestDialAbsent(t *testing.T) {
	if _, err := Dial("no-such-if0", testConfig(V3)); err == nil || !strings.Contains(err.Error(), "no-such-if0") {
		t.Errorf("%v", err)
	}
}

// control is what the kernel tells of an IPv6 packet.
func control(hopLimit uint32, dst netip.Addr) []byte {
	b := unix.PktInfo6(&unix.Inet6Pktinfo{Addr: dst.As16(), Ifindex: 2})
	hops := make([]byte, unix.CmsgSpace(4))
	h := (*unix.Cmsghdr)(unsafe.Pointer(&hops[0]))
	h.Level, h.Type = unix.IPPROTO_IPV6, unix.IPV6_HOPLIMIT
	h.SetLen(unix.CmsgLen(4))
	binary.NativeEndian.PutUint32(hops[unix.CmsgLen(0):], hopLimit)
	return append(hops, b...)
}

func TestParseControl(t *testing.T) {
	p := ipv6{}.packet([]byte("message"), control(255, Group6), &unix.SockaddrInet6{Addr: netip.IPv6Loopback().As16(), ZoneId: 2})
	if p.TTL != 255 || p.Destination != Group6 || p.Source != netip.IPv6Loopback() || string(p.Payload) != "message" {
		t.Errorf("%+v", p)
	}
	if p := parseControl(nil); p.TTL != 0 || p.Destination.IsValid() {
		t.Errorf("%+v", p)
	}
}

func FuzzParseControl(f *testing.F) {
	f.Add(control(255, Group6))
	f.Add(control(64, netip.IPv6Loopback())[:30])
	f.Fuzz(func(t *testing.T, b []byte) {
		if p := parseControl(b); p.Payload != nil || p.Destination.Is4() {
			t.Fatalf("%+v", p)
		}
	})
}
