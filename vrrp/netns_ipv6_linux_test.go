package vrrp_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mdlayher/packet"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/lvsd/lvsd/vrrp"
)

// frames collects the frames that reach a host's eth0.
type frames struct {
	mu  sync.Mutex
	all [][]byte
}

func (l *lab) frames(host int, ethertype uint16) *frames {
	l.t.Helper()
	var conn *packet.Conn
	l.check(on(l.hosts[host], func() error {
		ifi, err := net.InterfaceByName("eth0")
		if err == nil {
			conn, err = packet.Listen(ifi, packet.Raw, int(ethertype), nil)
		}
		return err
	}))
	f := &frames{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for b := make([]byte, 65536); ; {
			n, _, err := conn.ReadFrom(b)
			if err != nil {
				return
			}
			f.mu.Lock()
			f.all = append(f.all, slices.Clone(b[:n]))
			f.mu.Unlock()
		}
	}()
	l.t.Cleanup(func() {
		conn.Close()
		<-done
	})
	return f
}

// find is the first frame that is as wanted.
func (f *frames) find(wanted func([]byte) bool) []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, b := range f.all {
		if wanted(b) {
			return b
		}
	}
	return nil
}

// newLab6 is a lab with the MAC addresses, and so the link-local addresses, that
// testdata/adverts.txt was captured with: fe80::ff:fe00:a and fe80::ff:fe00:b.
func newLab6(t *testing.T) *lab {
	t.Helper()
	l := newLab(t)
	for i := range l.hosts {
		l.down(i)
		l.check(l.links[i].LinkSetHardwareAddr(l.eth0(i), net.HardwareAddr{2, 0, 0, 0, 0, byte(0x0a + i)}))
	}
	for i := range l.hosts {
		l.up(i)
	}
	for i := range l.hosts {
		l.addAddr(i, fmt.Sprintf("fd99::%d/64", i+1))
	}
	return l
}

func linkLocal(host int) netip.Addr {
	return netip.MustParseAddr([]string{"fe80::ff:fe00:a", "fe80::ff:fe00:b"}[host])
}

// Between real sockets, with the addresses still tentative at the start, the
// bytes are keepalived's.
func TestWireIPv6(t *testing.T) {
	global := func(host int) netip.Addr { return netip.MustParseAddr(fmt.Sprintf("fd99::%d", host+1)) }
	fast := func(c *vrrp.Config) { c.Interval = 200 * time.Millisecond }
	base := vrrp.Config{Version: vrrp.V3, VRID: 71, Interval: time.Second, Preempt: true, VIPs: []netip.Addr{
		netip.MustParseAddr("fd99::100"), netip.MustParseAddr("fe80::100"), // as an advert must not have them
	}}
	for _, tt := range []struct {
		name    string
		vrid    uint8
		set     func(c *vrrp.Config, host int)
		from    func(host int) netip.Addr
		to      netip.Addr
		mac     net.HardwareAddr
		message string // from the better host, priority 150
	}{
		{
			name: "multicast", vrid: 71, set: func(*vrrp.Config, int) {}, from: linkLocal,
			to: vrrp.Group6, mac: net.HardwareAddr{0x33, 0x33, 0, 0, 0, 0x12},
			message: "3147960200643cfffe800000000000000000000000000100fd990000000000000000000000000100",
		},
		{
			name: "unicast", vrid: 83, set: func(c *vrrp.Config, host int) { c.Peers = []netip.Addr{global(1 - host)} }, from: global,
			to: global(1), mac: net.HardwareAddr{2, 0, 0, 0, 0, 0x0b},
			message: "3153960200643e5cfe800000000000000000000000000100fd990000000000000000000000000100",
		},
		{
			name: "link-local unicast", vrid: 84, set: func(c *vrrp.Config, host int) { fast(c); c.Peers = []netip.Addr{linkLocal(1 - host)} },
			from: linkLocal, to: linkLocal(1), mac: net.HardwareAddr{2, 0, 0, 0, 0, 0x0b},
		},
		{
			name: "group", vrid: 85, set: func(c *vrrp.Config, _ int) { fast(c); c.Group = netip.MustParseAddr("ff05::1:2") }, from: linkLocal,
			to: netip.MustParseAddr("ff05::1:2"), mac: net.HardwareAddr{0x33, 0x33, 0, 1, 0, 2},
		},
		{
			name: "hmac", vrid: 86, set: func(c *vrrp.Config, _ int) { fast(c); withWindow(c) }, from: linkLocal,
			to: vrrp.Group6, mac: net.HardwareAddr{0x33, 0x33, 0, 0, 0, 0x12},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := newLab6(t)
			wire := l.frames(1, 0x86dd)
			var routers [2]*vrrp.Router
			var stops [2]func()
			for i := range routers {
				c := base
				c.VRID, c.Priority = tt.vrid, uint8(150-50*i)
				tt.set(&c, i)
				routers[i], stops[i] = l.run(i, c)
			}
			until(t, "a master", is(routers[0], vrrp.Master))
			until(t, "the backup to know it", func() bool {
				s := routers[1].Status()
				return s.Role == vrrp.Backup && s.Master == tt.from(0) && s.MasterPriority == 150
			})
			var frame []byte
			until(t, "an advert", func() bool {
				frame = wire.find(func(b []byte) bool {
					return len(b) >= 62 && b[20] == vrrp.Protocol && b[55] == tt.vrid && b[56] == 150 && bytes.Equal(b[22:38], tt.from(0).AsSlice())
				})
				return frame != nil
			})
			checkIPv6(t, frame, tt.from(0), tt.to, tt.mac, tt.message)
			stops[0]()
			until(t, "the backup to take over", is(routers[1], vrrp.Master))
			if s := routers[1].Status(); s.ZeroReceived != 1 || len(s.Discarded) != 0 || s.Source != tt.from(1) {
				t.Errorf("new master: %+v", s)
			}
		})
	}
}

