package netif

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

func containsAll(text string, parts ...string) bool {
	for _, part := range parts {
		if !strings.Contains(text, part) {
			return false
		}
	}
	return true
}

func TestRoutes(t *testing.T) {
	conn := namespace(t)
	for _, v := range []VIP{vip("192.0.2.100/24"), vip("2001:db8::100/64")} {
		if err := conn.Add(v); err != nil {
			t.Fatal(err)
		}
	}
	source, gateway := netip.MustParseAddr("192.0.2.100"), netip.MustParseAddr("192.0.2.1")
	net4, net6 := netip.MustParsePrefix("198.51.100.0/24"), netip.MustParsePrefix("2001:db8:1::/48")
	for _, route := range []Route{
		{Destination: netip.MustParsePrefix("0.0.0.0/0"), Gateway: gateway, Table: 254},
		{Destination: net4, Interface: "left", Source: source, Scope: ScopeLink, Table: 254, Metric: 7},
		{Destination: net4, Gateway: gateway, Interface: "left", Source: source, Table: 1000},
		{Destination: net4, Gateway: netip.MustParseAddr("203.0.113.1"), Interface: "left", OnLink: true, Table: 254},
		{Destination: net4, Type: Blackhole, Table: 100},
		{Destination: net4, Type: Unreachable, Table: 100},
		{Destination: net4, Type: Prohibit, Table: 100},
		{Destination: netip.MustParsePrefix("::/0"), Gateway: netip.MustParseAddr("2001:db8::1"), Table: 254, Metric: 1024},
		{Destination: net6, Interface: "left", Source: netip.MustParseAddr("2001:db8::100"), Table: 1000, Metric: 1024},
		{Destination: net6, Type: Blackhole, Table: 254, Metric: 5},
	} {
		for range 2 { // the second time it is there already
			if err := conn.AddRoute(t.Context(), route); err != nil {
				t.Fatal(err)
			}
		}
		routes, err := conn.Routes(t.Context())
		if err != nil || len(routes) != 1 || !route.Is(routes[0]) {
			t.Errorf("after adding %+v: %+v, %v", route, routes, err)
		}
		listed := routes[0]
		for _, deleted := range []Route{route, listed} { // by either form, and when it is gone already
			if err := conn.DeleteRoute(deleted); err != nil {
				t.Fatal(err)
			}
		}
		if routes, err := conn.Routes(t.Context()); err != nil || len(routes) != 0 {
			t.Errorf("after deleting %+v: %+v, %v", route, routes, err)
		}
		if err := conn.AddRoute(t.Context(), route); err != nil {
			t.Fatal(err)
		}
		if err := conn.DeleteRoute(listed); err != nil {
			t.Fatal(err)
		}
	}
}

// TestForeignRoute: a route of somebody else is neither seen nor replaced nor
// deleted.
func TestForeignRoute(t *testing.T) {
	conn := namespace(t)
	route := Route{Destination: netip.MustParsePrefix("198.51.100.0/24"), Interface: "left", Scope: ScopeLink, Table: 254}
	foreign := route.netlink(mustIndex(t, "left"))
	foreign.Protocol = unix.RTPROT_STATIC
	if err := netlink.RouteAdd(foreign); err != nil {
		t.Fatal(err)
	}
	if routes, err := conn.Routes(t.Context()); err != nil || len(routes) != 0 {
		t.Errorf("routes %v, %v", routes, err)
	}
	if err := conn.AddRoute(t.Context(), route); err == nil || !strings.Contains(err.Error(), "not lvsd's") {
		t.Errorf("add: %v, want an error", err)
	}
	if err := conn.DeleteRoute(route); err != nil {
		t.Errorf("delete: %v", err)
	}
	all, err := netlink.RouteListFiltered(unix.AF_INET, &netlink.Route{Protocol: unix.RTPROT_STATIC}, netlink.RT_FILTER_PROTOCOL)
	if err != nil || len(all) != 1 {
		t.Errorf("the other's routes are %v, %v", all, err)
	}
}

func TestRules(t *testing.T) {
	conn := namespace(t)
	foreign := Rule{Priority: 90, Table: 100}.netlink()
	foreign.Protocol = unix.RTPROT_STATIC
	if err := netlink.RuleAdd(foreign); err != nil {
		t.Fatal(err)
	}
	for _, rule := range []Rule{
		{Priority: 100, From: netip.MustParsePrefix("192.0.2.100/32"), Table: 1000},
		{Priority: 100, To: netip.MustParsePrefix("192.0.2.0/24"), Incoming: "left", Table: 254},
		{Priority: 101, From: netip.MustParsePrefix("0.0.0.0/0"), Outgoing: "absent", Mark: 0x10, Mask: 0xff, Table: 7},
		{Priority: 102, Mark: 5, Mask: 0xffffffff, Table: 8},
		{Priority: 103, Mark: 0, Mask: 0xff, Table: 8},
		{Priority: 104, IPv6: true, From: netip.MustParsePrefix("2001:db8::/32"), Table: 1000},
		{Priority: 105, IPv6: true, Incoming: "left", Table: 9},
	} {
		for range 2 { // the second time it is there already
			if err := conn.AddRule(rule); err != nil {
				t.Fatal(err)
			}
		}
		rules, err := conn.Rules(t.Context())
		if err != nil || len(rules) != 1 || !rule.Is(rules[0]) {
			t.Errorf("after adding %+v: %+v, %v", rule, rules, err)
		}
		for range 2 { // the second time it is gone already
			if err := conn.DeleteRule(rule); err != nil {
				t.Fatal(err)
			}
		}
		if rules, err := conn.Rules(t.Context()); err != nil || len(rules) != 0 {
			t.Errorf("after deleting %+v: %+v, %v", rule, rules, err)
		}
	}
	all, err := netlink.RuleList(unix.AF_INET)
	if err != nil || !slices.ContainsFunc(all, func(r netlink.Rule) bool { return r.Priority == 90 }) {
		t.Error(fmt.Errorf("the other's rule is gone: %v, %w", all, err))
	}
}
