package config

import (
	"fmt"
	"math"
	"net/netip"

	"github.com/lvsd/lvsd/director/netif"
)

const (
	mainTable = 254 // RT_TABLE_MAIN
	// metricIPv6 is the metric of IPv6 routes that have none, IP6_RT_PRIO_USER.
	metricIPv6 = 1024
)

var routeTypes = map[string]netif.RouteType{
	"unicast": netif.Unicast, "blackhole": netif.Blackhole, "unreachable": netif.Unreachable, "prohibit": netif.Prohibit,
}

// route is a virtual route and where its keys are.
type route struct {
	netif.Route
	*table
}

// readRoute reads [[vrrp.route]]. Family is the instance's, for a default route
// that does not say.
func readRoute(t *table, family string) route {
	defer t.close()
	destination := read(t, "destination", network("default"))
	r := route{table: t}
	r.Destination = destination.required()
	r.Type = routeTypes[read(t, "type", choice("unicast", "blackhole", "unreachable", "prohibit")).or("unicast")]
	r.Gateway = read(t, "gateway", address()).optional()
	r.Interface = read(t, "interface", interfaceName()).optional()
	r.Source = read(t, "source", address()).orElse(netip.Addr{}, "the kernel's choice")
	scope := read(t, "scope", scope()).orElse("", "link without gateway, else global")
	r.Table = read(t, "table", tableNumber()).orElse(mainTable, `"main"`)
	r.Metric = uint32(read(t, "metric", integer(0, math.MaxUint32)).orElse(0, "0, in IPv6 1024"))
	r.OnLink = read(t, "on_link", boolean()).or(false)
	if destination.set && r.Destination == (netip.Prefix{}) {
		r.Destination = r.everywhere(t.raw("destination"), family)
	}
	if r.Destination.IsValid() {
		r.fillIn(scope)
		r.checkFamily()
		r.checkWay()
	}
	return r
}

// everywhere is the default route's destination: of the gateway's family, else
// the source's, else the instance's.
func (r route) everywhere(raw any, family string) netip.Prefix {
	if raw != "default" {
		return netip.Prefix{} // not readable, reported
	}
	for _, a := range []netip.Addr{r.Gateway, r.Source} {
		if a.IsValid() {
			family = familyOf(a)
			break
		}
	}
	if family == "IPv6" {
		return netip.PrefixFrom(netip.IPv6Unspecified(), 0)
	}
	return netip.PrefixFrom(netip.IPv4Unspecified(), 0)
}

// fillIn sets what the kernel would: of IPv4, the scope of a route on the link;
// of IPv6, the metric. IPv6 routes have no scope.
func (r *route) fillIn(scope string) {
	ipv6 := r.Destination.Addr().Is6()
	switch {
	case ipv6 && scope != "":
		r.failKey(r.at("scope"), "%s is an IPv6 route, which has no scope, expected none", r.Destination)
	case scope != "":
		r.Scope = scopes[scope]
	case !ipv6 && r.Type == netif.Unicast && !r.Gateway.IsValid():
		r.Scope = netif.ScopeLink
	}
	if ipv6 && r.Metric == 0 {
		r.Metric = metricIPv6
	}
}

// checkFamily reports addresses of another family than the destination.
func (r route) checkFamily() {
	want := familyOf(r.Destination.Addr())
	for key, addr := range map[string]netip.Addr{"gateway": r.Gateway, "source": r.Source} {
		if addr.IsValid() && familyOf(addr) != want {
			r.fail(r.at(key), "%s is %s and the destination %s, expected one family", addr, familyOf(addr), want)
		}
	}
}

// checkWay reports a route that leads nowhere, or says where although packets
// go nowhere.
func (r route) checkWay() {
	if r.Type != netif.Unicast {
		for _, key := range []string{"gateway", "interface", "source", "on_link"} {
			if r.has(key) {
				r.failKey(r.at(key), "a route of type %q sends nothing, expected no %s", r.raw("type"), key)
			}
		}
		return
	}
	if !r.has("gateway") && !r.has("interface") {
		r.missing("gateway", "gateway, interface or both: where packets go")
	} else if r.OnLink && (!r.has("gateway") || !r.has("interface")) {
		r.failKey(r.at("on_link"), "says that the gateway is on the link of the interface, expected gateway and interface")
	}
	if r.Gateway.IsValid() && r.Scope >= netif.ScopeLink {
		r.fail(r.at("scope"), "%q does not reach beyond a gateway, expected \"global\" or none", r.raw("scope"))
	}
}

// checkRoutes reports routes that the kernel takes for the same one.
func checkRoutes(all []instance) {
	type identity struct {
		destination   netip.Prefix
		table, metric uint32
	}
	routes := make(seen[identity])
	for _, i := range all {
		for _, r := range i.routes {
			if r.Destination.IsValid() {
				routes.again(r.table, identity{r.Destination, r.Table, r.Metric}, r.at("destination"),
					"%s with metric %d is already a route in table %d", r.Destination, r.Metric, r.Table)
			}
		}
	}
}

// tableNumber is a routing table: its number, or "main".
func tableNumber() kind[uint32] {
	numbers := integer(1, math.MaxUint32)
	k := kind[uint32]{name: "integer", allowed: numbers.allowed + ` or "main"`, expected: numbers.expected + `, or "main"`}
	k.parse = func(raw any) (uint32, error) {
		if raw == "main" {
			return mainTable, nil
		}
		if name, ok := raw.(string); ok {
			return 0, fmt.Errorf("%q is unknown, expected %s", name, k.expected)
		}
		n, err := numbers.parse(raw)
		return uint32(n), err
	}
	return k
}
