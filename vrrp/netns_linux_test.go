package vrrp_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mdlayher/packet"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	testlab "github.com/lvsd/lvsd/integration/lab"
	"github.com/lvsd/lvsd/vrrp"
)

// The machine may be slow for minutes; nothing here is measured.
const patience = 3 * time.Minute

// lab is two hosts joined by a cable: namespaces with an eth0 each, 10.99.0.1
// and 10.99.0.2.
type lab struct {
	t     *testing.T
	hosts [2]netns.NsHandle
	links [2]*netlink.Handle
}

func newLab(t *testing.T) *lab {
	t.Helper()
	l := &lab{t: t}
	err := on(netns.None(), func() (err error) {
		for i := range l.hosts {
			if l.hosts[i], err = netns.New(); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		testlab.Missing(t, testlab.NeedNetns, err)
	}
	t.Cleanup(func() {
		for i := range l.hosts {
			l.links[i].Close()
			l.hosts[i].Close()
		}
	})
	for i := range l.hosts {
		l.links[i], err = netlink.NewHandleAt(l.hosts[i])
		l.check(err)
	}
	veth := &netlink.Veth{
		LinkAttrs: netlink.LinkAttrs{Name: "eth0", Namespace: netlink.NsFd(l.hosts[0])},
		PeerName:  "eth0", PeerNamespace: netlink.NsFd(l.hosts[1]),
	}
	l.check(l.links[0].LinkAdd(veth))
	for i := range l.hosts {
		// The first address is a VIP, as a crash may leave it.
		l.addAddr(i, "10.99.0.100/32")
		l.addAddr(i, fmt.Sprintf("10.99.0.%d/24", i+1))
		l.up(i)
	}
	return l
}

// on runs f on a thread of its own, in a namespace, and throws the thread away.
func on(ns netns.NsHandle, f func() error) (err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		if ns.IsOpen() {
			if err = netns.Set(ns); err != nil {
				return
			}
		}
		err = f()
	}()
	<-done
	return err
}

func (l *lab) check(err error) {
	l.t.Helper()
	if err != nil {
		l.t.Fatal(err)
	}
}

func (l *lab) eth0(host int) netlink.Link {
	l.t.Helper()
	link, err := l.links[host].LinkByName("eth0")
	l.check(err)
	return link
}

func (l *lab) addAddr(host int, cidr string) {
	l.t.Helper()
	a, err := netlink.ParseAddr(cidr)
	l.check(err)
	l.check(l.links[host].AddrAdd(l.eth0(host), a))
}

func (l *lab) up(host int)   { l.t.Helper(); l.check(l.links[host].LinkSetUp(l.eth0(host))) }
func (l *lab) down(host int) { l.t.Helper(); l.check(l.links[host].LinkSetDown(l.eth0(host))) }

// run runs a Router on a host until stop is called, or the test ends.
func (l *lab) run(host int, c vrrp.Config) (r *vrrp.Router, stop func()) {
	l.t.Helper()
	r, err := vrrp.NewRouter(vrrp.RouterConfig{Config: c, Interface: "eth0"})
	l.check(err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- on(l.hosts[host], func() error { return r.Run(ctx) }) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			l.t.Errorf("Run: %v", err)
		}
	})
	l.t.Cleanup(stop)
	return r, stop
}

// until waits for a condition.
func until(t *testing.T, what string, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); !cond(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("waited %v for %s", patience, what)
		}
	}
}

func is(r *vrrp.Router, role vrrp.Role) func() bool {
	return func() bool { return r.Status().Role == role }
}

// capture collects the IPv4 packets of protocol 112 that reach a host's eth0.
type capture struct {
	mu      sync.Mutex
	packets [][]byte // with IP header
	targets []net.HardwareAddr
}

func (l *lab) capture(host int) *capture {
	l.t.Helper()
	var conn *packet.Conn
	l.check(on(l.hosts[host], func() error {
		ifi, err := net.InterfaceByName("eth0")
		if err == nil {
			conn, err = packet.Listen(ifi, packet.Raw, 0x0800, nil)
		}
		return err
	}))
	c := &capture{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for b := make([]byte, 2048); ; {
			n, _, err := conn.ReadFrom(b)
			if err != nil {
				return
			}
			if n >= 34 && b[14+9] == vrrp.Protocol {
				c.mu.Lock()
				c.targets = append(c.targets, slices.Clone(b[:6]))
				c.packets = append(c.packets, slices.Clone(b[14:n]))
				c.mu.Unlock()
			}
		}
	}()
	l.t.Cleanup(func() {
		conn.Close()
		<-done
	})
	return c
}

// find is the first captured packet whose VRRP message is this one.
func (c *capture) find(message []byte) (ip []byte, target net.HardwareAddr) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, p := range c.packets {
		if bytes.Equal(p[20:], message) {
			return p, c.targets[i]
		}
	}
	return nil, nil
}

