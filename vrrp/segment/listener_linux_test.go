package segment

import (
	"encoding/hex"
	"errors"
	"fmt"
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

	testlab "github.com/lvsd/lvsd/integration/lab"
	"github.com/lvsd/lvsd/vrrp"
)

// The machine may be slow for minutes; nothing here is measured.
const patience = 3 * time.Minute

// cable is two hosts joined by a cable: namespaces with an eth0 each, 10.99.0.1
// and 10.99.0.2.
type cable struct {
	t     *testing.T
	hosts [2]netns.NsHandle
	links [2]*netlink.Handle
}

func newCable(t *testing.T) *cable {
	t.Helper()
	c := &cable{t: t}
	err := on(netns.None(), func() (err error) {
		for i := range c.hosts {
			if c.hosts[i], err = netns.New(); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		testlab.Missing(t, testlab.NeedNetns, err)
	}
	t.Cleanup(func() {
		for i := range c.hosts {
			c.links[i].Close()
			c.hosts[i].Close()
		}
	})
	for i := range c.hosts {
		c.links[i], err = netlink.NewHandleAt(c.hosts[i])
		c.check(err)
	}
	c.check(c.links[0].LinkAdd(&netlink.Veth{
		LinkAttrs: netlink.LinkAttrs{Name: "eth0", Namespace: netlink.NsFd(c.hosts[0])},
		PeerName:  "eth0", PeerNamespace: netlink.NsFd(c.hosts[1]),
	}))
	for i := range c.hosts {
		c.up(i, "eth0", fmt.Sprintf("10.99.0.%d/24", i+1))
	}
	for i := range c.hosts {
		c.wait("a carrier", func() bool { return c.link(i, "eth0").Attrs().RawFlags&unix.IFF_RUNNING != 0 })
	}
	return c
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

func (c *cable) check(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

// wait waits for a condition.
func (c *cable) wait(what string, cond func() bool) {
	c.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); !cond(); <-tick.C {
		if time.Now().After(deadline) {
			c.t.Fatalf("waited %v for %s", patience, what)
		}
	}
}

func (c *cable) link(host int, name string) netlink.Link {
	c.t.Helper()
	link, err := c.links[host].LinkByName(name)
	c.check(err)
	return link
}

func (c *cable) up(host int, name, cidr string) {
	c.t.Helper()
	a, err := netlink.ParseAddr(cidr)
	c.check(err)
	c.check(c.links[host].AddrAdd(c.link(host, name), a))
	c.check(c.links[host].LinkSetUp(c.link(host, name)))
}

// send sends an advert of this VRID as a Router does, for the VIP of config or
// 10.99.0.100.
func (c *cable) send(host int, vrid uint8, config vrrp.Config) {
	c.t.Helper()
	config.Version, config.VRID, config.Priority, config.Interval = vrrp.V3, vrid, 100, time.Second
	if config.VIPs == nil {
		config.VIPs = []netip.Addr{addr("10.99.0.100")}
	}
	to := vrrp.Group
	switch {
	case config.Unicast():
		to = config.Peers[0]
	case config.VIPs[0].Is6():
		to = vrrp.Group6
	}
	c.check(on(c.hosts[host], func() error {
		conn, err := dial(config)
		if err != nil {
			return err
		}
		defer conn.Close()
		a := vrrp.Advert{Version: vrrp.V3, VRID: vrid, Priority: 100, Interval: time.Second, Addresses: config.VIPs}
		b, err := a.Append(nil, conn.Source(), to)
		if err != nil {
			return err
		}
		return conn.Write(b, to)
	}))
}

// dial tries for as long as the interface's IPv6 address is not usable yet.
func dial(config vrrp.Config) (vrrp.Conn, error) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); ; <-tick.C {
		conn, err := vrrp.Dial("eth0", config)
		if err == nil || time.Now().After(deadline) {
			return conn, err
		}
	}
}

// sendFrame sends an IP packet as it is, to a multicast address that no host has
// joined.
func (c *cable) sendFrame(host int, etherType int, ip []byte) {
	c.t.Helper()
	c.check(on(c.hosts[host], func() error {
		ifi, err := net.InterfaceByName("eth0")
		if err != nil {
			return err
		}
		conn, err := packet.Listen(ifi, packet.Raw, etherType, nil)
		if err != nil {
			return err
		}
		defer conn.Close()
		frame := append([]byte{0x01, 0, 0x5e, 0, 0, 0x63}, ifi.HardwareAddr...)
		frame = append(frame, byte(etherType>>8), byte(etherType))
		_, err = conn.WriteTo(append(frame, ip...), &packet.Addr{HardwareAddr: frame[:6]})
		return err
	}))
}

// listen opens a Listener on a host.
func (c *cable) listen(host int, interfaces ...string) *Listener {
	c.t.Helper()
	var l *Listener
	c.check(on(c.hosts[host], func() (err error) {
		l, err = Listen(interfaces...)
		return err
	}))
	c.t.Cleanup(func() { l.Close() })
	return l
}

// until reads packets until one is of this VRID, and returns all that were read.
func (c *cable) until(l *Listener, vrid uint8) (all []Packet) {
	c.t.Helper()
	for deadline := time.Now().Add(patience); ; {
		p, err := l.Read(deadline)
		if err != nil {
			c.t.Fatalf("waiting for vrid %d: %v", vrid, err)
		}
		p.Payload = slices.Clone(p.Payload)
		if all = append(all, p); len(p.Payload) > 1 && p.Payload[1] == vrid {
			return all
		}
	}
}

// one is the only packet that is read, of this VRID.
func (c *cable) one(l *Listener, vrid uint8) Packet {
	c.t.Helper()
	all := c.until(l, vrid)
	if len(all) != 1 {
		c.t.Fatalf("%d packets, want one: %+v", len(all), all)
	}
	return all[0]
}

// TestListener: a host that takes part in nothing hears what comes in, what it
// sends itself, and nothing else.
func TestListener(t *testing.T) {
	c := newCable(t)
	l := c.listen(0)
	for _, tt := range []struct {
		name     string
		host     int
		config   vrrp.Config
		to       string
		outgoing bool
	}{
		{"multicast in", 1, vrrp.Config{}, "224.0.0.18", false},
		{"multicast out", 0, vrrp.Config{}, "224.0.0.18", true},
		{"unicast in", 1, vrrp.Config{Peers: []netip.Addr{addr(one)}}, one, false},
		{"unicast out", 0, vrrp.Config{Peers: []netip.Addr{addr(two)}}, two, true},
		{"IPv6 in", 1, vrrp.Config{VIPs: []netip.Addr{addr("fe80::100")}}, "ff02::12", false},
		{"IPv6 out", 0, vrrp.Config{VIPs: []netip.Addr{addr("fe80::100")}}, "ff02::12", true},
	} {
		vrid := uint8(tt.host + 1)
		c.send(tt.host, vrid, tt.config)
		p := c.one(l, vrid)
		if p.Interface != "eth0" || p.Outgoing != tt.outgoing || p.TTL != 255 || p.Destination != addr(tt.to) ||
			p.Source.Is4() && p.Source != addr(fmt.Sprintf("10.99.0.%d", tt.host+1)) || p.Broken != nil {
			t.Errorf("%s: %+v", tt.name, p)
		}
		table := NewTable()
		table.Observe(p)
		if s := table.Report(p.Received, false).Speakers[0]; s.State != Master || s.ThisNode != tt.outgoing {
			t.Errorf("%s: %+v", tt.name, s)
		}
	}
	if _, err := l.Read(time.Now()); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("once more: %v", err)
	}
}

