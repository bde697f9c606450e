package vrrp

import (
	"net/netip"
	"strings"
	"testing"
	"time"
)

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
		{"settle", V3, func(c *Config) { c.Settle = -1 }, "settle"},
		{"link down delay", V3, func(c *Config) { c.LinkDownDelay = -1 }, "link down delay"},
		{"delay", V3, func(c *Config) { c.PreemptDelay = -1 }, "preempt delay"},
		{"password", V2, func(c *Config) { c.Password = "123456789" }, "password"},
		{"v3 password", V3, func(c *Config) { c.Password = "1" }, "version 3"},
		{"v3 without VIP", V3, func(c *Config) { c.VIPs = nil }, "no VIP"},
		{"256 VIPs", V3, func(c *Config) { c.VIPs = make([]netip.Addr, 256) }, "256 VIPs"},
		{"source a VIP", V3, func(c *Config) { c.Source = c.VIPs[1] }, "is a VIP"},
		{"source a peer", V3, func(c *Config) { c.Peers = []netip.Addr{c.Source} }, "is also a peer"},
		{"mixed", V3, func(c *Config) { c.VIPs[1] = netip.IPv6Loopback() }, "one address family"},
		{"no address", V3, func(c *Config) { c.VIPs[1] = netip.Addr{} }, "missing"},
		{"IPv6", V3, func(c *Config) { toIPv6(c) }, ""},
		{"IPv6 group", V3, func(c *Config) { toIPv6(c); c.Group = netip.MustParseAddr("ff05::12") }, ""},
		{"IPv6 global peers", V3, func(c *Config) { toIPv6(c); c.Source = netip.Addr{}; c.Peers = parseAddrs("2001:db8::2") }, ""},
		{"IPv6 global source", V3, func(c *Config) { toIPv6(c); c.Source = netip.MustParseAddr("2001:db8::1") }, "link-local"},
		{
			"IPv6 link-local source, global peers", V3,
			func(c *Config) { toIPv6(c); c.Peers = parseAddrs("2001:db8::2") }, "the peers are not link-local",
		},
		{
			"IPv6 mixed peers", V3,
			func(c *Config) { toIPv6(c); c.Peers = parseAddrs("fe80::2", "2001:db8::2") }, "one is link-local",
		},
		{"zone", V3, func(c *Config) { toIPv6(c); c.Source = netip.MustParseAddr("fe80::1%eth0") }, "without zone"},
		{"IPv4 in IPv6", V3, func(c *Config) { c.VIPs[0] = netip.MustParseAddr("::ffff:192.0.2.9") }, "IPv4 as such"},
		{"group", V3, func(c *Config) { c.Group = netip.MustParseAddr("239.1.2.3") }, ""},
		{"group of the other family", V3, func(c *Config) { c.Group = Group6 }, "one address family"},
		{"group not multicast", V3, func(c *Config) { c.Group = netip.MustParseAddr("192.0.2.9") }, "not a multicast"},
		{"group and peers", V3, func(c *Config) { c.Group, c.Peers = Group, parseAddrs("192.0.2.9") }, "go to the peers"},
		{"multicast peer", V3, func(c *Config) { c.Peers = []netip.Addr{Group} }, "unicast address"},
		{"min ttl", V3, func(c *Config) { c.MinTTL, c.Peers = 1, parseAddrs("192.0.2.9") }, ""},
		{"min ttl of multicast", V3, func(c *Config) { c.MinTTL = 1 }, "min ttl 1: only with peers"},
		{"any source", V3, func(c *Config) { c.AnySource, c.Peers = true, parseAddrs("192.0.2.9") }, ""},
		{"any source of multicast", V3, func(c *Config) { c.AnySource = true }, "any source: only with peers"},
		{"hmac", V2, func(c *Config) { c.HMAC = testHMAC() }, ""},
		{"hmac, active unknown", V3, func(c *Config) { c.HMAC = testHMAC(); c.HMAC.Active = 9 }, "active key 9"},
		{"hmac, no active", V3, func(c *Config) { c.HMAC = testHMAC(); c.HMAC.Active = 0 }, "no active key"},
		{"hmac, receive only", V3, func(c *Config) { c.HMAC = testHMAC(); c.HMAC.Active, c.HMAC.Permissive = 0, true }, ""},
		{"hmac without keys", V3, func(c *Config) { c.HMAC.Active = 1 }, "no key"},
		{"hmac key 0", V3, func(c *Config) { c.HMAC = testHMAC(); c.HMAC.Keys[0] = c.HMAC.Keys[1] }, "key 0"},
		{"hmac short key", V3, func(c *Config) { c.HMAC = testHMAC(); c.HMAC.Keys[2] = make([]byte, 15) }, "key 2: 15 bytes"},
		{"hmac long key", V3, func(c *Config) { c.HMAC = testHMAC(); c.HMAC.Keys[2] = make([]byte, 65) }, "key 2: 65 bytes"},
		{"hmac window", V3, func(c *Config) { c.HMAC = testHMAC(); c.HMAC.Window = time.Second }, ""},
		{"hmac short window", V3, func(c *Config) { c.HMAC = testHMAC(); c.HMAC.Window = time.Millisecond }, "window 1ms"},
		{"hmac long window", V3, func(c *Config) { c.HMAC = testHMAC(); c.HMAC.Window = time.Hour }, "window 1h"},
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

// One line for each reason.
func TestValidateAll(t *testing.T) {
	c := testConfig(V3)
	c.VRID, c.Priority, c.Settle, c.MinTTL, c.AnySource = 0, 0, -1, 9, true
	c.HMAC = HMAC{Keys: map[uint8][]byte{0: nil}, Window: time.Hour}
	c.Group = c.VIPs[0]
	if n := strings.Count(c.Validate().Error(), "\n") + 1; n != 10 {
		t.Errorf("%d reasons: %v", n, c.Validate())
	}
}

// No secret is in an error.
func TestValidateKeepsSecrets(t *testing.T) {
	c := testConfig(V3)
	c.Password = "not-to-be-seen"
	c.HMAC.Keys = map[uint8][]byte{1: []byte("nor-this")}
	if s := c.Validate().Error(); strings.Contains(s, c.Password) || strings.Contains(s, "nor-this") {
		t.Error(s)
	}
}

func toIPv6(c *Config) {
	c.Source, c.VIPs = netip.MustParseAddr("fe80::1"), parseAddrs("fe80::100", "2001:db8::100")
}
