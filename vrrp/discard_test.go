package vrrp

import (
	"net/netip"
	"testing"
	"time"
)

// take reads and judges a packet, as a Router without memory.
func (c *Config) take(p Packet, a *Advert) Discard {
	if d := c.read(p, a); d != Accepted {
		return d
	}
	return c.accept(p, a)
}

func parseAddrs(texts ...string) (all []netip.Addr) {
	for _, a := range texts {
		all = append(all, netip.MustParseAddr(a))
	}
	return all
}

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
		{
			name: "unicast TTL 64 of 64", v: V3, mine: func(c *Config) { c.Peers, c.MinTTL = []netip.Addr{peer}, 64 },
			packet: func(p *Packet) { p.TTL = 64 }, want: Accepted,
		},
		{
			name: "unicast TTL 63 of 64", v: V3, mine: func(c *Config) { c.Peers, c.MinTTL = []netip.Addr{peer}, 64 },
			packet: func(p *Packet) { p.TTL = 63 }, want: BadTTL,
		},
		{
			name: "unicast from any", v: V3,
			mine: func(c *Config) { c.Peers, c.AnySource = parseAddrs("192.0.2.3"), true }, want: Accepted,
		},
		{name: "plain checksum", v: V3, theirs: func(a *Advert) { a.PlainChecksum = true }, want: Accepted},
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
			if got := c.take(p, &a); got != tt.want {
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
	for _, kind := range []struct {
		n    int
		name func(int) string
	}{
		{int(discards), func(i int) string { return Discard(i).String() }},
		{int(noticeKinds), func(i int) string { return NoticeKind(i).String() }},
		{len(reasonText), func(i int) string { return Reason(i).String() }},
		{len(roleText), func(i int) string { return Role(i).String() }},
	} {
		seen := make(map[string]bool)
		for i := range kind.n {
			s := kind.name(i)
			if s == "" || seen[s] {
				t.Errorf("%q: empty or twice", s)
			}
			seen[s] = true
		}
	}
	if got := Role(9).String(); got != "9" {
		t.Errorf("unknown role: %q", got)
	}
}
