package keepalived

import (
	"net/netip"
	"strconv"
	"strings"
)

// parsePrefix reads ADDRESS or ADDRESS/LENGTH. The address keeps its host bits.
func parsePrefix(text string) (p netip.Prefix, whole, ok bool) {
	if a, err := netip.ParseAddr(text); err == nil && a.Zone() == "" {
		return netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen()), true, true
	}
	p, err := netip.ParsePrefix(text)
	return p, false, err == nil
}

// readAddresses reads the lines of virtual_ipaddress, its kin and static_ipaddress.
func readAddresses(r *reading, s *Statement) []Address {
	var all []Address
	for _, l := range s.Block {
		l.fate = Translated
		if a, ok := readAddress(r, l); ok {
			all = append(all, a)
		}
	}
	return all
}

func readAddress(r *reading, l *Statement) (Address, bool) {
	a := Address{at: l}
	for at := 0; at < len(l.Words); at++ {
		value := func() string { at++; return l.word(at) }
		switch word := l.word(at); word {
		case "dev":
			a.Interface = value()
		case "label":
			a.Label = value()
		case "scope":
			a.Scope = value()
		case "brd", "broadcast":
			r.readBroadcast(l, &a, value())
		case "to", "no_track":
		case "peer", "preferred_lft", "track_group":
			r.lost(l, "%s %s: VIPs have no such option here", word, value())
		case "home", "-nodad", "mngtmpaddr", "noprefixroute", "autojoin", "use_vmac":
			r.lost(l, "%s: VIPs have no such option here", word)
		default:
			prefix, whole, ok := r.longPrefix(l, word)
			if !ok || a.Prefix.IsValid() {
				r.broken(l, "%q is neither an address nor an option of one; keepalived ignores it", word)
				continue
			}
			a.Prefix, a.Whole = prefix, whole
		}
	}
	if !a.Prefix.IsValid() {
		r.broken(l, "%q has no address", l.text)
	}
	return a, a.Prefix.IsValid()
}

// longPrefix is parsePrefix, but for a length that is too large: keepalived makes it
// that of a host.
func (r *reading) longPrefix(l *Statement, text string) (p netip.Prefix, whole, ok bool) {
	if p, whole, ok = parsePrefix(text); ok {
		return p, whole, ok
	}
	address, length, _ := strings.Cut(text, "/")
	a, err := netip.ParseAddr(address)
	n, bad := strconv.Atoi(length)
	if err != nil || bad != nil || a.Zone() != "" || n <= a.BitLen() {
		return p, false, false
	}
	r.broken(l, "%s: the prefix is longer than the address; keepalived takes /%d", text, a.BitLen())
	return netip.PrefixFrom(a, a.BitLen()), false, true
}

func (r *reading) readBroadcast(l *Statement, a *Address, word string) {
	if word == "-" || word == "+" {
		r.lost(l, "brd %s: write the broadcast address out", word)
		return
	}
	a.Broadcast = r.address(l, word)
}

// readRoutes reads the lines of virtual_routes.
func readRoutes(r *reading, s *Statement, i *Instance) {
	for _, l := range s.Block {
		l.fate = Translated
		if route, ok := readRoute(r, l); ok {
			i.Routes = append(i.Routes, route)
		}
	}
}

func readRoute(r *reading, l *Statement) (Route, bool) {
	route := Route{at: l, Type: "unicast"}
	for at := 0; at < len(l.Words); at++ {
		value := func() string { at++; return l.word(at) }
		switch word := l.word(at); word {
		case "via", "gw":
			if next := l.word(at + 1); next == "inet" || next == "inet6" {
				at++
			}
			route.Gateway = r.address(l, value())
		case "dev", "oif":
			route.Interface = value()
		case "src":
			route.Source = r.address(l, value())
		case "scope":
			route.Scope = value()
		case "table":
			route.Table = value()
		case "metric", "priority", "preference":
			route.Metric = value()
		case "onlink":
			route.OnLink = true
		case "to", "no_track", "inet", "inet6":
		case "blackhole", "unreachable", "prohibit", "unicast":
			route.Type = word
		case "or", "nexthop":
			r.lost(l, "a route with several next hops: write one route for each, with metrics, or leave it to the network configuration")
			route.Unusable = true
			return route, true
		case "default":
			route.Destination = netip.PrefixFrom(netip.IPv4Unspecified(), 0)
		default:
			if !r.readDestination(l, &route, word) {
				return route, route.Unusable
			}
		}
	}
	if !route.Destination.IsValid() {
		r.broken(l, "the route has no destination; keepalived ignores it")
		return route, false
	}
	if route.Gateway.Is6() && route.Destination.Bits() == 0 {
		route.Destination = netip.PrefixFrom(netip.IPv6Unspecified(), 0)
	}
	return route, true
}

func (r *reading) readDestination(l *Statement, route *Route, word string) bool {
	if prefix, _, ok := parsePrefix(word); ok && !route.Destination.IsValid() {
		route.Destination = prefix.Masked()
		return true
	}
	if word == "" || strings.ContainsAny(word[:1], "0123456789") {
		r.broken(l, "%q is not a network; keepalived ignores the route", word)
		return false
	}
	r.lost(l, "route option %q: lvsd has none of this kind; the route is left out", word)
	route.Unusable = true
	return false
}

// readRules reads the lines of virtual_rules.
func readRules(r *reading, s *Statement, i *Instance) {
	for _, l := range s.Block {
		l.fate = Translated
		if rule, ok := readRule(r, l); ok {
			i.Rules = append(i.Rules, rule)
		}
	}
}

func readRule(r *reading, l *Statement) (Rule, bool) {
	rule := Rule{at: l}
	for at := 0; at < len(l.Words); at++ {
		value := func() string { at++; return l.word(at) }
		network := func(target *netip.Prefix) bool {
			text := value()
			prefix, _, ok := parsePrefix(text)
			if !ok {
				r.broken(l, "%q is not a network; keepalived ignores the rule", text)
			}
			*target = prefix.Masked()
			return ok
		}
		switch word := l.word(at); word {
		case "from":
			if l.word(at+1) == "all" {
				at++
			} else if !network(&rule.From) {
				return rule, false
			}
		case "to":
			if l.word(at+1) == "all" {
				at++
			} else if !network(&rule.To) {
				return rule, false
			}
		case "iif", "dev":
			rule.Incoming = value()
		case "oif":
			rule.Outgoing = value()
		case "table", "lookup":
			rule.Table = value()
		case "fwmark":
			rule.Mark = value()
		case "preference", "pref", "priority", "order":
			rule.Priority = value()
		case "inet6":
			rule.IPv6 = true
		case "inet", "no_track":
		default:
			r.lost(l, "rule option %q: lvsd has none of this kind; the rule is left out", word)
			return rule, false
		}
	}
	return rule, true
}
