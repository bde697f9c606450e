package probe

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/lvsd/lvsd/healthcheck/servertest"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/lvsd/lvsd/integration/lab"
)

// twoPaths puts the test into a network namespace with two ways to another one,
// "left" and "right", where every address of 198.51.100.0/24 and 2001:db8:f::/64
// is: left has the default routes, right those of packets with mark 7. It calls
// there on the other side. Goroutines of the test that open sockets must have
// been started there.
func twoPaths(t *testing.T, there func()) {
	t.Helper()
	runtime.LockOSThread() // never unlocked: the thread ends with the test
	home, err := netns.Get()
	if err != nil {
		lab.Missing(t, lab.NeedNetns, err)
	}
	far, err := netns.New()
	if err != nil {
		lab.Missing(t, lab.NeedNetns, err)
	}
	near, err := netns.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, ns := range []netns.NsHandle{home, far, near} {
			ns.Close()
		}
	})
	for i, name := range []string{"left", "right"} {
		must(t, netlink.LinkAdd(&netlink.Veth{
			LinkAttrs: netlink.LinkAttrs{Name: name},
			PeerName:  name, PeerNamespace: netlink.NsFd(far),
		}))
		address(t, name, fmt.Sprintf("10.0.%d.1/24", i), fmt.Sprintf("2001:db8:%d::1/64", i))
	}
	address(t, "lo", "127.0.0.1/8", "::1/128")
	must(t, netns.Set(far))
	for i, name := range []string{"left", "right"} {
		address(t, name, fmt.Sprintf("10.0.%d.2/24", i), fmt.Sprintf("2001:db8:%d::2/64", i))
	}
	address(t, "lo", "198.51.100.1/24", "2001:db8:f::1/128", "2001:db8:f::2/128")
	there()
	must(t, netns.Set(near))
	for i, name := range []string{"left", "right"} {
		link, err := netlink.LinkByName(name)
		must(t, err)
		for _, way := range []string{fmt.Sprintf("198.51.100.0/24 10.0.%d.2", i), fmt.Sprintf("2001:db8:f::/64 2001:db8:%d::2", i)} {
			to, via, _ := strings.Cut(way, " ")
			_, prefix, err := net.ParseCIDR(to)
			must(t, err)
			must(t, netlink.RouteAdd(&netlink.Route{LinkIndex: link.Attrs().Index, Dst: prefix, Gw: net.ParseIP(via), Table: table(i), Priority: 100}))
			if i == 1 { // for who is bound to the interface
				must(t, netlink.RouteAdd(&netlink.Route{LinkIndex: link.Attrs().Index, Dst: prefix, Gw: net.ParseIP(via), Priority: 200}))
			}
		}
	}
	for _, family := range []int{netlink.FAMILY_V4, netlink.FAMILY_V6} {
		rule := netlink.NewRule()
		rule.Family, rule.Mark, rule.Table, rule.Priority = family, 7, table(1), 100
		must(t, netlink.RuleAdd(rule))
	}
}

func table(way int) int { return []int{unix.RT_TABLE_MAIN, 100}[way] }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// address puts addresses on a link and sets it up.
func address(t *testing.T, name string, prefixes ...string) {
	t.Helper()
	link, err := netlink.LinkByName(name)
	must(t, err)
	must(t, netlink.LinkSetUp(link))
	for _, prefix := range prefixes {
		a, err := netlink.ParseAddr(prefix)
		must(t, err)
		a.Flags = unix.IFA_F_NODAD
		if err := netlink.AddrAdd(link, a); err != nil && err != unix.EEXIST {
			t.Fatal(err)
		}
	}
}

// sees starts servers, over TCP and UDP on one port, that report the source of
// each probe.
func sees(t *testing.T, where netip.Addr) (netip.AddrPort, <-chan netip.AddrPort) {
	t.Helper()
	from := make(chan netip.AddrPort, 10)
	listener, err := net.Listen("tcp", netip.AddrPortFrom(where, 0).String())
	must(t, err)
	target := netip.AddrPortFrom(where, servertest.AddrPort(listener.Addr()).Port())
	packets, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(target))
	must(t, err)
	t.Cleanup(func() {
		listener.Close()
		packets.Close()
	})
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			from <- servertest.AddrPort(conn.RemoteAddr())
			conn.Close()
		}
	}()
	go func() {
		for {
			_, client, err := packets.ReadFromUDPAddrPort(make([]byte, 16))
			if err != nil {
				return
			}
			from <- client
			_, _ = packets.WriteToUDPAddrPort([]byte("here"), client)
		}
	}()
	return target, from
}

