package netif

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/lvsd/lvsd/integration/lab"
)

// deadline is generous: the machine may be many times slower for a while.
const deadline = 2 * time.Minute

// namespace moves the test into a network namespace of its own with a pair of
// veth interfaces, left and right, both up.
func namespace(t testing.TB) *Conn {
	t.Helper()
	if os.Geteuid() != 0 {
		lab.Missing(t, lab.NeedNetns, errors.New("not root"))
	}
	runtime.LockOSThread() // never unlocked: the thread ends with the test
	ns, err := netns.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ns.Close() })
	if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "left"}, PeerName: "right"}); err != nil {
		t.Fatal(err)
	}
	setUp(t, "left", true)
	setUp(t, "right", true)
	conn, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	return conn
}

func setUp(t testing.TB, name string, up bool) {
	t.Helper()
	link, err := netlink.LinkByName(name)
	if err != nil {
		t.Fatal(err)
	}
	set := netlink.LinkSetDown
	if up {
		set = netlink.LinkSetUp
	}
	if err := set(link); err != nil {
		t.Fatal(err)
	}
}

func TestAbsentInterface(t *testing.T) {
	conn := namespace(t)
	absent := HostVIP("absent", netip.MustParseAddr("192.0.2.100"))
	if err := conn.Add(absent); err == nil || !strings.Contains(err.Error(), "absent") {
		t.Errorf("add: %v, want an error that names the interface", err)
	}
	if err := conn.Delete(absent.Address); err != nil {
		t.Errorf("delete: %v", err)
	}
	if err := newTestAnnouncer(t).Probe("absent", []netip.Addr{absent.Addr}); err == nil {
		t.Error("probe: no error")
	}
	if err := Listen(t.Context(), "absent", nil, nil); err == nil {
		t.Error("listen: no error")
	}
	route := Route{Destination: netip.MustParsePrefix("198.51.100.0/24"), Interface: "absent", Table: 254, Scope: ScopeLink}
	if err := conn.AddRoute(t.Context(), route); err == nil || !strings.Contains(err.Error(), "absent") {
		t.Errorf("add route: %v, want an error that names the interface", err)
	}
	if err := conn.DeleteRoute(route); err != nil {
		t.Errorf("delete route: %v", err)
	}
	if _, err := conn.Up("absent"); err == nil {
		t.Error("up: no error")
	}
	if err := newTestAnnouncer(t).Announce("absent", []netip.Addr{absent.Addr}, 1); err == nil {
		t.Error("announce: no error")
	}
}

func TestWatchTellsOfLinksAddressesRoutesAndRules(t *testing.T) {
	conn := namespace(t)
	changed := make(chan struct{}, 1)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	// Subscriptions belong to the namespace of the thread that makes them.
	here, err := netns.Get()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = here.Close() }()
	go func() {
		runtime.LockOSThread()
		if err := netns.Set(here); err != nil {
			ended <- err
			return
		}
		ended <- watchIn(ctx, conn, changed)
	}()
	<-changed // at the start
	await := func(what string, done func() bool) {
		t.Helper()
		timeout := time.After(deadline)
		for !done() {
			select {
			case <-changed:
			case <-timeout:
				t.Fatalf("no event: %s", what)
			}
		}
	}
	up := func() bool {
		is, err := conn.Up("left")
		if err != nil {
			t.Fatal(err)
		}
		return is
	}
	await("left is up", up)
	setUp(t, "right", false) // left loses its carrier
	await("left is down", func() bool { return !up() })
	setUp(t, "right", true)
	await("left is up again", up)
	vip := HostVIP("left", netip.MustParseAddr("192.0.2.100"))
	// IPv6 would have events of its own.
	for _, name := range []string{"left", "right"} {
		if err := os.WriteFile("/proc/sys/net/ipv6/conf/"+name+"/disable_ipv6", []byte("1"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	route := Route{Destination: netip.MustParsePrefix("198.51.100.0/24"), Interface: "left", Table: 254, Scope: ScopeLink}
	rule := Rule{Priority: 100, From: netip.MustParsePrefix("192.0.2.0/24"), Table: 100}
	for _, change := range []struct {
		what string
		do   func() error
	}{
		{"address added", func() error { return conn.Add(vip) }},
		{"route added", func() error { return conn.AddRoute(t.Context(), route) }},
		{"route deleted", func() error { return conn.DeleteRoute(route) }},
		{"rule added", func() error { return conn.AddRule(rule) }},
		{"rule deleted", func() error { return conn.DeleteRule(rule) }},
	} {
		settle(changed)
		if err := change.do(); err != nil {
			t.Fatal(err)
		}
		select {
		case <-changed:
		case <-time.After(deadline):
			t.Fatalf("no event: %s", change.what)
		}
	}
	settle(changed)
	foreign := route.netlink(0)
	foreign.LinkIndex, foreign.Protocol = mustIndex(t, "left"), unix.RTPROT_BGP
	if err := errors.Join(netlink.RouteAdd(foreign), netlink.RouteDel(foreign)); err != nil {
		t.Fatal(err)
	}
	select {
	case <-changed:
		t.Error("a route of another protocol is an event")
	case <-time.After(50 * time.Millisecond):
	}
	cancel()
	if err := <-ended; err == nil {
		t.Error("watch ended without saying why")
	}
}

// settle waits until no event has come for a while, and forgets those that did.
func settle(changed <-chan struct{}) {
	for {
		select {
		case <-changed:
		case <-time.After(50 * time.Millisecond):
			return
		}
	}
}

func mustIndex(t *testing.T, name string) int {
	t.Helper()
	link, err := netlink.LinkByName(name)
	if err != nil {
		t.Fatal(err)
	}
	return link.Attrs().Index
}

func watchIn(ctx context.Context, conn *Conn, changed chan<- struct{}) error {
	return conn.Watch(ctx, func() {
		select {
		case changed <- struct{}{}:
		default:
		}
	})
}

func linkUp(t *testing.T, conn *Conn, name string) bool {
	t.Helper()
	up, err := conn.Up(name)
	if err != nil {
		t.Fatal(err)
	}
	return up
}