// The bytes on the wire are those keepalived sends with the same configuration
// (testdata/adverts.txt), in the same IP header, and two Routers elect the
// better.
func TestWire(t *testing.T) {
	group := net.HardwareAddr{0x01, 0x00, 0x5e, 0x00, 0x00, 0x12}
	vips := func(last ...byte) (all []netip.Addr) {
		for _, b := range last {
			all = append(all, netip.AddrFrom4([4]byte{10, 99, 0, b}))
		}
		return all
	}
	for _, tt := range []struct {
		name         string
		config       vrrp.Config
		unicast      bool
		regular, bye string
	}{
		{
			name:    "v2 plain",
			config:  vrrp.Config{Version: vrrp.V2, VRID: 51, Interval: time.Second, VIPs: vips(100)},
			regular: "2133960100013e030a6300640000000000000000",
			bye:     "213300010001d4030a6300640000000000000000",
		},
		{
			name:    "v2 password",
			config:  vrrp.Config{Version: vrrp.V2, VRID: 52, Interval: time.Second, VIPs: vips(100, 101, 102), Password: "s3cr3tpw"},
			regular: "213496030101acdd0a6300640a6300650a6300667333637233747077",
			bye:     "21340003010142de0a6300640a6300650a6300667333637233747077",
		},
		{
			name:    "v3",
			config:  vrrp.Config{Version: vrrp.V3, VRID: 62, Interval: 250 * time.Millisecond, VIPs: vips(100, 101, 102)},
			regular: "313e960300192d520a6300640a6300650a630066",
			bye:     "313e00030019c3520a6300640a6300650a630066",
		},
		{
			name:    "v3 unicast",
			config:  vrrp.Config{Version: vrrp.V3, VRID: 82, Interval: time.Second, VIPs: vips(100, 101)},
			unicast: true,
			regular: "3152960200640d6f0a6300640a630065",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := newLab(t)
			wire := l.capture(1)
			to := vrrp.Group
			configs := [2]vrrp.Config{tt.config, tt.config}
			configs[0].Priority, configs[1].Priority = 150, 100
			if tt.unicast {
				configs[0].Peers, configs[1].Peers = vips(2), vips(1)
				to = vips(2)[0]
			}
			a, stopA := l.run(0, configs[0])
			until(t, "a master", is(a, vrrp.Master))
			b, _ := l.run(1, configs[1]) // not before: it would stay what it becomes while the first is held up
			until(t, "the backup to know it", func() bool {
				s := b.Status()
				return s.Role == vrrp.Backup && s.Master == vips(1)[0] && s.MasterPriority == 150
			})
			checkPacket(t, wire, tt.regular, to, group)

			stopA()
			until(t, "the backup to take over", is(b, vrrp.Master))
			if tt.bye != "" {
				checkPacket(t, wire, tt.bye, to, group)
			}
			if s := b.Status(); s.ZeroReceived != 1 || len(s.Discarded) != 0 || s.SendErrors != 0 {
				t.Errorf("new master: %+v", s)
			}
		})
	}
}

func checkPacket(t *testing.T, wire *capture, message string, to netip.Addr, group net.HardwareAddr) {
	t.Helper()
	m, err := hex.DecodeString(message)
	if err != nil {
		t.Fatal(err)
	}
	var ip []byte
	var target net.HardwareAddr
	until(t, "the packet "+message, func() bool {
		ip, target = wire.find(m)
		return ip != nil
	})
	if to == vrrp.Group && !bytes.Equal(target, group) {
		t.Errorf("sent to %v", target)
	}
	want := []byte{0x45, 0xc0, 0, byte(20 + len(m)), 0, 0, 0, 0, 255, 112, 0, 0, 10, 99, 0, 1}
	want = append(want, to.AsSlice()...)
	header := slices.Clone(ip[:20])
	if sum(header) != 0xffff {
		t.Errorf("IP header checksum: %x", header)
	}
	copy(header[4:6], []byte{0, 0})   // identification
	copy(header[10:12], []byte{0, 0}) // checksum
	if !bytes.Equal(header, want) {
		t.Errorf("IP header\n%x, want\n%x", header, want)
	}
}

func sum(b []byte) uint16 {
	var s uint32
	for ; len(b) >= 2; b = b[2:] {
		s += uint32(binary.BigEndian.Uint16(b))
	}
	for s > 0xffff {
		s = s>>16 + s&0xffff
	}
	return uint16(s)
}

