package vrrp

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"
)

// The bounds of HMAC keys in bytes, and of the window. keepalived wants at least
// 32 bytes.
const (
	MinKey    = 16
	MaxKey    = 64
	MinWindow = time.Second
	MaxWindow = 5 * time.Minute
)

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
	for _, d := range []struct {
		name  string
		value time.Duration
	}{{"preempt delay", c.PreemptDelay}, {"settle", c.Settle}, {"link down delay", c.LinkDownDelay}} {
		if d.value < 0 {
			bad("%s %v: negative", d.name, d.value)
		}
	}
	if len(c.Password) > MaxPassword {
		bad("password: longer than %d bytes", MaxPassword)
	}
	if c.Version == V3 && c.Password != "" {
		bad("password: version 3 has no authentication")
	}
	if !c.Unicast() && c.MinTTL != 0 {
		bad("min ttl %d: only with peers, multicast is always %d", c.MinTTL, TTL)
	}
	if !c.Unicast() && c.AnySource {
		bad("any source: only with peers")
	}
	if err := c.Version.validateInterval(c.Interval); err != nil {
		errs = append(errs, err)
	}
	errs = append(errs, c.HMAC.validate()...)
	if err := c.validateAddresses(); err != nil {
		// What follows supposes that the addresses are there and of one family.
		return errors.Join(append(errs, err)...)
	}
	errs = append(errs, c.validateSource()...)
	return errors.Join(append(errs, c.validateGroup()...)...)
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

func (h *HMAC) validate() (errs []error) {
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf("hmac: "+format, args...)) }
	for _, id := range slices.Sorted(maps.Keys(h.Keys)) {
		if id == 0 {
			bad("key 0: want 1..255")
		}
		if n := len(h.Keys[id]); n < MinKey || n > MaxKey {
			bad("key %d: %d bytes, want %d..%d", id, n, MinKey, MaxKey)
		}
	}
	_, active := h.Keys[h.Active]
	switch {
	case !h.Enabled() && (h.Active != 0 || h.Window != 0 || h.Permissive):
		bad("no key")
	case h.Enabled() && h.Active == 0 && !h.Permissive:
		bad("no active key: only permissive does without")
	case h.Active != 0 && h.Enabled() && !active:
		bad("active key %d: no such key", h.Active)
	}
	if h.Window != 0 && (h.Window < MinWindow || h.Window > MaxWindow) {
		bad("window %v: want 0 or %v..%v", h.Window, MinWindow, MaxWindow)
	}
	return errs
}

// addresses are all of c's addresses.
func (c Config) addresses() []netip.Addr {
	all := slices.Concat(c.VIPs, c.Peers)
	for _, a := range []netip.Addr{c.Source, c.Group} {
		if a.IsValid() {
			all = append(all, a)
		}
	}
	return all
}

// validateAddresses looks at what all addresses must have.
func (c Config) validateAddresses() error {
	if len(c.VIPs) > 255 {
		return fmt.Errorf("%d VIPs: an advert lists at most 255", len(c.VIPs))
	}
	if len(c.VIPs) == 0 && c.Version == V3 {
		return errors.New("no VIP: version 3 ignores adverts without addresses")
	}
	all := c.addresses()
	for _, a := range all {
		switch {
		case !a.IsValid():
			return errors.New("an address is missing")
		case a.Zone() != "" || a.Is4In6():
			return fmt.Errorf("%v: want an address without zone, IPv4 as such", a)
		case a.Is4() != all[0].Is4():
			return fmt.Errorf("%v and %v: one virtual router has one address family", all[0], a)
		case !a.Is4() && c.Version == V2:
			return fmt.Errorf("%v: version 2 has no IPv6", a)
		}
	}
	return nil
}

// validateSource looks at what adverts are sent from.
func (c Config) validateSource() (errs []error) {
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if slices.Contains(c.VIPs, c.Source) {
		bad("source %v: is a VIP, which another router may hold", c.Source)
	}
	if slices.Contains(c.Peers, c.Source) {
		bad("source %v: is also a peer", c.Source)
	}
	if !c.Is6() {
		return errs
	}
	for _, p := range c.Peers {
		if p.IsLinkLocalUnicast() != c.Peers[0].IsLinkLocalUnicast() {
			bad("peers %v and %v: one source cannot reach both, one is link-local", c.Peers[0], p)
			break
		}
	}
	if c.Source.IsValid() && c.Source.IsLinkLocalUnicast() != c.linkLocal() {
		if c.linkLocal() {
			bad("source %v: want a link-local address", c.Source)
		} else {
			bad("source %v: the peers are not link-local", c.Source)
		}
	}
	return errs
}

// validateGroup looks at where adverts go.
func (c Config) validateGroup() (errs []error) {
	switch {
	case c.Group.IsValid() && c.Unicast():
		errs = append(errs, fmt.Errorf("group %v: adverts go to the peers", c.Group))
	case c.Group.IsValid() && !c.Group.IsMulticast():
		errs = append(errs, fmt.Errorf("group %v: not a multicast address", c.Group))
	}
	for _, p := range c.Peers {
		if p.IsMulticast() || p.IsUnspecified() {
			errs = append(errs, fmt.Errorf("peer %v: want a unicast address", p))
		}
	}
	return errs
}
