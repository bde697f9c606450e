package healthcheck

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/lvsd/lvsd/healthcheck/probe"
)

// Kinds of check as most tests need them.
var (
	mail   = probe.SMTP{HeloName: "director.example"}
	web    = probe.HTTP{Requests: probe.ListOf(probe.HTTPRequest{Path: "/", Status: "200-299"})}
	tlsWeb = probe.HTTP{Secure: true, Requests: web.Requests}
)

// warmup is that of checks in tests; it is their interval, so that the first
// probe is a point of the grid.
const warmup = 5 * time.Second

// specOf is a valid check of target, once altered.
func specOf(kind probe.Kind, target netip.AddrPort, alter ...func(*Check)) Spec {
	c := Check{
		Kind:     kind,
		Interval: 5 * time.Second, Warmup: warmup, Timeout: time.Minute, RetryDelay: time.Second,
		Rise: 2, Fall: 3,
	}
	for _, f := range alter {
		f(&c)
	}
	return c.Of(target)
}

var anywhere = netip.MustParseAddrPort("192.0.2.1:25")

func TestValidate(t *testing.T) {
	for _, kind := range []probe.Kind{probe.TCP{}, mail, web, tlsWeb} {
		if err := specOf(kind, anywhere).Validate(); err != nil {
			t.Errorf("%s: %v", kind.Type(), err)
		}
	}
	for want, spoil := range map[string]func(*Check){
		"no kind of check":                           func(c *Check) { c.Kind = nil },
		"interval must be positive, got 0s":          func(c *Check) { c.Interval = 0 },
		"timeout must be positive, got -1ns":         func(c *Check) { c.Timeout = -1 },
		"fast interval and warm-up must not be":      func(c *Check) { c.FastInterval = -1 },
		"must not be negative, got 0s and -1ns":      func(c *Check) { c.Warmup = -1 },
		"must not be negative, got -1 and 1s":        func(c *Check) { c.Retries = -1 },
		"must not be negative, got 0 and -1s":        func(c *Check) { c.RetryDelay = -time.Second },
		"at least 1, got 0 and 3":                    func(c *Check) { c.Rise = 0 },
		"at least 1, got 2 and 0":                    func(c *Check) { c.Fall = 0 },
		"flap limit and half-life must not be":       func(c *Check) { c.Flap.Limit = -1 },
		"must not be negative, got 0 and -1ns":       func(c *Check) { c.Flap.HalfLife = -1 },
		"one by way of a VIP needs a mark":           func(c *Check) { c.Via = anywhere },
		`helo name "a\r\nDATA" must be one word`:     func(c *Check) { c.Kind = probe.SMTP{HeloName: "a\r\nDATA"} },
		"check smtp 192.0.2.1:25: interval must be ": func(c *Check) { c.Interval, c.Timeout = 0, 0 },
		"interface name is longer than 15 bytes":     func(c *Check) { c.Route.Interface = "a-name-too-long-for-it" },
	} {
		err := specOf(mail, anywhere, spoil).Validate()
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
}

func TestValidateTarget(t *testing.T) {
	for want, target := range map[string]netip.AddrPort{
		"target must be an address and a port":                            {},
		"check smtp 192.0.2.1: target must be an address and a port":      netip.MustParseAddrPort("192.0.2.1:0"),
		"check smtp [fe80::1%eth0]:25: interval must be positive, got 0s": netip.MustParseAddrPort("[fe80::1%eth0]:25"),
	} {
		err := specOf(mail, target, func(c *Check) { c.Interval = 0 }).Validate()
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
}
