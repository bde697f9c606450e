package vrrp_test

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/mdlayher/packet"

	"github.com/lvsd/lvsd/vrrp"
)

// The kernel drops whom a socket mutes, of either family and in both ways, and
// other virtual routers' adverts whatever is muted.
func TestMute(t *testing.T) {
	for _, tt := range []struct {
		name    string
		lab     func(*testing.T) *lab
		config  vrrp.Config
		sources []netip.Addr
	}{
		{
			"IPv4", newLab,
			vrrp.Config{Version: vrrp.V3, VRID: 51, Interval: time.Second, Priority: 100, VIPs: addresses("10.99.0.100")},
			addresses("10.99.0.66", "10.99.0.67", "10.66.0.66"),
		},
		{
			"IPv6", newLab6,
			vrrp.Config{Version: vrrp.V3, VRID: 51, Interval: time.Second, Priority: 100, VIPs: addresses("fe80::100")},
			addresses("fe80::66", "fe80::67", "fe80:0:0:1::66"),
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := tt.lab(t)
			var conn vrrp.Conn
			until(t, "the address to be usable", func() bool {
				err := on(l.hosts[0], func() (err error) { conn, err = vrrp.Dial("eth0", tt.config); return err })
				return err == nil
			})
			t.Cleanup(func() { conn.Close() })
			muter := conn.(interface{ Mute(vrrp.Mute) error })
			for _, m := range []vrrp.Mute{
				{},
				{Sources: tt.sources[:1]},
				{Sources: tt.sources[1:]},
				{Sources: tt.sources[:1], Others: true},
				{Sources: tt.sources[1:], Others: true},
				{Others: true},
				{},
			} {
				l.check(muter.Mute(m))
				var want []netip.Addr
				for _, source := range tt.sources {
					l.inject(1, source, tt.config.MulticastGroup(), 51)
					l.inject(1, source, tt.config.MulticastGroup(), 52)
					if slices.Contains(m.Sources, source) == m.Others {
						want = append(want, source)
					}
				}
				// What comes last is of nobody that is muted: it has all the rest before it.
				l.check(muter.Mute(vrrp.Mute{}))
				end := tt.sources[0].Prev()
				l.inject(1, end, tt.config.MulticastGroup(), 51)
				if got := readUntil(t, conn, end); !slices.Equal(got, want) {
					t.Errorf("%+v: read from %v, want %v", m, got, want)
				}
			}
		})
	}
}

func addresses(texts ...string) (all []netip.Addr) {
	for _, text := range texts {
		all = append(all, netip.MustParseAddr(text))
	}
	return all
}

// readUntil reads until a packet from the source and returns the sources before it.
func readUntil(t *testing.T, conn vrrp.Conn, end netip.Addr) (all []netip.Addr) {
	t.Helper()
	if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	for {
		p, err := conn.Read()
		if err != nil {
			t.Fatalf("after %v: %v", all, err)
		}
		if p.Source == end {
			return all
		}
		all = append(all, p.Source)
	}
}

// inject sends a message of protocol 112 from a host, as if from the source.
func (l *lab) inject(host int, source, to netip.Addr, vrid uint8) {
	l.t.Helper()
	message := []byte{0x31, vrid, 100, 1, 0, 100, 0, 0, 0, 0, 0, 0}
	ethertype, mac := 0x0800, net.HardwareAddr{1, 0, 0x5e, 0, 0, 0x12}
	header := []byte{0x45, 0xc0, 0, byte(20 + len(message)), 0, 0, 0, 0, vrrp.TTL, vrrp.Protocol, 0, 0}
	if source.Is6() {
		ethertype, mac = 0x86dd, net.HardwareAddr{0x33, 0x33, 0, 0, 0, 0x12}
		header = []byte{0x60, 0, 0, 0, 0, byte(len(message)), vrrp.Protocol, vrrp.TTL}
	}
	header = slices.Concat(header, source.AsSlice(), to.AsSlice())
	if source.Is4() {
		binary.BigEndian.PutUint16(header[10:], ^uint16(sum(header)))
	}
	l.check(on(l.hosts[host], func() error {
		ifi, err := net.InterfaceByName("eth0")
		if err != nil {
			return err
		}
		conn, err := packet.Listen(ifi, packet.Datagram, ethertype, nil)
		if err != nil {
			return fmt.Errorf("packet socket: %w", err)
		}
		defer conn.Close()
		_, err = conn.WriteTo(append(header, message...), &packet.Addr{HardwareAddr: mac})
		return err
	}))
}
