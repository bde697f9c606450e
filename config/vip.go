package config

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/lvsd/lvsd/director/netif"
)

// The most VIPs that an advert lists: it counts them in a byte, and in IPv6 it
// must fit into a packet of 1500 bytes with its authentication.
const (
	maxVIPs  = 255
	maxVIPs6 = (1500 - 40 - 8 - 28) / 16
)

// maxLabel is the longest label of an address in bytes, IFNAMSIZ-1.
const maxLabel = 15

var scopes = map[string]netif.Scope{
	"global": netif.ScopeGlobal, "site": netif.ScopeSite, "link": netif.ScopeLink, "host": netif.ScopeHost,
}

func scope() kind[string] { return choice("global", "site", "link", "host") }

// readVIPs reads the VIPs of an instance on the interface, the advertised
// first.
func readVIPs(t *table, ifname string) (vips []located[VIP], whole bool) {
	listed, whole := readVIPList(t, "vips", ifname, "required")
	excluded, excludedWhole := readVIPList(t, "excluded_vips", ifname, "[]")
	for _, vip := range excluded {
		vip.value.Excluded = true
		listed = append(listed, vip)
	}
	return listed, whole && excludedWhole
}

func readVIPList(t *table, key, ifname, fallback string) (vips []located[VIP], whole bool) {
	return readElements(t, key, listOf[VIP]{
		name: "address", plural: "addresses", allowed: "ADDRESS, ADDRESS/LENGTH or table", fallback: fallback,
		read: func(at path, raw any) (VIP, bool) {
			if values, ok := raw.(map[string]any); ok {
				vip := readVIP(t.element(at, values), ifname)
				return VIP{VIP: vip}, vip.Addr.IsValid()
			}
			prefix, err := hostPrefix().parse(raw)
			if err != nil {
				t.fail(at, "%s", err)
			}
			return VIP{VIP: newVIP(ifname, prefix)}, err == nil
		},
	})
}

// newVIP is the VIP without options. IPv6 addresses have their scope by
// themselves.
func newVIP(ifname string, prefix netip.Prefix) netif.VIP {
	vip := netif.VIP{Address: netif.Address{Interface: ifname, Addr: prefix.Addr(), Bits: prefix.Bits()}}
	if prefix.Addr().Is6() && prefix.Addr().IsLinkLocalUnicast() {
		vip.Scope = netif.ScopeLink
	}
	return vip
}

// readVIP reads a VIP that is a table.
func readVIP(t *table, ifname string) netif.VIP {
	defer t.close()
	prefix := read(t, "address", hostPrefix()).required()
	ifname = read(t, "interface", interfaceName()).orElse(ifname, "the instance's")
	vip := newVIP(ifname, prefix)
	scope := read(t, "scope", scope()).or("global")
	label := read(t, "label", addressLabel()).optional()
	broadcast := read(t, "broadcast", addressAs(parseIP)).optional()
	if prefix.IsValid() && prefix.Addr().Is6() {
		for _, key := range []string{"scope", "label", "broadcast"} {
			if t.has(key) {
				t.failKey(t.at(key), "%s is an IPv6 address, which has no %s of its own, expected none", prefix.Addr(), key)
			}
		}
		return vip
	}
	vip.Scope, vip.Label, vip.Broadcast = scopes[scope], label, broadcast
	if broadcast.IsValid() && !broadcast.Is4() {
		t.fail(t.at("broadcast"), "%q is an IPv6 address, expected IPv4", broadcast)
	}
	if !strings.HasPrefix(label, ifname) && label != "" {
		t.fail(t.at("label"), "%q does not start with the interface's name, expected one such as %q", label, ifname+":vip")
	}
	return vip
}

func addressLabel() kind[string] {
	return text(fmt.Sprintf("1..%d bytes", maxLabel), "a label in quotes", func(s string) error {
		if !isWord(s) || len(s) > maxLabel {
			return fmt.Errorf("%q is not a label, expected 1..%d characters without spaces", s, maxLabel)
		}
		return nil
	})
}

// advertised are the addresses that an instance's adverts list, in the order
// they do: IPv6 wants a link-local address first (RFC 9568 section 5.2.9).
func advertised(vips []located[VIP]) []netip.Addr {
	var addrs []netip.Addr
	for _, vip := range vips {
		if !vip.value.Excluded {
			addrs = append(addrs, vip.value.Addr)
		}
	}
	slices.SortStableFunc(addrs, func(a, b netip.Addr) int { return linkLocalFirst(a) - linkLocalFirst(b) })
	return addrs
}

func linkLocalFirst(a netip.Addr) int {
	if a.Is6() && a.IsLinkLocalUnicast() {
		return 0
	}
	return 1
}

// family is the address family of the adverts, "IPv4" or "IPv6"; it is empty
// while no VIP could be read.
func (i instance) family() string {
	for _, vip := range i.vips {
		if !vip.value.Excluded {
			return familyOf(vip.value.Addr)
		}
	}
	return ""
}

func familyOf(a netip.Addr) string {
	if a.Is4() {
		return "IPv4"
	}
	return "IPv6"
}

// checkVIPs reports VIPs that the instance cannot hold.
func checkVIPs(i instance) {
	for _, vip := range i.vips {
		addr := vip.value.Addr
		switch {
		case addr.IsLoopback():
			i.fail(vip.at, "%s is a loopback address, expected one that others can reach", addr)
		case !vip.value.Excluded && familyOf(addr) != i.family():
			i.fail(vip.at, "%s is %s and the first VIP %s, expected one family: the other goes to excluded_vips", addr, familyOf(addr), i.family())
		}
	}
	checkVIPCount(i)
	if i.holds(i.Router.Source) {
		i.fail(i.at("source"), "%s is a VIP of this instance, expected an address that stays on this node", i.Router.Source)
	}
}

func checkVIPCount(i instance) {
	most, why := maxVIPs, "an advert counts them in a byte"
	if i.family() == "IPv6" {
		most, why = maxVIPs6, "an advert of 1500 bytes has room for no more"
	}
	if count := len(i.Router.VIPs); count > most {
		i.fail(i.vips[most].at, "is one of %d VIPs, expected at most %d: %s; the others go to excluded_vips", count, most, why)
	}
}

// place is an address that must be held only once on a node. A link-local one
// may be on each interface.
type place struct {
	addr   netip.Addr
	ifname string
}

func placeOf(v VIP) place {
	if v.Addr.IsLinkLocalUnicast() {
		return place{v.Addr, v.Interface}
	}
	return place{addr: v.Addr}
}

// checkDistinctVIPs reports addresses that instances hold twice.
func checkDistinctVIPs(all []instance) {
	vips := make(seen[place])
	for n, i := range all {
		for _, vip := range i.vips {
			what := "%s is already a VIP of this instance"
			if slices.ContainsFunc(all[:n], func(o instance) bool { return o.holdsAt(placeOf(vip.value)) }) {
				what = "%s is already a VIP of another instance"
			}
			vips.again(i.table, placeOf(vip.value), vip.at, what, vip.value.Addr)
		}
	}
}

func (i instance) holdsAt(p place) bool {
	return slices.ContainsFunc(i.vips, func(vip located[VIP]) bool { return placeOf(vip.value) == p })
}
