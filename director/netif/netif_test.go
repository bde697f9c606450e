package netif

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"net"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mdlayher/packet"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/lvsd/lvsd/integration/lab"
)

// deadline is generous: the machine may be many times slower for a while.
const deadline = 2 * time.Minute

// TestGratuitousARP compares with a frame that keepalived 2.2.7 sent; the rest
// up to the shortest Ethernet frame is padding.
func TestGratuitousARP(t *testing.T) {
	want, err := hex.DecodeString("ffffffffffff02000000000a0806000108000604000102000000000a0a630064ffffffffffff0a630064")
	if err != nil {
		t.Fatal(err)
	}
	got, err := gratuitousARP(net.HardwareAddr{2, 0, 0, 0, 0, 0x0a}, netip.MustParseAddr("10.99.0.100"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.HasPrefix(got, want) || len(bytes.Trim(got[len(want):], "\x00")) != 0 {
		t.Errorf("frame %x, want %x and zeros", got, want)
	}
	if _, err := gratuitousARP(nil, netip.MustParseAddr("10.99.0.100")); err == nil {
		t.Error("an interface without a hardware address has no frame")
	}
}

// namespace moves the test into a network namespace of its own with a pair of
// veth interfaces, left and right, both up.
func namespace(t *testing.T) *Conn {
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

func setUp(t *testing.T, name string, up bool) {
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

func TestAddAndDelete(t *testing.T) {
	conn := namespace(t)
	for _, vip := range []Address{
		{"left", netip.MustParseAddr("192.0.2.100")},
		{"left", netip.MustParseAddr("2001:db8::100")},
	} {
		for range 2 { // the second time it is there already
			if err := conn.Add(vip); err != nil {
				t.Fatal(err)
			}
		}
		addresses, err := conn.Addresses(t.Context())
		if err != nil || !slices.Contains(addresses, vip) {
			t.Errorf("after adding %v: %v, %v", vip, addresses, err)
		}
		for range 2 { // the second time it is gone already
			if err := conn.Delete(vip); err != nil {
				t.Fatal(err)
			}
		}
		addresses, err = conn.Addresses(t.Context())
		if err != nil || slices.Contains(addresses, vip) {
			t.Errorf("after deleting %v: %v, %v", vip, addresses, err)
		}
	}
}

func TestAddSetsNoDADAndHostPrefix(t *testing.T) {
	conn := namespace(t)
	if err := conn.Add(Address{"left", netip.MustParseAddr("2001:db8::100")}); err != nil {
		t.Fatal(err)
	}
	all, err := netlink.AddrList(nil, unix.AF_INET6)
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(all, func(a netlink.Addr) bool { return a.IP.String() == "2001:db8::100" })
	if i < 0 {
		t.Fatalf("not there: %v", all)
	}
	if ones, _ := all[i].Mask.Size(); ones != 128 || all[i].Flags&unix.IFA_F_TENTATIVE != 0 {
		t.Errorf("prefix /%d, flags %x", ones, all[i].Flags)
	}
}

func TestAbsentInterface(t *testing.T) {
	conn := namespace(t)
	absent := Address{"absent", netip.MustParseAddr("192.0.2.100")}
	if err := conn.Add(absent); err == nil || !strings.Contains(err.Error(), "absent") {
		t.Errorf("add: %v, want an error that names the interface", err)
	}
	if err := conn.Delete(absent); err != nil {
		t.Errorf("delete: %v", err)
	}
	if _, err := conn.Up("absent"); err == nil {
		t.Error("up: no error")
	}
	if err := Announce(absent, 1); err == nil {
		t.Error("announce: no error")
	}
}

func TestWatchTellsOfLinksAndAddresses(t *testing.T) {
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
	vip := Address{"left", netip.MustParseAddr("192.0.2.100")}
	for len(changed) > 0 {
		<-changed
	}
	if err := conn.Add(vip); err != nil {
		t.Fatal(err)
	}
	select {
	case <-changed:
	case <-time.After(deadline):
		t.Fatal("no event: address added")
	}
	cancel()
	if err := <-ended; err == nil {
		t.Error("watch ended without saying why")
	}
}

func watchIn(ctx context.Context, conn *Conn, changed chan<- struct{}) error {
	return conn.Watch(ctx, func() {
		select {
		case changed <- struct{}{}:
		default:
		}
	})
}

func TestAnnounceOnTheWire(t *testing.T) {
	conn := namespace(t)
	for !linkUp(t, conn, "left") {
		runtime.Gosched()
	}
	right, err := net.InterfaceByName("right")
	if err != nil {
		t.Fatal(err)
	}
	capture, err := packet.Listen(right, packet.Raw, unix.ETH_P_ARP, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = capture.Close() }()
	if err := capture.SetReadDeadline(time.Now().Add(deadline)); err != nil {
		t.Fatal(err)
	}
	vip := Address{"left", netip.MustParseAddr("192.0.2.100")}
	const count = 3
	if err := Announce(vip, count); err != nil {
		t.Fatal(err)
	}
	left, err := net.InterfaceByName("left")
	if err != nil {
		t.Fatal(err)
	}
	want, err := gratuitousARP(left.HardwareAddr, vip.Addr)
	if err != nil {
		t.Fatal(err)
	}
	for range count {
		frame := make([]byte, 128)
		n, _, err := capture.ReadFrom(frame)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(frame[:n], want) {
			t.Errorf("on the wire %x, want %x", frame[:n], want)
		}
	}
}

func linkUp(t *testing.T, conn *Conn, name string) bool {
	t.Helper()
	up, err := conn.Up(name)
	if err != nil {
		t.Fatal(err)
	}
	return up
}