func checkIPv6(t *testing.T, frame []byte, from, to netip.Addr, mac net.HardwareAddr, message string) {
	t.Helper()
	if !bytes.Equal(frame[:6], mac) {
		t.Errorf("sent to %x", frame[:6])
	}
	ip := frame[14:]
	if class := ip[0]<<4 | ip[1]>>4; ip[0]>>4 != 6 || class != 0xc0 || ip[7] != 255 {
		t.Errorf("traffic class %#x, hop limit %d", class, ip[7])
	}
	if !bytes.Equal(ip[24:40], to.AsSlice()) {
		t.Errorf("to %x", ip[24:40])
	}
	if got := hex.EncodeToString(ip[40:]); message != "" && got != message {
		t.Errorf("message\n%s, want\n%s", got, message)
	}
	var a vrrp.Advert
	if d := a.Parse(ip[40:], from, to); d != vrrp.Accepted || !a.Addresses[0].IsLinkLocalUnicast() {
		t.Errorf("%v: %v", d, a.Addresses)
	}
}

// While duplicate address detection runs there is no source; once there is one,
// the router takes part.
func TestRealTentative(t *testing.T) {
	l := newLab(t)
	l.down(0)
	l.check(on(l.hosts[0], func() error {
		// It would take hours.
		return os.WriteFile("/proc/sys/net/ipv6/conf/eth0/dad_transmits", []byte("10000"), 0)
	}))
	l.up(0)
	c := vrrp.Config{
		Version: vrrp.V3, VRID: 7, Priority: 100, Interval: 50 * time.Millisecond, VIPs: []netip.Addr{netip.MustParseAddr("fe80::100")},
	}
	r, _ := l.run(0, c)
	until(t, "a fault for want of a usable address", func() bool {
		s := r.Status()
		return s.Role == vrrp.Fault && strings.Contains(s.Faults[vrrp.CauseInterface], "is tentative: duplicate address detection")
	})
	a, err := netlink.ParseAddr("fe80::7/64")
	l.check(err)
	a.Flags = unix.IFA_F_NODAD
	l.check(l.links[0].AddrAdd(l.eth0(0), a))
	until(t, "a master", is(r, vrrp.Master))
	if s := r.Status(); s.Source != netip.MustParseAddr("fe80::7") {
		t.Errorf("source %v", s.Source)
	}
}

// sendRaw6 sends a message from host 1's link-local address.
func sendRaw6(m []byte, dst netip.Addr, hops int) error {
	ifi, err := net.InterfaceByName("eth0")
	if err != nil {
		return err
	}
	fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_RAW, vrrp.Protocol)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	zone := uint32(ifi.Index)
	return errors.Join(
		unix.BindToDevice(fd, "eth0"),
		unix.Bind(fd, &unix.SockaddrInet6{Addr: linkLocal(1).As16(), ZoneId: zone}),
		unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_IF, ifi.Index),
		unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_UNICAST_HOPS, hops),
		unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_HOPS, hops),
		unix.Sendto(fd, m, 0, &unix.SockaddrInet6{Addr: dst.As16(), ZoneId: zone}),
	)
}