// TestListenerFilter: whatever the captured packets are, the filter lets through
// those that Parse takes. Among them are IPv6, authentication headers and a
// group that nobody has joined.
func TestListenerFilter(t *testing.T) {
	c := newCable(t)
	l := c.listen(0, "eth0")
	for _, sent := range capturedPackets(t) {
		if len(sent.bytes) < ipv4HeaderLen {
			continue // Linux does not send it
		}
		etherType := unix.ETH_P_IP
		if sent.bytes[0]>>4 == 6 {
			etherType = unix.ETH_P_IPV6
		}
		c.sendFrame(1, etherType, sent.bytes)
		c.sendFrame(1, unix.ETH_P_IP, multicast(t, 254))
		heard := len(c.until(l, 254)) - 1
		if _, ok := Parse(sent.bytes); ok != (heard == 1) {
			t.Errorf("%s: VRRP: %v, heard %d times", sent.name, ok, heard)
		}
	}
}

// TestListenerVLAN: an advert with a VLAN's tag is heard on the VLAN's interface,
// if there is one, and not here. The tag 0 is no VLAN.
func TestListenerVLAN(t *testing.T) {
	c := newCable(t)
	l := c.listen(0)
	for vlan, heard := range []int{1, 0} {
		tag := []byte{0, byte(vlan), unix.ETH_P_IP >> 8, unix.ETH_P_IP & 0xff}
		c.sendFrame(1, unix.ETH_P_8021Q, append(tag, multicast(t, 7)...))
		c.sendFrame(1, unix.ETH_P_IP, multicast(t, 254))
		if got := len(c.until(l, 254)) - 1; got != heard {
			t.Errorf("VLAN %d: heard %d times, want %d", vlan, got, heard)
		}
	}
}

// multicast is an IP packet with an advert of this VRID.
func multicast(t *testing.T, vrid uint8) []byte {
	t.Helper()
	a := advert()
	a.VRID = vrid
	b, err := hex.DecodeString("45c0002000010000ff70d0360a630001e0000012")
	if err == nil {
		b, err = a.Append(b, addr(one), vrrp.Group)
	}
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestListenerBridge: what a port of a bridge hears is heard once.
func TestListenerBridge(t *testing.T) {
	c := newCable(t)
	c.check(c.links[0].LinkAdd(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "br0"}}))
	c.check(c.links[0].LinkSetMaster(c.link(0, "eth0"), c.link(0, "br0")))
	c.up(0, "br0", "10.99.0.3/24")
	l := c.listen(0)
	// The bridge passes nothing on until its port forwards.
	for deadline := time.Now().Add(patience); ; {
		c.send(1, 9, vrrp.Config{})
		p, err := l.Read(time.Now().Add(time.Second))
		if err == nil && p.Interface == "br0" {
			break
		}
		if err == nil || time.Now().After(deadline) {
			t.Fatalf("%+v, %v", p, err)
		}
	}
}

func TestListenErrors(t *testing.T) {
	c := newCable(t)
	for _, tt := range []struct {
		names []string
		down  bool
		want  string
	}{
		{names: []string{"eth0", "eth9"}, want: "interface eth9: absent"},
		{down: true, want: "no interface is up"},
	} {
		if tt.down {
			c.check(c.links[0].LinkSetDown(c.link(0, "eth0")))
		}
		err := on(c.hosts[0], func() error {
			l, err := Listen(tt.names...)
			if err == nil {
				l.Close()
			}
			return err
		})
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v: %v, want %s", tt.names, err, tt.want)
		}
	}
}
