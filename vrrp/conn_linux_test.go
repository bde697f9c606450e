package vrrp

import (
	"encoding/hex"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// A captured advert, from its IP header on.
const capturedIPv4 = "45c0002000010000ff70d0350a630002e0000012" + "313d6401006474a20a630064"

func TestParseIPv4(t *testing.T) {
	now := time.Unix(5, 0)
	valid, err := hex.DecodeString(capturedIPv4)
	if err != nil {
		t.Fatal(err)
	}
	p := parseIPv4(valid, now)
	if p.Source != netip.MustParseAddr("10.99.0.2") || p.Destination != Group || p.TTL != 255 || !p.Received.Equal(now) ||
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
		if got := hex.EncodeToString(parseIPv4(b, now).Payload); got != tt.want {
			t.Errorf("%s: payload %s, want %s", tt.name, got, tt.want)
		}
	}
}

// What is sent is parsed as what it was.
func TestAppendIPv4(t *testing.T) {
	from := netip.MustParseAddr("10.99.0.2")
	b := appendIPv4(nil, []byte("message"), from, Group)
	p := parseIPv4(b, time.Time{})
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
		p := parseIPv4(b, time.Time{})
		if len(p.Payload) > len(b) {
			t.Fatalf("%d bytes of %d", len(p.Payload), len(b))
		}
		var a Advert
		if c.accept(p, &a) == Accepted && (a.VRID != c.VRID || a.Version != c.Version || len(a.Addresses) == 0) {
			t.Fatalf("accepted %+v", a)
		}
	})
}

func TestPickSource(t *testing.T) {
	var addrs []net.Addr
	for _, cidr := range []string{"fe80::1/64", "192.0.2.100/32", "192.0.2.7/24", "192.0.2.8/24"} {
		ip, ipnet, err := net.ParseCIDR(cidr)
		if err != nil {
			t.Fatal(err)
		}
		addrs = append(addrs, &net.IPNet{IP: ip, Mask: ipnet.Mask})
	}
	c := testConfig(V3) // its VIPs are .100 and .101
	for _, tt := range []struct {
		source string
		addrs  []net.Addr
		want   string
		err    string
	}{
		{want: "192.0.2.7", addrs: addrs},
		{source: "192.0.2.8", want: "192.0.2.8", addrs: addrs},
		{source: "192.0.2.9", addrs: addrs, err: "192.0.2.9: not an IPv4 address of this interface"},
		{addrs: addrs[:2], err: "no IPv4 address"},
		{err: "no IPv4 address"},
	} {
		c.Source = netip.Addr{}
		if tt.source != "" {
			c.Source = netip.MustParseAddr(tt.source)
		}
		got, err := pickSource(tt.addrs, c)
		if tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) ||
			tt.err == "" && (err != nil || got != netip.MustParseAddr(tt.want)) {
			t.Errorf("source %q: %v, %v", tt.source, got, err)
		}
	}
}

func TestDialAbsent(t *testing.T) {
	if _, err := Dial("no-such-if0", testConfig(V3)); err == nil || !strings.Contains(err.Error(), "no-such-if0") {
		t.Errorf("%v", err)
	}
}
