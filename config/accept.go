package config

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/lvsd/lvsd/director/ipvs"
	"github.com/lvsd/lvsd/director/netif"
)

// accept is an [[accept]] and where its keys are.
type accept struct {
	Accept
	*table
	vips []located[netip.Addr]
}

// readAccepts reads each [[accept]] and returns those of the node.
func readAccepts(tables []*table, node string, instances []instance) []accept {
	var all []accept
	for _, t := range tables {
		if a, here := readAccept(t.as(node)); here {
			all = append(all, a)
		}
	}
	checkAccepts(all, instances)
	return all
}

// readAccept also reports whether it is for the node.
func readAccept(t *table) (a accept, here bool) {
	defer t.close()
	a.table = t
	a.vips, _ = readList(t, "vips", addressAs(parseReachable), "required")
	a.VIPs = plain(a.vips)
	a.Forwarding = forwardings[read(t, "forwarding", choice("dr", "tun")).or("dr")]
	a.readTunnels()
	nodes, whole := readList(t, "nodes", word(), "every node")
	wantElements(t, "nodes", nodes, whole)
	return a, !t.has("nodes") || len(matching(t.node, plain(nodes))) > 0
}

// readTunnels reads what to unwrap.
func (a *accept) readTunnels() {
	encapsulations, whole := readList(a.table, "encapsulations", encapsulation(), `["ipip"]`)
	wantElements(a.table, "encapsulations", encapsulations, whole)
	checkDistinct(a.table, encapsulations)
	port := uint16(read(a.table, "gue_port", integer(1, 65535)).orElse(0, "required with gue"))
	over, whole := readList(a.table, "over", choice("ipv4", "ipv6"), "the family of the VIPs")
	wantElements(a.table, "over", over, whole)
	checkDistinct(a.table, over)
	if a.Forwarding != ipvs.Tunnel {
		for _, key := range []string{"encapsulations", "gue_port", "over"} {
			if a.has(key) {
				a.failKey(a.at(key), `is of tunnels, expected it only with forwarding = "tun"`)
			}
		}
		return
	}
	names := plain(encapsulations)
	if !a.has("encapsulations") {
		names = []string{string(netif.IPIP)}
	}
	switch gue := slices.Contains(names, string(netif.GUE)); {
	case gue && !a.has("gue_port"):
		a.missing("gue_port", "the UDP port of GUE")
	case !gue && a.has("gue_port"):
		a.failKey(a.at("gue_port"), `is of GUE, expected it only with "gue" among the encapsulations`)
	}
	a.Decapsulations = decapsulations(names, plain(over), a.VIPs, port)
}

// decapsulations are every encapsulation for each family of the VIPs, in the
// outer families or, without any, in its own.
func decapsulations(names, over []string, vips []netip.Addr, port uint16) []netif.Decapsulation {
	var all []netif.Decapsulation
	for _, name := range names {
		for _, inner := range []bool{false, true} {
			if !slices.ContainsFunc(vips, func(a netip.Addr) bool { return a.Is6() == inner }) {
				continue
			}
			for _, outer := range []bool{false, true} {
				if over == nil && outer != inner || over != nil && !slices.Contains(over, familyName(outer)) {
					continue
				}
				d := netif.Decapsulation{Encapsulation: netif.Encapsulation(name), OuterIPv6: outer, InnerIPv6: inner}
				if d.Encapsulation == netif.GUE {
					d.Port = port
				}
				all = append(all, d)
			}
		}
	}
	return all
}

// familyName is a family as the file has it.
func familyName(ipv6 bool) string {
	if ipv6 {
		return "ipv6"
	}
	return "ipv4"
}

// wantElements reports a list that is there and empty.
func wantElements[T any](t *table, key string, list []located[T], whole bool) {
	if t.has(key) && len(list) == 0 && whole {
		t.fail(t.at(key), "is empty, expected at least one element or no %s", key)
	}
}

// checkAccepts reports VIPs that stand on the node twice: as a real server's,
// and as another's or an instance's.
func checkAccepts(all []accept, instances []instance) {
	vips := make(seen[netip.Addr])
	held := holders(instances)
	for _, a := range all {
		for _, vip := range a.vips {
			vips.again(a.table, vip.value, vip.at, "%s is already accepted", vip.value)
			if i := held[vip.value]; i != nil {
				a.fail(vip.at, "%s is a VIP of instance %q (line %d), expected another: a node that runs the instance "+
					"takes its share by serve_on_backup, and keeps it by keep_connections", vip.value, i.Router.Name, i.line(i.at("vips")))
			}
		}
	}
}

// parseReachable is an address that others can send to.
func parseReachable(text string) (netip.Addr, error) {
	addr, err := parseAddress(text)
	if err == nil && addr.IsLoopback() {
		return netip.Addr{}, fmt.Errorf("%s is a loopback address, expected one that others can reach", addr)
	}
	return addr, err
}
