package vrrp

import (
	"crypto/subtle"
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
	// BadTTL: the TTL is not 255, so it was forwarded. Unicast peers are on the
	// link too; keepalived and this package send 255 to them.
	BadTTL
	// UnknownSource: in unicast mode, not from one of Config.Peers.
	UnknownSource
	// BadVersion: not version 2 or 3, or not the configured one.
	BadVersion
	// BadType: not an ADVERTISEMENT.
	BadType
	// BadChecksum: the checksum is wrong, in both forms for version 3.
	BadChecksum
	// ZeroInterval: version 3, interval 0 (RFC 9568 erratum 8301).
	ZeroInterval
	// ZeroCount: version 3, no addresses (RFC 9568 section 5.2.5).
	ZeroCount
	// BadAuthType: version 2, another auth type than the configured one.
	BadAuthType
	// BadPassword: version 2, another password.
	BadPassword
	// BadInterval: version 2, another interval than the configured one (RFC
	// 3768 section 7.1). Both routers are MASTER until one is corrected.
	BadInterval

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
	ZeroInterval:  "interval_zero",
	ZeroCount:     "count_zero",
	BadAuthType:   "auth_type",
	BadPassword:   "password",
	BadInterval:   "interval",
}

// String is the reason as status and metrics name it: "checksum".
func (d Discard) String() string { return name(discardText[:], uint8(d)) }

// MarshalText is String, for JSON.
func (d Discard) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// accept parses p into a and says whether it is a valid advert for the router
// c, whose Source is resolved. The list of addresses is not compared: routers
// that disagree about it while a new VIP is rolled out must not both be MASTER.
func (c *Config) accept(p Packet, a *Advert) Discard {
	switch {
	case p.Source == c.Source:
		return OwnSource
	case len(p.Payload) < headerLen:
		return BadLength
	case p.Payload[1] != c.VRID:
		return OtherVRID
	case p.TTL != TTL:
		return BadTTL
	case c.Unicast() && !slices.Contains(c.Peers, p.Source):
		return UnknownSource
	}
	if d := a.Parse(p.Payload, p.Source, p.Destination); d != Accepted {
		return d
	}
	switch {
	case a.Version != c.Version:
		return BadVersion
	case a.Version == V2:
		return c.acceptV2(a)
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
