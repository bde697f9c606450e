package vrrp

import (
	"net/netip"
	"strings"
	"testing"
	"time"
)

func testConfig(v Version) Config {
	return Config{
		Name: "test", Version: v, VRID: 51, Priority: 100, Interval: time.Second, Preempt: true,
		Source: netip.MustParseAddr("192.0.2.1"),
		VIPs:   []netip.Addr{netip.MustParseAddr("192.0.2.100"), netip.MustParseAddr("192.0.2.101")},
	}
}

// RFC 5798 section 7.1 and RFC 3768 section 7.1: what a receiver must discard.
func TestAccept(t *testing.T) {
	peer := netip.MustParseAddr("192.0.2.2")
	for _, tt := range []struct {
		name   string
		v      Version
		mine   func(*Config)
		theirs func(*Advert)
		packet func(*Packet)
		want   Discard
	}{
		{name: "v2", v: V2, want: Accepted},
		{name: "v3", v: V3, want: Accepted},
		{name: "own source", v: V3, packet: func(p *Packet) { p.Source = netip.MustParseAddr("192.0.2.1") }, want: OwnSource},
		{name: "short", v: V3, packet: func(p *Packet) { p.Payload = p.Payload[:1] }, want: BadLength},
		{name: "other VRID", v: V3, theirs: func(a *Advert) { a.VRID = 52 }, want: OtherVRID},
		{name: "TTL 254", v: V3, packet: func(p *Packet) { p.TTL = 254 }, want: BadTTL},
		{name: "TTL 1", v: V2, packet: func(p *Packet) { p.TTL = 1 }, want: BadTTL},
		{
			name: "unicast TTL 254", v: V3, mine: func(c *Config) { c.Peers = []netip.Addr{peer} },
			packet: func(p *Packet) { p.TTL = 254 }, want: BadTTL,
		},
		{name: "unicast from a peer", v: V3, mine: func(c *Config) { c.Peers = []netip.Addr{peer} }, want: Accepted},
		{
			name: "unicast from another", v: V3,
			mine: func(c *Config) { c.Peers = []netip.Addr{netip.MustParseAddr("192.0.2.3")} }, want: UnknownSource,
		},
		{name: "v2 to v3", v: V3, theirs: func(a *Advert) { a.Version = V2 }, want: BadVersion},
		{name: "v3 to v2", v: V2, theirs: func(a *Advert) { a.Version = V3 }, want: BadVersion},
		{name: "checksum", v: V3, packet: func(p *Packet) { p.Payload[2]++ }, want: BadChecksum},
		{name: "v2 interval", v: V2, theirs: func(a *Advert) { a.Interval = 2 * time.Second }, want: BadInterval},
		{name: "v3 interval", v: V3, theirs: func(a *Advert) { a.Interval = 2 * time.Second }, want: Accepted},
		{name: "v2 unasked password", v: V2, theirs: func(a *Advert) { a.Auth = AuthPassword }, want: BadAuthType},
		{name: "v2 AH", v: V2, theirs: func(a *Advert) { a.Auth = AuthHeader }, want: BadAuthType},
		{name: "v2 AH instead of PASS", v: V2, mine: withPassword, theirs: func(a *Advert) { a.Auth = AuthHeader }, want: BadAuthType},
		{name: "v2 no password", v: V2, mine: withPassword, want: BadAuthType},
		{name: "v2 password", v: V2, mine: withPassword, theirs: password("secret"), want: Accepted},
		{name: "v2 wrong password", v: V2, mine: withPassword, theirs: password("secreT"), want: BadPassword},
		{name: "v2 longer password", v: V2, mine: withPassword, theirs: password("secrets"), want: BadPassword},
		{
			name: "v2 auth data without type", v: V2,
			theirs: func(a *Advert) { copy(a.AuthData[:], "whatever") }, want: Accepted,
		},
		{name: "other addresses", v: V3, theirs: func(a *Advert) { a.Addresses = a.Addresses[:1] }, want: Accepted},
		{name: "priority 255", v: V3, theirs: func(a *Advert) { a.Priority = 255 }, want: Accepted},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := testConfig(tt.v)
			theirs := Advert{Version: tt.v, VRID: c.VRID, Priority: 100, Interval: c.Interval, Addresses: c.VIPs}
			if tt.mine != nil {
				tt.mine(&c)
			}
			if tt.theirs != nil {
				tt.theirs(&theirs)
			}
			m, err := theirs.Append(nil, peer, Group)
			if err != nil {
				t.Fatal(err)
			}
			p := Packet{Payload: m, Source: peer, Destination: Group, TTL: 255}
			if tt.packet != nil {
				tt.packet(&p)
			}
			var a Advert
			if got := c.accept(p, &a); got != tt.want {
				t.Errorf("%v, want %v", got, tt.want)
			}
		})
	}
}