// What the socket must not pick up, and what it must, so that it is counted.
func TestRealDiscardsIPv6(t *testing.T) {
	l := newLab6(t)
	c := vrrp.Config{
		Version: vrrp.V3, VRID: 9, Priority: 100, Interval: 100 * time.Millisecond, VIPs: []netip.Addr{netip.MustParseAddr("fe80::100")},
	}
	r, _ := l.run(0, c)
	until(t, "a master", is(r, vrrp.Master))
	send := func(dst netip.Addr, hops int, change func([]byte)) {
		t.Helper()
		a := vrrp.Advert{Version: vrrp.V3, VRID: 9, Priority: 200, Interval: c.Interval, Addresses: c.VIPs}
		m, err := a.Append(nil, linkLocal(1), dst)
		l.check(err)
		change(m)
		until(t, "the sender's address to be usable", func() bool {
			err := on(l.hosts[1], func() error { return sendRaw6(m, dst, hops) })
			if err != nil && !errors.Is(err, unix.EADDRNOTAVAIL) {
				t.Fatal(err)
			}
			return err == nil
		})
	}
	as := func([]byte) {}
	send(linkLocal(0), 255, as)                             // not even seen
	send(netip.MustParseAddr("ff02::1"), 255, as)           // nor this, though the host is a member
	send(vrrp.Group6, 254, as)                              // a router passed it on
	send(vrrp.Group6, 255, func(b []byte) { b[7]++ })       // the kernel must not drop it
	send(vrrp.Group6, 255, func(b []byte) { b[1] = 10 })    // another virtual router: the filter drops it
	send(vrrp.Group6, 255, func(b []byte) { clear(b[:2]) }) // no advert
	want := map[vrrp.Discard]uint64{vrrp.BadTTL: 1, vrrp.BadChecksum: 1}
	until(t, "the discards", func() bool {
		s := r.Status()
		return fmt.Sprint(s.Discarded) == fmt.Sprint(want) && s.Received == 0
	})
	send(vrrp.Group6, 255, as)
	until(t, "an advert", func() bool { return r.Status().Received == 1 })
	until(t, "the master to yield", func() bool { return r.Status().Transitions >= 3 })
}

// A peer whose host says that nobody speaks VRRP there is a peer that is not
// heard, no more.
func TestRealUnreachable(t *testing.T) {
	for _, tt := range []struct {
		name      string
		vip, peer string
		ethertype uint16
		refusal   func([]byte) bool
	}{
		{
			"IPv4", "10.99.0.100", "10.99.0.2", 0x0800,
			func(b []byte) bool { return len(b) > 35 && b[23] == 1 && b[34] == 3 }, // destination unreachable
		},
		{
			"IPv6", "fd99::100", "fd99::2", 0x86dd,
			func(b []byte) bool { return len(b) > 55 && b[20] == 58 && (b[54] == 4 || b[54] == 1) }, // parameter problem
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := newLab6(t)
			back := l.frames(0, tt.ethertype)
			c := vrrp.Config{
				Version: vrrp.V3, VRID: 9, Priority: 100, Interval: 50 * time.Millisecond,
				VIPs: []netip.Addr{netip.MustParseAddr(tt.vip)}, Peers: []netip.Addr{netip.MustParseAddr(tt.peer)},
			}
			r, _ := l.run(0, c)
			until(t, "a master", is(r, vrrp.Master))
			until(t, "the peer to refuse an advert", func() bool { return back.find(tt.refusal) != nil })
			sent := r.Status().Sent
			until(t, "more adverts", func() bool { return r.Status().Sent > sent+5 })
			if s := r.Status(); s.Role != vrrp.Master || len(s.Faults) != 0 || s.FaultCauses[vrrp.CauseInterface] > 1 {
				t.Errorf("%+v", s)
			}
		})
	}
}

// Another IPv4 group than VRRP's own.
func TestRealGroup(t *testing.T) {
	l := newLab(t)
	group := netip.MustParseAddr("239.1.2.3")
	c := vrrp.Config{
		Version: vrrp.V2, VRID: 9, Interval: time.Second, Group: group, VIPs: []netip.Addr{netip.MustParseAddr("10.99.0.100")},
	}
	high, low, deaf := c, c, c
	high.Priority, low.Priority, deaf.Priority, deaf.Group = 150, 100, 100, netip.Addr{}
	a, _ := l.run(0, high)
	b, _ := l.run(1, low)
	other, _ := l.run(1, deaf)
	until(t, "a master", is(a, vrrp.Master))
	until(t, "the backup to know it", func() bool { return b.Status().MasterPriority == 150 })
	until(t, "who is in another group to know nothing of it", is(other, vrrp.Master))
	if s := other.Status(); s.Received != 0 || len(s.Discarded) != 0 {
		t.Errorf("%+v", s)
	}
}