// Crash, cable, interface gone and back under the same name: on real sockets.
func TestRealInterface(t *testing.T) {
	l := newLab(t)
	c := vrrp.Config{
		Version: vrrp.V3, VRID: 7, Interval: 50 * time.Millisecond, Preempt: true,
		VIPs: []netip.Addr{netip.MustParseAddr("10.99.0.100")},
	}
	high, low := c, c
	high.Priority, low.Priority = 150, 100
	a, _ := l.run(0, high)
	b, _ := l.run(1, low)
	until(t, "a to be master", is(a, vrrp.Master))
	until(t, "b to hear it", func() bool { return b.Status().Master == netip.MustParseAddr("10.99.0.1") })
	if s := a.Status(); s.Source != netip.MustParseAddr("10.99.0.1") {
		t.Errorf("source %v, the first address is a VIP", s.Source)
	}

	l.down(0) // takes b's carrier with it
	until(t, "fault on both ends of a dead cable", func() bool { return is(a, vrrp.Fault)() && is(b, vrrp.Fault)() })
	l.up(0)
	until(t, "a to be master again", is(a, vrrp.Master))
	until(t, "b to be backup", func() bool { return is(b, vrrp.Backup)() && b.Status().MasterPriority == 150 })

	l.check(l.links[0].LinkDel(l.eth0(0)))
	until(t, "fault without interface", func() bool { return is(a, vrrp.Fault)() && is(b, vrrp.Fault)() })
	if f := b.Status().Faults[vrrp.CauseInterface]; f == "" {
		t.Error("a fault without a cause")
	}
	l.check(l.links[0].LinkAdd(&netlink.Veth{
		LinkAttrs: netlink.LinkAttrs{Name: "eth0", Namespace: netlink.NsFd(l.hosts[0])},
		PeerName:  "eth0", PeerNamespace: netlink.NsFd(l.hosts[1]),
	}))
	l.up(0)
	l.up(1)
	until(t, "a fault for want of an address", func() bool {
		return strings.Contains(a.Status().Faults[vrrp.CauseInterface], "no IPv4 address")
	})
	l.addAddr(0, "10.99.0.1/24")
	l.addAddr(1, "10.99.0.2/24")
	until(t, "a to be master a third time", is(a, vrrp.Master))
	until(t, "b to be backup again", func() bool { return is(b, vrrp.Backup)() && b.Status().MasterPriority == 150 })

	a.Detach() // as SIGKILL
	until(t, "b to take over", is(b, vrrp.Master))
	a2, err := vrrp.NewRouter(vrrp.RouterConfig{Config: high, Interface: "eth0", Resume: true})
	l.check(err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- on(l.hosts[0], func() error { return a2.Run(ctx) }) }()
	until(t, "the resumed a to be master", is(a2, vrrp.Master))
	until(t, "b to yield", is(b, vrrp.Backup))
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// sendRaw sends a message from 10.99.0.2, the only address with a route out.
func sendRaw(m []byte, dst netip.Addr, ttl int) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW, vrrp.Protocol)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	from := netip.MustParseAddr("10.99.0.2")
	return errors.Join(
		unix.BindToDevice(fd, "eth0"),
		unix.Bind(fd, &unix.SockaddrInet4{Addr: from.As4()}),
		unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_TTL, ttl),
		unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_MULTICAST_TTL, ttl),
		unix.Sendto(fd, m, 0, &unix.SockaddrInet4{Addr: dst.As4()}),
	)
}

// What the socket must not pick up: unicast to a multicast router, other groups'
// members' traffic, and TTLs that a router has touched.
func TestRealDiscards(t *testing.T) {
	l := newLab(t)
	c := vrrp.Config{
		Version: vrrp.V3, VRID: 9, Priority: 100, Interval: 100 * time.Millisecond,
		VIPs: []netip.Addr{netip.MustParseAddr("10.99.0.100")},
	}
	r, _ := l.run(0, c)
	until(t, "a master", is(r, vrrp.Master))

	src := netip.MustParseAddr("10.99.0.2")
	send := func(to string, ttl int) {
		t.Helper()
		dst := netip.MustParseAddr(to)
		a := vrrp.Advert{Version: vrrp.V3, VRID: 9, Priority: 200, Interval: c.Interval, Addresses: c.VIPs}
		m, err := a.Append(nil, src, dst)
		l.check(err)
		l.check(on(l.hosts[1], func() error { return sendRaw(m, dst, ttl) }))
	}
	send("10.99.0.1", 255) // not even seen
	send("224.0.0.18", 254)
	until(t, "a discard", func() bool { return r.Status().Discarded[vrrp.BadTTL] == 1 })
	if s := r.Status(); s.Received != 0 || len(s.Discarded) != 1 {
		t.Errorf("status: %+v", s)
	}
	send("224.0.0.18", 255)
	until(t, "an advert", func() bool { return r.Status().Received == 1 })
	// The advert is counted before the role changes.
	until(t, "the master to yield", func() bool { return r.Status().Transitions >= 3 })
}