func withPassword(c *Config) { c.Password = "secret" }

func password(p string) func(*Advert) {
	return func(a *Advert) {
		a.Auth = AuthPassword
		copy(a.AuthData[:], p)
	}
}

func TestSameAddresses(t *testing.T) {
	c := testConfig(V3)
	one, two, other := c.VIPs[0], c.VIPs[1], netip.MustParseAddr("192.0.2.102")
	for _, tt := range []struct {
		list []netip.Addr
		want bool
	}{
		{[]netip.Addr{one, two}, true},
		{[]netip.Addr{two, one}, true},
		{[]netip.Addr{one}, false},
		{[]netip.Addr{one, other}, false},
		{[]netip.Addr{one, two, other}, false},
	} {
		if got := c.sameAddresses(&Advert{Addresses: tt.list}); got != tt.want {
			t.Errorf("%v: %v", tt.list, got)
		}
	}
}

// Each name exists and is its own: they are keys in status and metrics.
func TestNames(t *testing.T) {
	seen := make(map[string]bool)
	check := func(s string) {
		if s == "" || seen[s] {
			t.Errorf("%q: empty or twice", s)
		}
		seen[s] = true
	}
	for d := range discards {
		check(d.String())
	}
	for r := range ReasonStopped + 1 {
		check(r.String())
	}
	for r := range Fault + 1 {
		check(r.String())
	}
	if got := Role(9).String(); got != "9" {
		t.Errorf("unknown role: %q", got)
	}
}

func TestValidate(t *testing.T) {
	for _, tt := range []struct {
		name   string
		v      Version
		change func(*Config)
		want   string // in the error; none if empty
	}{
		{"v2", V2, func(*Config) {}, ""},
		{"v3", V3, func(*Config) {}, ""},
		{"v3 fast", V3, func(c *Config) { c.Interval = 10 * time.Millisecond }, ""},
		{"v3 slow", V3, func(c *Config) { c.Interval = 40950 * time.Millisecond }, ""},
		{"v2 without VIP", V2, func(c *Config) { c.VIPs = nil }, ""},
		{"source to be found", V3, func(c *Config) { c.Source = netip.Addr{} }, ""},
		{"vrid", V3, func(c *Config) { c.VRID = 0 }, "vrid 0"},
		{"priority", V3, func(c *Config) { c.Priority = 0 }, "priority 0"},
		{"version", 4, func(*Config) {}, "version 4"},
		{"v2 500ms", V2, func(c *Config) { c.Interval = 500 * time.Millisecond }, "whole seconds"},
		{"v2 256s", V2, func(c *Config) { c.Interval = 256 * time.Second }, "whole seconds"},
		{"v3 5ms", V3, func(c *Config) { c.Interval = 5 * time.Millisecond }, "multiple of 10ms"},
		{"v3 41s", V3, func(c *Config) { c.Interval = 41 * time.Second }, "multiple of 10ms"},
		{"delay", V3, func(c *Config) { c.PreemptDelay = -1 }, "preempt delay"},
		{"password", V2, func(c *Config) { c.Password = "123456789" }, "password"},
		{"v3 password", V3, func(c *Config) { c.Password = "1" }, "version 3"},
		{"v3 without VIP", V3, func(c *Config) { c.VIPs = nil }, "no VIP"},
		{"256 VIPs", V3, func(c *Config) { c.VIPs = make([]netip.Addr, 256) }, "256 VIPs"},
		{"source a VIP", V3, func(c *Config) { c.Source = c.VIPs[1] }, "is a VIP"},
		{"source a peer", V3, func(c *Config) { c.Peers = []netip.Addr{c.Source} }, "is also a peer"},
		{"mixed", V3, func(c *Config) { c.VIPs[1] = netip.IPv6Loopback() }, "one address family"},
		{"no address", V3, func(c *Config) { c.VIPs[1] = netip.Addr{} }, "missing"},
		{"v2 IPv6", V2, func(c *Config) { c.Source, c.VIPs = netip.Addr{}, []netip.Addr{netip.IPv6Loopback()} }, "no IPv6"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := testConfig(tt.v)
			tt.change(&c)
			err := c.Validate()
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
}
