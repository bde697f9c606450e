package netif

import (
	"bytes"
	"context"
	"net"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/mdlayher/packet"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

func TestAnnounceOnTheWire(t *testing.T) {
	conn := namespace(t)
	for !linkUp(t, conn, "left") {
		runtime.Gosched()
	}
	right, err := net.InterfaceByName("right")
	if err != nil {
		t.Fatal(err)
	}
	capture, err := packet.Listen(right, packet.Raw, unix.ETH_P_ALL, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = capture.Close() }()
	if err := capture.SetReadDeadline(time.Now().Add(deadline)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("/proc/sys/net/ipv6/conf/left/forwarding", []byte("1"), 0o644); err != nil {
		t.Fatal(err)
	}
	left, err := net.InterfaceByName("left")
	if err != nil {
		t.Fatal(err)
	}
	addrs := []netip.Addr{netip.MustParseAddr("192.0.2.100"), netip.MustParseAddr("2001:db8::100")}
	var round [][]byte
	for _, addr := range addrs {
		frame, err := announcement(left.HardwareAddr, addr, true)
		if err != nil {
			t.Fatal(err)
		}
		round = append(round, frame)
	}
	const count = 3
	if err := newTestAnnouncer(t).Announce("left", addrs, count); err != nil {
		t.Fatal(err)
	}
	for i, want := range slices.Repeat(round, count) {
		if got := nextAnnounced(t, capture); !bytes.Equal(got, want) {
			t.Errorf("on the wire %x, want frame %d %x", got, i, want)
		}
	}
}

// TestAnnounceOnNewInterface: one that was made anew under its old name gets a
// socket of its own.
func TestAnnounceOnNewInterface(t *testing.T) {
	namespace(t)
	announcer := newTestAnnouncer(t)
	addrs := []netip.Addr{netip.MustParseAddr("192.0.2.100")}
	announcer.Open("absent")
	announcer.Open("left")
	if len(announcer.conns) != 1 {
		t.Errorf("open on %v, want on left", announcer.conns)
	}
	indexes := map[int]bool{}
	for range 2 {
		if err := announcer.Announce("left", addrs, 1); err != nil {
			t.Fatal(err)
		}
		link, err := netlink.LinkByName("left")
		if err != nil {
			t.Fatal(err)
		}
		indexes[announcer.conns["left"].index] = true
		if !indexes[link.Attrs().Index] {
			t.Errorf("socket on %v, left is %d", indexes, link.Attrs().Index)
		}
		if err := netlink.LinkDel(link); err != nil {
			t.Fatal(err)
		}
		if err := announcer.Announce("left", addrs, 1); err == nil {
			t.Error("no error while it is absent")
		}
		if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "left"}, PeerName: "right"}); err != nil {
			t.Fatal(err)
		}
		setUp(t, "left", true)
		setUp(t, "right", true)
	}
	if len(indexes) != 2 {
		t.Errorf("indexes %v, want two", indexes)
	}
}

func newTestAnnouncer(t testing.TB) *Announcer {
	t.Helper()
	announcer, err := NewAnnouncer()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = announcer.Close() })
	return announcer
}

// nextAnnounced skips what the kernel sends of its own.
func nextAnnounced(t *testing.T, capture *packet.Conn) []byte {
	t.Helper()
	for {
		frame := make([]byte, 256)
		n, _, err := capture.ReadFrom(frame)
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := readFrame(frame[:n]); ok {
			return frame[:n]
		}
	}
}

// TestSilentInterfaces: there is nobody to be told on loopback and without ARP.
func TestSilentInterfaces(t *testing.T) {
	namespace(t)
	setUp(t, "lo", true)
	tunnel := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "noarp"}, PeerName: "peer"}
	if err := netlink.LinkAdd(tunnel); err != nil {
		t.Fatal(err)
	}
	if err := netlink.LinkSetARPOff(tunnel); err != nil {
		t.Fatal(err)
	}
	setUp(t, "noarp", true)
	addrs := []netip.Addr{netip.MustParseAddr("192.0.2.100")}
	announcer := newTestAnnouncer(t)
	for _, name := range []string{"lo", "noarp"} {
		if link, err := announcer.links.ask(name); err != nil || !link.silent() {
			t.Errorf("%s speaks to neighbours: %+v, %v", name, link, err)
		}
		if err := announcer.Announce(name, addrs, 1); err != nil {
			t.Errorf("announce on %s: %v", name, err)
		}
		if err := announcer.Probe(name, addrs); err != nil {
			t.Errorf("probe on %s: %v", name, err)
		}
	}
}

