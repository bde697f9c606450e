package vrrp

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// The versions of the protocol.
const (
	V2 Version = 2 // RFC 3768
	V3 Version = 3 // RFC 5798, RFC 9568
)

// Owner is the priority of the router that owns the addresses (RFC 5798
// section 5.2.4). Tracking never gives or takes it.
const Owner = 255

// The bounds of the advert interval, and its unit in version 3: version 2
// counts whole seconds in 8 bits, version 3 centiseconds in 12.
const (
	MaxIntervalV2 = 255 * time.Second
	MaxIntervalV3 = 4095 * centisecond

	centisecond = 10 * time.Millisecond
)

// MaxPassword is the longest password of version 2, in bytes (RFC 2338 section
// 5.3.10).
const MaxPassword = 8

// Version is the version of the protocol: 2 or 3.
type Version uint8

// SkewTime is Skew_Time for a router of this priority, given the interval of
// the MASTER's adverts. Version 2 does not scale it with the interval (RFC 3768
// section 6.1), version 3 does (RFC 5798 section 6.1).
func (v Version) SkewTime(priority uint8, interval time.Duration) time.Duration {
	if v == V2 {
		interval = time.Second
	}
	return (256 - time.Duration(priority)) * interval / 256
}

// MasterDownInterval is Master_Down_Interval: how long a BACKUP of this
// priority hears nothing before it takes the MASTER for dead, given the interval
// of the MASTER's adverts.
func (v Version) MasterDownInterval(priority uint8, interval time.Duration) time.Duration {
	return 3*interval + v.SkewTime(priority, interval)
}

// Config is what Step needs to know of one virtual router.
type Config struct {
	// Name labels the router in reports.
	Name string
	// Version is 2 (RFC 3768) or 3 (RFC 5798, RFC 9568).
	Version Version
	// VRID is 1..255.
	VRID uint8
	// Priority is 1..254, or 255 for the owner of the addresses.
	Priority uint8
	// Interval is the time between adverts: whole seconds 1s..255s in version
	// 2, centiseconds 10ms..40.95s in version 3.
	Interval time.Duration
	// Preempt lets a BACKUP replace a MASTER of lower priority, PreemptDelay
	// after it first hears it. The owner always does, without delay.
	Preempt      bool
	PreemptDelay time.Duration
	// Source is the address adverts are sent from; it decides between equal
	// priorities. Zero lets Dial take the interface's first address that is
	// not a VIP.
	Source netip.Addr
	// VIPs are the addresses that an advert lists, at most 255.
	VIPs []netip.Addr
	// Password authenticates version 2 adverts (auth type 1) when set: at most
	// 8 bytes. It crosses the wire in the clear.
	Password string
	// Peers, when set, makes the router unicast to them instead of multicast,
	// and accept adverts from them only.
	Peers []netip.Addr
}

// Unicast reports whether adverts go to Peers instead of the group.
func (c Config) Unicast() bool { return len(c.Peers) > 0 }

// MasterDownInterval is Master_Down_Interval by the configured priority and
// interval.
func (c Config) MasterDownInterval() time.Duration {
	return c.Version.MasterDownInterval(c.Priority, c.Interval)
}

// Validate reports every reason why c cannot run, joined.
func (c Config) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.VRID == 0 {
		bad("vrid 0: want 1..255")
	}
	if c.Priority == 0 {
		bad("priority 0: want 1..255")
	}
	if c.PreemptDelay < 0 {
		bad("preempt delay %v: negative", c.PreemptDelay)
	}
	if len(c.Password) > MaxPassword {
		bad("password: longer than %d bytes", MaxPassword)
	}
	if c.Version == V3 && c.Password != "" {
		bad("password: version 3 has no authentication")
	}
	if err := c.Version.validateInterval(c.Interval); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(append(errs, c.validateAddresses())...)
}

func (v Version) validateInterval(d time.Duration) error {
	switch v {
	case V2:
		if d < time.Second || d > MaxIntervalV2 || d%time.Second != 0 {
			return fmt.Errorf("interval %v: version 2 wants whole seconds, 1s..%v", d, MaxIntervalV2)
		}
	case V3:
		if d < centisecond || d > MaxIntervalV3 || d%centisecond != 0 {
			return fmt.Errorf("interval %v: version 3 wants a multiple of 10ms, 10ms..%v", d, MaxIntervalV3)
		}
	default:
		return fmt.Errorf("version %d: want 2 or 3", v)
	}
	return nil
}

func (c Config) validateAddresses() error {
	if len(c.VIPs) > 255 {
		return fmt.Errorf("%d VIPs: an advert lists at most 255", len(c.VIPs))
	}
	if len(c.VIPs) == 0 && c.Version == V3 {
		return errors.New("no VIP: version 3 ignores adverts without addresses")
	}
	all := slices.Concat(c.VIPs, c.Peers)
	if c.Source.IsValid() {
		all = append(all, c.Source)
	}
	for _, a := range all {
		switch {
		case !a.IsValid():
			return errors.New("an address is missing")
		case a.Is4() != all[0].Is4():
			return fmt.Errorf("%v and %v: one virtual router has one address family", all[0], a)
		case !a.Is4() && c.Version == V2:
			return fmt.Errorf("%v: version 2 has no IPv6", a)
		}
	}
	if slices.Contains(c.VIPs, c.Source) {
		return fmt.Errorf("source %v: is a VIP, which another router may hold", c.Source)
	}
	if slices.Contains(c.Peers, c.Source) {
		return fmt.Errorf("source %v: is also a peer", c.Source)
	}
	return nil
}
