package netif

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"github.com/mdlayher/ethernet"
	"github.com/mdlayher/packet"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Announce tells every neighbour on the interface's link that the addresses are
// at its hardware address, count times: by gratuitous ARP (RFC 5798 section
// 6.4.1, RFC 826) and by unsolicited neighbour advertisements (RFC 4861 section
// 7.2.6). Each address is told of once before any is for the second time. On an
// interface without neighbour discovery there is nothing to tell.
func Announce(ifname string, addrs []netip.Addr, count int) error {
	return send("announce", ifname, addrs, count, announcement)
}

// Probe asks once on the interface's link who else has the addresses. Answers
// come to Listen.
func Probe(ifname string, addrs []netip.Addr) error {
	return send("probe for", ifname, addrs, 1, func(hardware net.HardwareAddr, addr netip.Addr, _ bool) ([]byte, error) {
		return probe(hardware, addr)
	})
}

func send(
	what, ifname string, addrs []netip.Addr, count int,
	build func(hardware net.HardwareAddr, addr netip.Addr, router bool) ([]byte, error),
) error {
	iface, speaks, err := speaker(ifname)
	if err != nil {
		return fmt.Errorf("%s VIPs on %s: %w", what, ifname, err)
	}
	if !speaks {
		return nil
	}
	router := forwards(ifname)
	frames := make([][]byte, 0, len(addrs))
	for _, addr := range addrs {
		frame, err := build(iface.HardwareAddr, addr, router)
		if err != nil {
			return fmt.Errorf("%s %s on %s: %w", what, addr, ifname, err)
		}
		frames = append(frames, frame)
	}
	if err := sendFrames(iface, frames, count); err != nil {
		return fmt.Errorf("%s VIPs on %s: %w", what, ifname, err)
	}
	return nil
}

func sendFrames(iface *net.Interface, frames [][]byte, count int) error {
	// Protocol 0 receives nothing: the socket only sends.
	conn, err := packet.Listen(iface, packet.Raw, 0, nil)
	if err != nil {
		return err
	}
	to := &packet.Addr{HardwareAddr: ethernet.Broadcast} // the frame says where to
	for range count {
		for _, frame := range frames {
			if _, err := conn.WriteTo(frame, to); err != nil {
				return errors.Join(err, conn.Close())
			}
		}
	}
	return conn.Close()
}

// speaker returns the interface, and whether it speaks to neighbours by ARP or
// neighbour discovery: a loopback or point-to-point interface does not.
func speaker(ifname string) (*net.Interface, bool, error) {
	link, err := netlink.LinkByName(ifname)
	if err != nil {
		return nil, false, err
	}
	attributes := link.Attrs()
	iface := &net.Interface{
		Index: attributes.Index, MTU: attributes.MTU, Name: attributes.Name,
		HardwareAddr: attributes.HardwareAddr, Flags: attributes.Flags,
	}
	return iface, attributes.RawFlags&(unix.IFF_NOARP|unix.IFF_LOOPBACK) == 0, nil
}

// forwards reports whether the interface forwards IPv6, which makes this node a
// router to its neighbours: one that is told otherwise forgets a default route
// by way of it (RFC 4861 section 7.2.5).
func forwards(ifname string) bool {
	text, err := os.ReadFile(filepath.Join("/proc/sys/net/ipv6/conf", ifname, "forwarding"))
	return err == nil && strings.TrimSpace(string(text)) == "1"
}
