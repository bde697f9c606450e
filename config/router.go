package config

import (
	"net/netip"
	"time"

	"github.com/lvsd/lvsd/vrrp"
)

// The two checksums of version 3 over IPv4, by the document that says so.
const (
	checksumPseudo = "rfc5798"
	checksumPlain  = "rfc9568"
)

// readRouter reads what the protocol needs, and where the peers stand.
func readRouter(t *table) (vrrp.Config, []located[netip.Addr]) {
	c := vrrp.Config{
		Version:       vrrp.Version(read(t, "version", integer(2, 3)).or(3)),
		VRID:          uint8(read(t, "vrid", integer(1, 255)).required()),
		Priority:      uint8(read(t, "priority", integer(1, 255)).or(100)),
		Interval:      read(t, "advert_interval", duration(10*time.Millisecond, vrrp.MaxIntervalV2, 1)).or(time.Second),
		Preempt:       read(t, "preempt", boolean()).or(true),
		PreemptDelay:  read(t, "preempt_delay", duration(0, time.Hour, 1)).or(0),
		Source:        read(t, "source", address()).orElse(netip.Addr{}, "the interface's first address"),
		PlainChecksum: read(t, "checksum", choice(checksumPseudo, checksumPlain)).or(checksumPseudo) == checksumPlain,
		Group:         read(t, "multicast_group", addressAs(parseMulticast)).orElse(netip.Addr{}, "224.0.0.18 or ff02::12"),
		Settle:        read(t, "settle", duration(0, 10*time.Minute, 1)).or(2 * time.Second),
		LinkDownDelay: read(t, "link_down_delay", duration(0, time.Minute, 1)).or(0),
	}
	peers := readPeers(t, &c)
	checkInterval(t, c)
	if auth := t.sub("auth"); auth != nil {
		readAuth(auth, &c)
	}
	return c, peers
}

// readPeers reads whom to send adverts to, and what to accept from them. The
// node itself is left out, so that one list serves every node.
func readPeers(t *table, c *vrrp.Config) []located[netip.Addr] {
	listed, _ := readList(t, "peers", address(), "[]")
	checkDistinct(t, listed)
	for _, p := range plain(listed) {
		if p != c.Source {
			c.Peers = append(c.Peers, p)
		}
	}
	if len(listed) > 0 && len(c.Peers) == 0 {
		t.fail(t.at("peers"), "lists only this node's own source, expected the other nodes")
	}
	ttl := read(t, "min_ttl", integer(1, 255)).or(255)
	checked := read(t, "check_source", boolean()).or(true)
	if len(c.Peers) > 0 {
		c.MinTTL, c.AnySource = uint8(ttl), !checked
	}
	checkUnicast(t, len(listed) > 0)
	return listed
}

// checkUnicast reports what only adverts to peers have, or only those to a
// group.
func checkUnicast(t *table, unicast bool) {
	if unicast {
		if t.has("multicast_group") {
			t.failKey(t.at("multicast_group"), "adverts go to peers (line %d), expected either peers or multicast_group", t.line(t.at("peers")))
		}
		return
	}
	for _, key := range []string{"min_ttl", "check_source"} {
		if t.has(key) {
			t.failKey(t.at(key), "adverts go by multicast, expected %s only with peers", key)
		}
	}
}

// checkInterval reports an interval that the version cannot carry: whole
// seconds in 8 bits, or centiseconds in 12.
func checkInterval(t *table, c vrrp.Config) {
	if c.Interval == 0 {
		return // not readable, reported
	}
	switch at := t.at("advert_interval"); {
	case c.Version == vrrp.V2 && c.Interval%time.Second != 0:
		t.fail(at, "%s is not whole seconds, expected 1s..255s in version 2", c.Interval)
	case c.Version == vrrp.V3 && c.Interval > vrrp.MaxIntervalV3:
		t.fail(at, "%s is out of range, expected 10ms..%s in version 3", formatDuration(c.Interval), vrrp.MaxIntervalV3)
	case c.Version == vrrp.V3 && c.Interval%(10*time.Millisecond) != 0:
		t.fail(at, "%s is not whole centiseconds, expected a multiple of 10ms in version 3", c.Interval)
	}
}

// checkRouter reports what the address family of the adverts does not have.
func checkRouter(i instance) {
	family := i.family()
	if family == "" {
		return // no VIP could be read
	}
	c := i.Router
	if c.Version == vrrp.V2 && family == "IPv6" {
		i.fail(i.at("version"), "version 2 has no IPv6, expected 3")
	}
	if i.has("checksum") && (c.Version == vrrp.V2 || family == "IPv6") {
		i.failKey(i.at("checksum"), "version %d over %s has one checksum, expected checksum only in version 3 over IPv4", c.Version, family)
	}
	i.wantFamily(i.at("source"), c.Source)
	i.wantFamily(i.at("multicast_group"), c.Group)
	for _, peer := range i.peers {
		i.wantFamily(peer.at, peer.value)
		if i.holds(peer.value) {
			i.fail(peer.at, "%s is a VIP of this instance, expected the other node's own address", peer.value)
		}
	}
	if family == "IPv6" {
		checkLinkLocal(i)
	}
}

// checkLinkLocal reports IPv6 addresses between which no advert can go: by
// multicast they come from a link-local one (RFC 9568 section 5.1.2.1), and to
// peers from one of the peers' reach.
func checkLinkLocal(i instance) {
	wanted := true
	for n, peer := range i.peers {
		local := peer.value.IsLinkLocalUnicast()
		if n == 0 {
			wanted = local
		}
		if local != wanted {
			i.fail(peer.at, "%s and %s: only one is link-local, expected all or none: one source cannot reach both", i.peers[0].value, peer.value)
			return
		}
	}
	source := i.Router.Source
	if !source.Is6() || source.IsLinkLocalUnicast() == wanted {
		return
	}
	if wanted {
		i.fail(i.at("source"), "%s is not link-local, expected fe80::/10: adverts to a group or link-local peers come from no other address", source)
	} else {
		i.fail(i.at("source"), "%s is link-local and the peers are not, expected an address that they can answer", source)
	}
}

// wantFamily reports an address of another family than the adverts'.
func (i instance) wantFamily(at path, addr netip.Addr) {
	if addr.IsValid() && familyOf(addr) != i.family() {
		i.fail(at, "%s is %s and the first VIP %s, expected one family", addr, familyOf(addr), i.family())
	}
}
