package netif

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Protocol marks routes (rtm_protocol) and rules (FRA_PROTOCOL) as lvsd's own:
// who made them, in the kernel's words. It is VRRP's protocol number.
const Protocol = 112

// Routes lists the routes that bear Protocol, of all tables and both families.
func (c *Conn) Routes(ctx context.Context) ([]Route, error) {
	names, err := c.names(ctx)
	if err != nil {
		return nil, err
	}
	// The kernel leaves out all others: there may be a million.
	filter := &netlink.Route{Protocol: Protocol, Table: unix.RT_TABLE_UNSPEC}
	var routes []Route
	for _, family := range []int{netlink.FAMILY_V4, netlink.FAMILY_V6} {
		all, err := retryDump(ctx, func() ([]netlink.Route, error) {
			return c.strict.RouteListFiltered(family, filter, netlink.RT_FILTER_PROTOCOL|netlink.RT_FILTER_TABLE)
		})
		if err != nil {
			return nil, fmt.Errorf("list routes: %w", err)
		}
		for _, r := range all {
			if r.Protocol == Protocol && r.Family == family {
				routes = append(routes, readRoute(r, names))
			}
		}
	}
	return routes, nil
}

func readRoute(r netlink.Route, names map[int]string) Route {
	route := Route{
		Destination: readPrefix(r.Dst),
		Type:        RouteType(r.Type),
		Gateway:     readAddr(r.Gw),
		Interface:   names[r.LinkIndex],
		Source:      readAddr(r.Src),
		Scope:       Scope(r.Scope),
		Table:       uint32(r.Table),
		Metric:      uint32(r.Priority),
		OnLink:      r.Flags&unix.RTNH_F_ONLINK != 0,
	}
	if r.Type == unix.RTN_UNICAST {
		route.Type = Unicast
	}
	if !route.Destination.IsValid() {
		route.Destination = netip.PrefixFrom(netip.IPv4Unspecified(), 0)
		if r.Family == netlink.FAMILY_V6 {
			route.Destination = netip.PrefixFrom(netip.IPv6Unspecified(), 0)
		}
	}
	return route
}

func readPrefix(n *net.IPNet) netip.Prefix {
	if n == nil {
		return netip.Prefix{}
	}
	ones, _ := n.Mask.Size()
	return netip.PrefixFrom(readAddr(n.IP), ones)
}

func readAddr(ip net.IP) netip.Addr {
	addr, _ := netip.AddrFromSlice(ip)
	return addr.Unmap()
}

// AddRoute adds the route. That it is there already is no error; that another
// one with its destination, metric and table is there is one.
func (c *Conn) AddRoute(ctx context.Context, r Route) error {
	err := c.changeRoute(r, c.handle.RouteAdd)
	if errors.Is(err, unix.EEXIST) {
		var routes []Route
		if routes, err = c.Routes(ctx); err == nil && !slices.ContainsFunc(routes, r.Is) {
			err = errors.New("there is another route to it, not lvsd's, with the same metric")
		}
	}
	if err != nil {
		return fmt.Errorf("add route %s: %w", r.Destination, err)
	}
	return nil
}

// DeleteRoute deletes the route. That it is not there is no error.
func (c *Conn) DeleteRoute(r Route) error {
	err := c.changeRoute(r, c.handle.RouteDel)
	switch {
	case err == nil, errors.Is(err, unix.ESRCH), errors.Is(err, unix.ENODEV), errors.As(err, &netlink.LinkNotFoundError{}):
		return nil
	}
	return fmt.Errorf("delete route %s: %w", r.Destination, err)
}

func (c *Conn) changeRoute(r Route, change func(*netlink.Route) error) error {
	if r.Interface == "" {
		return change(r.netlink(0))
	}
	return c.onIndex(r.Interface, func(index int) error { return change(r.netlink(index)) })
}

func (r Route) netlink(index int) *netlink.Route {
	route := &netlink.Route{
		Dst:       ipNet(r.Destination),
		Type:      int(r.Type),
		Gw:        r.Gateway.AsSlice(),
		Src:       r.Source.AsSlice(),
		LinkIndex: index,
		Scope:     netlink.Scope(r.Scope),
		Table:     int(r.Table),
		Priority:  int(r.Metric),
		Protocol:  Protocol,
	}
	if r.Type == Unicast {
		route.Type = unix.RTN_UNICAST
	}
	if r.OnLink {
		route.Flags = unix.RTNH_F_ONLINK
	}
	return route
}

// ipNet is nil for the zero prefix.
func ipNet(p netip.Prefix) *net.IPNet {
	if !p.IsValid() {
		return nil
	}
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}
