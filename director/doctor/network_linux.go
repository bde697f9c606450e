package doctor

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/lvsd/lvsd/director/netif"
)

// network reads interfaces, addresses and the routes to clients and real servers.
func (g *gathering) network() {
	handle, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		g.unchecked("network", fmt.Errorf("rtnetlink: %w", err))
		return
	}
	defer handle.Close()
	names := g.links(handle)
	g.addresses()
	g.facts.Routes = map[netip.Addr]Route{}
	for _, family := range []netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()} {
		route, err := defaultRoute(handle, family, names)
		if err != nil {
			g.unchecked("default route of "+familyName(family), err)
			continue
		}
		g.facts.Routes[family] = route
	}
	for _, t := range targets(g.config) {
		addr := t.address.Addr()
		if _, known := g.facts.Routes[addr]; known {
			continue
		}
		route, err := g.routeTo(handle, addr, names)
		if err != nil {
			g.unchecked(fmt.Sprintf("route to %s", addr), err)
			continue
		}
		g.facts.Routes[addr] = route
	}
}

// links reads the interfaces, and returns their names by index.
func (g *gathering) links(handle *netlink.Handle) map[int]string {
	links, err := handle.LinkList()
	if err != nil {
		g.unchecked("interfaces", err)
		return nil
	}
	names := map[int]string{}
	g.facts.Links = map[string]Link{}
	for _, link := range links {
		a := link.Attrs()
		names[a.Index] = a.Name
		g.facts.Links[a.Name] = Link{
			MTU: a.MTU, Up: a.RawFlags&unix.IFF_UP != 0,
			Silent: a.RawFlags&(unix.IFF_NOARP|unix.IFF_LOOPBACK) != 0,
			LRO:    mergesReceived(a.Name),
		}
	}
	return names
}

func (g *gathering) addresses() {
	conn, err := netif.Open()
	if err != nil {
		g.unchecked("addresses", err)
		return
	}
	defer conn.Close()
	vips, err := conn.Addresses(context.Background())
	if err != nil {
		g.unchecked("addresses", err)
		return
	}
	for _, vip := range vips {
		g.facts.Addresses = append(g.facts.Addresses, vip.Address)
	}
}

// defaultRoute is the best one of the main table. Policy routing may send some
// packets elsewhere.
func defaultRoute(handle *netlink.Handle, family netip.Addr, names map[int]string) (Route, error) {
	number := netlink.FAMILY_V4
	if family.Is6() {
		number = netlink.FAMILY_V6
	}
	routes, err := handle.RouteListFiltered(number, &netlink.Route{Table: unix.RT_TABLE_MAIN}, netlink.RT_FILTER_TABLE)
	if err != nil {
		return Route{}, err
	}
	best := -1
	for i, route := range routes {
		if route.Dst != nil {
			if ones, _ := route.Dst.Mask.Size(); ones > 0 {
				continue
			}
		}
		if route.Type == unix.RTN_UNICAST && (best < 0 || route.Priority < routes[best].Priority) {
			best = i
		}
	}
	if best < 0 {
		return Route{Missing: true}, nil
	}
	return routeOf(routes[best], names), nil
}

func (g *gathering) routeTo(handle *netlink.Handle, addr netip.Addr, names map[int]string) (Route, error) {
	routes, err := handle.RouteGet(addr.AsSlice())
	switch {
	case errors.Is(err, unix.ENETUNREACH) || errors.Is(err, unix.EHOSTUNREACH) || err == nil && len(routes) == 0:
		return Route{Missing: true}, nil
	case err != nil:
		return Route{}, err
	}
	route := routeOf(routes[0], names)
	if route.MTU == 0 {
		route.MTU = g.facts.Links[route.Interface].MTU
	}
	return route, nil
}

func routeOf(r netlink.Route, names map[int]string) Route {
	route := Route{Local: r.Type == unix.RTN_LOCAL, MTU: r.MTU, Interface: names[r.LinkIndex]}
	gateway := r.Gw
	if len(r.MultiPath) > 0 {
		gateway, route.Interface = r.MultiPath[0].Gw, names[r.MultiPath[0].LinkIndex]
	}
	if addr, ok := netip.AddrFromSlice(gateway); ok {
		route.Gateway = addr.Unmap()
	}
	return route
}
