package director

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/lvsd/lvsd/director/netif"
)

func addressArguments(a netif.Address) string {
	return fmt.Sprintf("%s/%d dev %s", a.Addr, a.Bits, a.Interface)
}

func vipArguments(v netif.VIP) string {
	w := words{addressArguments(v.Address)}
	if v.Addr.Is4() {
		w.addIf(v.Scope != netif.ScopeGlobal, "scope", scopeName(v.Scope))
		w.addIf(v.Label != "", "label", v.Label)
		w.addIf(v.Broadcast.IsValid(), "broadcast", v.Broadcast)
	}
	return w.String()
}

// ipCommand is ip(8) for a family that its arguments may not show.
func ipCommand(ipv6 bool) string {
	if ipv6 {
		return "ip -6"
	}
	return "ip"
}

// mainTable is the routing table where ip(8) needs none said (RT_TABLE_MAIN).
const mainTable = 254

func routeArguments(r netif.Route) string {
	var w words
	types := map[netif.RouteType]string{
		netif.Blackhole: "blackhole", netif.Unreachable: "unreachable", netif.Prohibit: "prohibit",
	}
	if name := types[r.Type]; name != "" {
		w.add(name)
	}
	w.add(destinationName(r.Destination))
	w.addIf(r.Gateway.IsValid(), "via", r.Gateway)
	w.addIf(r.Interface != "", "dev", r.Interface)
	w.addIf(r.Source.IsValid(), "src", r.Source)
	w.addIf(r.Scope != netif.ScopeGlobal, "scope", scopeName(r.Scope))
	w.addIf(r.Table != mainTable, "table", r.Table)
	w.addIf(r.Metric != 0, "metric", r.Metric)
	if r.OnLink {
		w.add("onlink")
	}
	w.add("proto", netif.Protocol)
	return w.String()
}

func destinationName(p netip.Prefix) string {
	if p.Bits() == 0 {
		return "default"
	}
	return p.String()
}

func ruleArguments(r netif.Rule) string {
	var w words
	w.add("priority", r.Priority)
	w.addIf(r.From.IsValid(), "from", r.From)
	w.addIf(r.To.IsValid(), "to", r.To)
	w.addIf(r.Incoming != "", "iif", r.Incoming)
	w.addIf(r.Outgoing != "", "oif", r.Outgoing)
	w.addIf(r.Mask != 0, "fwmark", fmt.Sprintf("%#x/%#x", r.Mark, r.Mask))
	w.add("table", r.Table, "protocol", netif.Protocol)
	return w.String()
}

// scopeName is the scope as ip(8) writes it.
func scopeName(s netif.Scope) string {
	names := map[netif.Scope]string{
		netif.ScopeGlobal: "global", netif.ScopeSite: "site", netif.ScopeLink: "link", netif.ScopeHost: "host",
	}
	if name, ok := names[s]; ok {
		return name
	}
	return fmt.Sprint(uint8(s))
}

// words are the arguments of a command.
type words []string

func (w *words) add(values ...any) {
	for _, value := range values {
		*w = append(*w, fmt.Sprint(value))
	}
}

// addIf adds an option and its value if the condition holds.
func (w *words) addIf(condition bool, option string, value any) {
	if condition {
		w.add(option, value)
	}
}

func (w words) String() string { return strings.Join(w, " ") }
