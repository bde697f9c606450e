package vrrp

import (
	"crypto/subtle"
	"net/netip"
	"slices"
)

// Discard is why a received packet was not taken for an advert of this virtual
// router (RFC 5798 section 7.1).
type Discard uint8

// The reasons, in the order they are looked for.
const (
	// Accepted: not discarded.
	Accepted Discard = iota
	// OwnSource: it carries our own address as its source.
	OwnSource
	// BadLength: too short, or not as long as its address count says.
	BadLength
	// OtherVRID: of another virtual router.
	OtherVRID
	// BadTTL: the TTL or hop limit is less than 255, so it was forwarded, or in
	// unicast mode less than Config.MinTTL.
	BadTTL
	// UnknownSource: in unicast mode, not from one of Config.Peers.
	UnknownSource
	// BadVersion: not version 2 or 3, or not the configured one.
	BadVersion
	// BadType: not an ADVERTISEMENT.
	BadType
	// BadChecksum: the checksum is wrong, in both forms for version 3.
	BadChecksum
	// BadTrailer: what follows the message is no HMAC-SHA256 trailer.
	BadTrailer
	// ZeroInterval: version 3, interval 0 (RFC 9568 erratum 8301).
	ZeroInterval
	// ZeroCount: version 3, no addresses (RFC 9568 section 5.2.5).
	ZeroCount
	// NoTrailer: not authenticated, but Config.HMAC demands it.
	NoTrailer
	// UnknownKey: authenticated with a key id that Config.HMAC does not have.
	UnknownKey
	// BadHMAC: the HMAC is wrong: another key, or forged.
	BadHMAC
	// BadAuthType: version 2, another auth type than the configured one.
	BadAuthType
	// BadPassword: version 2, another password.
	BadPassword
	// BadInterval: version 2, another interval than the configured one (RFC
	// 3768 section 7.1). Both routers are MASTER until one is corrected.
	BadInterval
	// WrongTime: authentic, but the sender's clock differs from ours by more
	// than Config.HMAC.Window, or it is a replay.
	WrongTime
	// Replayed: authentic, but not newer than what this sender sent before.
	Replayed

	discards
)

var discardText = [discards]string{
	Accepted:      "accepted",
	OwnSource:     "own_source",
	BadLength:     "length",
	OtherVRID:     "vrid",
	BadTTL:        "ttl",
	UnknownSource: "unknown_source",
	BadVersion:    "version",
	BadType:       "type",
	BadChecksum:   "checksum",
	BadTrailer:    "hmac_type",
	ZeroInterval:  "interval_zero",
	ZeroCount:     "count_zero",
	NoTrailer:     "hmac_missing",
	UnknownKey:    "hmac_key",
	BadHMAC:       "hmac",
	BadAuthType:   "auth_type",
	BadPassword:   "password",
	BadInterval:   "interval",
	WrongTime:     "hmac_time",
	Replayed:      "hmac_replay",
}

// String is the reason as status and metrics name it: "checksum".
func (d Discard) String() string { return name(discardText[:], uint8(d)) }

// MarshalText is String, for JSON.
func (d Discard) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// read parses p into a and says whether it is a sound advert with c's VRID from
// where c, whose Source is resolved, expects adverts.
func (c *Config) read(p Packet, a *Advert) Discard {
	switch {
	case p.Source == c.Source:
		return OwnSource
	case len(p.Payload) < headerLen:
		return BadLength
	case p.Payload[1] != c.VRID:
		return OtherVRID
	case p.TTL < c.minTTL():
		return BadTTL
	case c.Unicast() && !c.AnySource && !slices.Contains(c.Peers, p.Source):
		return UnknownSource
	}
	return a.Parse(p.Payload, p.Source, p.Destination)
}

// accept says whether the advert a, read from p, is a valid one for the router
// c, apart from the order of authenticated ones. The list of addresses is not
// compared: routers that disagree about it while a new VIP is rolled out must
// not both be MASTER.
func (c *Config) accept(p Packet, a *Advert) Discard {
	if a.Version != c.Version {
		return BadVersion
	}
	if d := c.HMAC.accept(p, a); d != Accepted {
		return d
	}
	if a.Version == V2 {
		return c.acceptV2(a)
	}
	return Accepted
}

// accept verifies the trailer. Without keys there is nothing to verify, and
// adverts with a trailer are taken too, so that it can be brought in node by
// node.
func (h *HMAC) accept(p Packet, a *Advert) Discard {
	if !h.Enabled() {
		return Accepted
	}
	if !a.Trailer.Present() {
		if h.Permissive {
			return Accepted
		}
		return NoTrailer
	}
	key, known := h.Keys[a.Trailer.KeyID]
	switch {
	case !known:
		return UnknownKey
	case !Authentic(p.Payload, key, p.Source):
		return BadHMAC
	}
	return Accepted
}

func (c *Config) acceptV2(a *Advert) Discard {
	auth, password := c.auth()
	switch {
	case a.Auth != auth:
		return BadAuthType
	case auth == AuthPassword && subtle.ConstantTimeCompare(a.AuthData[:], password[:]) != 1:
		return BadPassword
	case a.Interval != c.Interval:
		return BadInterval
	}
	return Accepted
}

// auth is the auth type and data of c's version 2 adverts.
func (c *Config) auth() (t AuthType, data [authLen]byte) {
	if c.Version == V2 && c.Password != "" {
		copy(data[:], c.Password)
		return AuthPassword, data
	}
	return AuthNone, data
}

// sameAddresses reports whether the advert lists c's VIPs, in any order.
func (c *Config) sameAddresses(a *Advert) bool {
	if len(a.Addresses) != len(c.VIPs) {
		return false
	}
	for _, vip := range c.VIPs {
		if !slices.Contains(a.Addresses, vip) {
			return false
		}
	}
	return true
}

// listed are the VIPs in the order of c's adverts: over IPv6 link-local ones
// first (RFC 5798 section 5.2.9), else as configured.
func (c *Config) listed() []netip.Addr {
	order := func(a, b netip.Addr) int {
		switch {
		case a.IsLinkLocalUnicast() == b.IsLinkLocalUnicast():
			return 0
		case a.IsLinkLocalUnicast():
			return -1
		}
		return 1
	}
	if !c.Is6() || slices.IsSortedFunc(c.VIPs, order) {
		return c.VIPs
	}
	sorted := slices.Clone(c.VIPs)
	slices.SortStableFunc(sorted, order)
	return sorted
}

// disjoint reports whether the advert lists VIPs, but none of c's.
func (c *Config) disjoint(a *Advert) bool {
	if len(a.Addresses) == 0 || len(c.VIPs) == 0 {
		return false
	}
	return !slices.ContainsFunc(c.VIPs, func(vip netip.Addr) bool { return slices.Contains(a.Addresses, vip) })
}

// minTTL is the least TTL that is accepted.
func (c *Config) minTTL() uint8 {
	if c.Unicast() && c.MinTTL != 0 {
		return c.MinTTL
	}
	return TTL
}
