package segment

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/lvsd/lvsd/vrrp"
)

// Auth is how a speaker authenticates its adverts.
type Auth string

// The kinds of authentication. A version 2 advert that says another type in
// its header has "type N".
const (
	AuthNone Auth = "none"
	AuthPass Auth = "pass"        // a password in the clear, RFC 2338
	AuthAH   Auth = "ah"          // an IP authentication header, RFC 2338
	AuthHMAC Auth = "hmac-sha256" // keepalived 2.4's trailer
)

// Checksum is what the checksum of an advert covers.
type Checksum string

// The forms of the checksum.
const (
	// ChecksumMessage covers the message: version 2, and version 3 over IPv4 by
	// RFC 9568.
	ChecksumMessage Checksum = "message"
	// ChecksumPseudoHeader covers a pseudo-header too: IPv6, and version 3 over
	// IPv4 by RFC 5798 as most read it.
	ChecksumPseudoHeader Checksum = "pseudo-header"
)

// parameters are what a speaker says of itself in a valid advert.
type parameters struct {
	priority uint8
	interval time.Duration
	auth     Auth
	keyID    uint8 // of the trailer
	password string
	checksum Checksum
	vips     []netip.Addr
}

// parseAdvert reads the message of p, or says why it cannot.
func parseAdvert(p Packet) (parameters, vrrp.Discard) {
	var a vrrp.Advert
	if d := a.Parse(p.Payload, p.Source, p.Destination); d != vrrp.Accepted {
		return parameters{}, d
	}
	q := parameters{
		priority: a.Priority, interval: a.Interval, auth: AuthNone, keyID: a.Trailer.KeyID,
		checksum: ChecksumPseudoHeader, vips: a.Addresses,
	}
	if a.PlainChecksum || a.Version == vrrp.V2 {
		q.checksum = ChecksumMessage
	}
	switch {
	case a.Trailer.Present():
		q.auth = AuthHMAC
	case p.AH:
		q.auth = AuthAH
	case a.Auth == vrrp.AuthPassword:
		q.auth = AuthPass
		q.password = strings.TrimRight(string(a.AuthData[:]), "\x00")
	case a.Auth != vrrp.AuthNone:
		q.auth = Auth(fmt.Sprintf("type %d", a.Auth))
	}
	return q, vrrp.Accepted
}

// sameVIPs reports whether both list the same addresses, in any order.
func (q parameters) sameVIPs(other parameters) bool {
	if len(q.vips) != len(other.vips) {
		return false
	}
	return slices.Equal(sorted(q.vips), sorted(other.vips))
}

func sorted(addrs []netip.Addr) []netip.Addr {
	addrs = slices.Clone(addrs)
	slices.SortFunc(addrs, netip.Addr.Compare)
	return addrs
}

// differences tells how the parameters have changed since before, in words; a
// password is not shown.
func (q parameters) differences(before parameters) string {
	var all []string
	changed := func(what string, was, is any) {
		if was != is {
			all = append(all, fmt.Sprintf("%s %v, was %v", what, is, was))
		}
	}
	changed("priority", before.priority, q.priority)
	changed("interval", before.interval, q.interval)
	changed("auth", before.auth, q.auth)
	changed("key id", before.keyID, q.keyID)
	changed("checksum", before.checksum, q.checksum)
	changed("VIPs", joinAddrs(before.vips), joinAddrs(q.vips))
	if before.auth == q.auth && before.password != q.password {
		all = append(all, "another password")
	}
	return strings.Join(all, "; ")
}

// joinAddrs lists addresses in words.
func joinAddrs(addrs []netip.Addr) string {
	if len(addrs) == 0 {
		return "none"
	}
	texts := make([]string, len(addrs))
	for i, a := range addrs {
		texts[i] = a.String()
	}
	return strings.Join(texts, ",")
}