// TestListenHearsWhoAnswers: another host, in a namespace of its own, has the
// VIPs and says nothing until it is probed.
func TestListenHearsWhoAnswers(t *testing.T) {
	conn := namespace(t)
	addrs := []netip.Addr{netip.MustParseAddr("192.0.2.100"), netip.MustParseAddr("2001:db8::100")}
	there := otherHost(t, addrs)
	for !linkUp(t, conn, "left") {
		runtime.Gosched()
	}
	// We hold them too; our own announcements are no claims.
	for _, addr := range addrs {
		if err := conn.Add(HostVIP("left", addr)); err != nil {
			t.Fatal(err)
		}
	}
	heard, ended, stop := listenHere(t, addrs)
	await := map[Claim]bool{}
	for _, addr := range addrs {
		await[Claim{"left", addr, there}] = true
	}
	timeout := time.After(deadline)
	announcer := newTestAnnouncer(t)
	for len(await) > 0 {
		if err := announcer.Announce("left", addrs, 1); err != nil {
			t.Fatal(err)
		}
		if err := announcer.Probe("left", addrs); err != nil {
			t.Fatal(err)
		}
		select {
		case claim := <-heard:
			if claim.MAC != there {
				t.Fatalf("heard %v, which is not from %v", claim, there)
			}
			delete(await, claim)
		case <-time.After(100 * time.Millisecond):
		case err := <-ended:
			t.Fatal(err)
		case <-timeout:
			t.Fatalf("not heard: %v", await)
		}
	}
	stop()
	if err := <-ended; err == nil {
		t.Error("listening ended without saying why")
	}
}

// TestListenKnowsItself: a frame with a hardware address of this host, which a
// bridge may bring back, is no claim.
func TestListenKnowsItself(t *testing.T) {
	conn := namespace(t)
	for !linkUp(t, conn, "left") {
		runtime.Gosched()
	}
	right, err := net.InterfaceByName("right")
	if err != nil {
		t.Fatal(err)
	}
	addr, stranger := netip.MustParseAddr("192.0.2.100"), MAC{2, 0, 0, 0, 0, 9}
	var frames [][]byte
	for _, sender := range []net.HardwareAddr{right.HardwareAddr, stranger[:]} {
		frame, err := announcement(sender, addr, false)
		if err != nil {
			t.Fatal(err)
		}
		frames = append(frames, frame)
	}
	heard, ended, stop := listenHere(t, []netip.Addr{addr})
	timeout := time.After(deadline)
	announcer := newTestAnnouncer(t)
	for {
		if err := announcer.sendFrames("right", right.Index, frames, 1); err != nil {
			t.Fatal(err)
		}
		select {
		case claim := <-heard:
			if claim != (Claim{"left", addr, stranger}) {
				t.Errorf("heard %v", claim)
			}
			stop()
			<-ended
			return
		case <-time.After(100 * time.Millisecond):
		case <-timeout:
			t.Fatal("not heard")
		}
	}
}

// listenHere listens on left, in the namespace of the test's thread.
func listenHere(t *testing.T, addrs []netip.Addr) (heard <-chan Claim, ended <-chan error, stop func()) {
	t.Helper()
	here, err := netns.Get()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = here.Close() })
	ctx, cancel := context.WithCancel(t.Context())
	claims, end := make(chan Claim, 64), make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		if err := netns.Set(here); err != nil {
			end <- err
			return
		}
		end <- Listen(ctx, "left", func(a netip.Addr) bool { return slices.Contains(addrs, a) }, func(c Claim) { claims <- c })
	}()
	return claims, end, cancel
}

// otherHost moves right into another namespace, where it gets the addresses,
// and returns its hardware address.
func otherHost(t *testing.T, addrs []netip.Addr) MAC {
	t.Helper()
	here, err := netns.Get()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = here.Close() }()
	there, err := netns.New() // and this thread is in it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = there.Close() })
	back := func() {
		if err := netns.Set(here); err != nil {
			t.Fatal(err)
		}
	}
	back()
	right, err := netlink.LinkByName("right")
	if err != nil {
		t.Fatal(err)
	}
	if err := netlink.LinkSetNsFd(right, int(there)); err != nil {
		t.Fatal(err)
	}
	if err := netns.Set(there); err != nil {
		t.Fatal(err)
	}
	defer back()
	setUp(t, "right", true)
	conn, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, addr := range addrs {
		if err := conn.Add(HostVIP("right", addr)); err != nil {
			t.Fatal(err)
		}
	}
	return MAC(right.Attrs().HardwareAddr)
}