// Each part of a route is seen from the other side: the kernel takes the source
// address of the interface that the packets leave through.
func TestRoute(t *testing.T) {
	var target, target6 netip.AddrPort
	var from, from6 <-chan netip.AddrPort
	twoPaths(t, func() {
		target, from = sees(t, netip.MustParseAddr("198.51.100.1"))
		target6, from6 = sees(t, netip.MustParseAddr("2001:db8:f::1"))
	})
	for name, test := range map[string]struct {
		v4, v6 Route
		port   uint16
		way    int
		said   string
	}{
		"none":      {way: 0},
		"mark":      {v4: Route{Mark: 7}, v6: Route{Mark: 7}, way: 1, said: "* connected with mark 7\n"},
		"interface": {v4: Route{Interface: "right"}, v6: Route{Interface: "right"}, way: 1, said: "* connected through right\n"},
		"source": {
			v4: Route{Source: netip.MustParseAddrPort("10.0.1.1:0")}, v6: Route{Source: netip.MustParseAddrPort("[2001:db8:1::1]:0")}, way: 1,
		},
		"source port": {
			v4: Route{Source: netip.AddrPortFrom(netip.Addr{}, 1023)}, v6: Route{Source: netip.AddrPortFrom(netip.Addr{}, 1023)},
			port: 1023, way: 0, said: "* connected from port 1023\n",
		},
		"all": {
			v4:   Route{Source: netip.MustParseAddrPort("10.0.1.1:1022"), Interface: "right", Mark: 7},
			v6:   Route{Source: netip.MustParseAddrPort("[2001:db8:1::1]:1022"), Interface: "right", Mark: 7},
			port: 1022, way: 1,
		},
	} {
		for _, kind := range []Kind{TCP{}, UDP{Payload: "x", Required: true}} {
			for _, v := range []struct {
				route  Route
				target netip.AddrPort
				from   <-chan netip.AddrPort
				want   string
			}{{test.v4, target, from, "10.0.%d.1"}, {test.v6, target6, from6, "2001:db8:%d::1"}} {
				what := fmt.Sprint(name, " ", kind.Type(), " ", v.target)
				request := of(kind, v.target)
				request.Route = v.route
				must(t, request.Validate())
				for range 3 { // a fixed port is free again at once
					r := request.Ask(t.Context())
					if !r.OK || !strings.HasPrefix(r.Transcript, test.said) {
						t.Errorf("%s: %s %s, said %q", what, r.Code, r.Reason, r.Transcript)
						continue
					}
					got := <-v.from
					if want := netip.MustParseAddr(fmt.Sprintf(v.want, test.way)); got.Addr() != want || test.port != 0 && got.Port() != test.port {
						t.Errorf("%s: seen from %v, want %s port %d", what, got, want, test.port)
					}
				}
			}
		}
		for _, v := range []struct {
			route Route
			to    string
		}{{test.v4, "198.51.100.1"}, {test.v6, "2001:db8:f::1"}} {
			request := of(Ping{Size: 56}, netip.AddrPortFrom(netip.MustParseAddr(v.to), 0))
			request.Route = v.route
			expectResult(t, request.Ask(t.Context()), L4OK, "echo reply")
		}
	}
}

// What this host cannot do is not the server's fault, and is told in words.
func TestRouteThatIsNot(t *testing.T) {
	twoPaths(t, func() {})
	target := netip.MustParseAddrPort("198.51.100.1:25")
	for _, test := range []struct {
		route  Route
		reason string
	}{
		{Route{Interface: "middle"}, "interface middle: no such device"},
		{Route{Source: netip.MustParseAddrPort("192.0.2.1:0")}, "source 192.0.2.1: not an address of this host"},
		{Route{Source: netip.MustParseAddrPort("192.0.2.1:99")}, "source 192.0.2.1:"},
	} {
		for _, kind := range []Kind{TCP{}, UDP{Payload: "x"}, Ping{}} {
			request := of(kind, target)
			request.Route = test.route
			expectResult(t, request.Ask(t.Context()), SOCKERR, test.reason)
		}
	}
	request := of(TCP{}, netip.MustParseAddrPort("[fe80::1%middle]:25"))
	expectResult(t, request.Ask(t.Context()), SOCKERR, "zone middle: no such interface")
}

// A link-local target is reached by its zone, or by the interface alone; so is
// one from a link-local source.
func TestRouteToLinkLocal(t *testing.T) {
	var target netip.AddrPort
	var from <-chan netip.AddrPort
	twoPaths(t, func() {
		address(t, "right", "fe80::2/64")
		target, from = sees(t, netip.MustParseAddr("fe80::2%right"))
	})
	address(t, "right", "fe80::1/64")
	source := netip.MustParseAddrPort("[fe80::1]:0")
	for _, test := range []struct {
		to    netip.Addr
		route Route
	}{
		{target.Addr(), Route{}},
		{target.Addr(), Route{Source: source}},
		{target.Addr().WithZone(""), Route{Interface: "right"}},
		{target.Addr().WithZone(""), Route{Interface: "right", Source: source}},
	} {
		for _, kind := range []Kind{TCP{}, UDP{Payload: "x", Required: true}, Ping{}} {
			request := of(kind, netip.AddrPortFrom(test.to, target.Port()))
			request.Route = test.route
			must(t, request.Validate())
			if r := request.Ask(t.Context()); !r.OK {
				t.Errorf("%v %v %+v: %s %s", kind.Type(), test.to, test.route, r.Code, r.Reason)
				continue
			}
			if _, ping := kind.(Ping); !ping {
				if got := <-from; test.route.Source.IsValid() && got.Addr().WithZone("") != source.Addr() {
					t.Errorf("seen from %v, want %v", got, source)
				}
			}
		}
	}
}

// Without privileges, what needs them says which.
func TestRouteWithoutPrivilege(t *testing.T) {
	if os.Geteuid() != 0 {
		lab.Missing(t, lab.NeedNetns, fmt.Errorf("not root, which can give privileges up"))
	}
	runtime.LockOSThread() // never unlocked: the thread has lost its privileges
	must(t, giveUp())
	target := servertest.Refusing(t)
	for _, test := range []struct {
		route  Route
		reason string
	}{
		{Route{Mark: 7}, "mark 7: operation not permitted, lvsd lacks CAP_NET_ADMIN"},
		{Route{Source: netip.AddrPortFrom(netip.Addr{}, 99)}, "source 0.0.0.0:99: permission denied, lvsd lacks CAP_NET_BIND_SERVICE"},
	} {
		request := of(TCP{}, target)
		request.Route = test.route
		expectResult(t, request.Ask(t.Context()), SOCKERR, test.reason)
	}
}

// giveUp drops the thread's effective capabilities.
func giveUp() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return err
	}
	data[0].Effective, data[1].Effective = 0, 0
	return unix.Capset(&header, &data[0])
}

func TestRouteValidate(t *testing.T) {
	at := netip.MustParseAddr
	for _, test := range []struct {
		route Route
		to    netip.Addr
		want  string
	}{
		{Route{}, at("192.0.2.1"), ""},
		{Route{Source: netip.MustParseAddrPort("192.0.2.9:0")}, at("::ffff:192.0.2.1"), ""},
		{Route{Source: netip.MustParseAddrPort("192.0.2.9:0")}, at("2001:db8::1"), "source 192.0.2.9 is IPv4, the target 2001:db8::1 is IPv6"},
		{Route{Source: netip.MustParseAddrPort("[2001:db8::9]:0")}, at("192.0.2.1"), "source 2001:db8::9 is IPv6, the target 192.0.2.1 is IPv4"},
		{Route{Source: netip.MustParseAddrPort("224.0.0.1:0")}, at("192.0.2.1"), "source 224.0.0.1 is a multicast address"},
		{Route{Source: netip.AddrPortFrom(netip.Addr{}, 20)}, at("192.0.2.1"), ""},
		{Route{Interface: strings.Repeat("x", 16)}, at("192.0.2.1"), "longer than 15 bytes"},
		{Route{}, at("fe80::1"), "link-local target fe80::1 needs an interface, or a zone as in fe80::1%eth0"},
		{Route{}, at("fe80::1%eth0"), ""},
		{Route{Interface: "eth0"}, at("fe80::1"), ""},
		{Route{Interface: "eth1"}, at("fe80::1%eth0"), "target fe80::1%eth0 is not on interface eth1"},
	} {
		r := Request{Kind: TCP{}, Target: netip.AddrPortFrom(test.to, 25), Route: test.route, Timeout: time.Second}
		err := r.Validate()
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%+v to %v: error %v, want %q", test.route, test.to, err, test.want)
		}
	}
}
