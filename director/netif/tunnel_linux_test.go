package netif

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/lvsd/lvsd/sysctl"
)

// tunnelEnd is one of two hosts on a wire; the director is number 1.
type tunnelEnd struct{ ns netns.NsHandle }

var (
	outerAddress = map[bool][3]netip.Addr{
		false: {{}, netip.MustParseAddr("198.51.100.1"), netip.MustParseAddr("198.51.100.2")},
		true:  {{}, netip.MustParseAddr("2001:db8:1::1"), netip.MustParseAddr("2001:db8:1::2")},
	}
	tunnelledVIP = map[bool]netip.Addr{
		false: netip.MustParseAddr("192.0.2.100"), true: netip.MustParseAddr("2001:db8::100"),
	}
)

// newTunnelPair makes two hosts; the test is on the second one.
func newTunnelPair(t *testing.T) (director, server tunnelEnd) {
	t.Helper()
	runtime.LockOSThread() // never unlocked: the thread ends with the test
	ends := make([]tunnelEnd, 2)
	for i := range ends {
		ns, err := netns.New()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = ns.Close() })
		ends[i].ns = ns
	}
	wire := &netlink.Veth{
		LinkAttrs: netlink.LinkAttrs{Name: "wire"}, PeerName: "wire", PeerNamespace: netlink.NsFd(ends[0].ns),
	}
	if err := netlink.LinkAdd(wire); err != nil {
		t.Fatal(err)
	}
	for i, end := range ends {
		end.enter(t)
		for _, name := range []string{"lo", "wire"} {
			link, err := netlink.LinkByName(name)
			if err == nil {
				err = netlink.LinkSetUp(link)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		conn, err := Open()
		if err != nil {
			t.Fatal(err)
		}
		for ipv6, addresses := range outerAddress {
			own := HostVIP("wire", addresses[i+1])
			own.Bits -= 8
			vip := HostVIP("lo", tunnelledVIP[ipv6])
			for _, v := range []VIP{own, vip} {
				if v == vip && i == 0 {
					continue // the director's VIPs are not at stake
				}
				if err := conn.Add(v); err != nil {
					t.Fatal(err)
				}
			}
		}
		conn.Close()
	}
	return ends[0], ends[1]
}

func (e tunnelEnd) enter(t *testing.T) {
	t.Helper()
	if err := netns.Set(e.ns); err != nil {
		t.Fatal(err)
	}
}

// trust sets what a real server's device needs beside being up.
func (tunnelEnd) trust(t *testing.T, d Decapsulation) {
	t.Helper()
	for _, device := range []string{"all", d.Device()} {
		if err := (sysctl.Tree{}).Set("net.ipv4.conf."+device+".rp_filter", "0"); err != nil {
			t.Fatal(err)
		}
	}
}

const tunnelledPort = 7777

// socketAddress is an address as the system calls take it, and its family.
func socketAddress(addr netip.Addr, port int) (family int, address unix.Sockaddr) {
	if addr.Is6() {
		return unix.AF_INET6, &unix.SockaddrInet6{Addr: addr.As16(), Port: port}
	}
	return unix.AF_INET, &unix.SockaddrInet4{Addr: addr.As4(), Port: port}
}

// receiver is a socket at the VIP on the host where the test is.
func receiver(t *testing.T, ipv6 bool) int {
	t.Helper()
	family, where := socketAddress(tunnelledVIP[ipv6], tunnelledPort)
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	wait := unix.NsecToTimeval(int64(100 * time.Millisecond))
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &wait); err != nil {
		t.Fatal(err)
	}
	if err := unix.Bind(fd, where); err != nil {
		t.Fatal(err)
	}
	return fd
}

// exchange sends a datagram through the tunnel until the socket has it.
func exchange(t *testing.T, d Decapsulation, socket int) {
	t.Helper()
	payload := fmt.Sprintf("%+v", d)
	buffer := make([]byte, 512)
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
		sendTunnelled(t, d, payload)
		if n, _, err := unix.Recvfrom(socket, buffer, 0); err == nil {
			if got := string(buffer[:n]); got != payload {
				t.Fatalf("received %q, want %q", got, payload)
			}
			return
		}
	}
	t.Fatal("nothing came out of the tunnel")
}

// sendTunnelled sends a datagram to the VIP inside a packet to the server.
func sendTunnelled(t *testing.T, d Decapsulation, payload string) {
	t.Helper()
	packet := datagram(d.InnerIPv6, payload)
	inner := map[bool]uint8{false: unix.IPPROTO_IPIP, true: unix.IPPROTO_IPV6}[d.InnerIPv6]
	etherType := map[bool]uint16{false: unix.ETH_P_IP, true: unix.ETH_P_IPV6}[d.InnerIPv6]
	kind, protocol, port := unix.SOCK_RAW, int(inner), 0
	switch d.Encapsulation {
	case GRE:
		protocol = unix.IPPROTO_GRE
		packet = append(binary.BigEndian.AppendUint16([]byte{0, 0}, etherType), packet...)
	case GUE:
		kind, protocol, port = unix.SOCK_DGRAM, 0, int(d.Port)
		packet = append([]byte{0, inner, 0, 0}, packet...)
	}
	family, address := socketAddress(outerAddress[d.OuterIPv6][2], port)
	fd, err := unix.Socket(family, kind|unix.SOCK_CLOEXEC, protocol)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(fd) }()
	if err := unix.Sendto(fd, packet, 0, address); err != nil {
		t.Fatal(err)
	}
}

// datagram is a UDP packet from a client to the VIP.
func datagram(ipv6 bool, payload string) []byte {
	const header = 8
	to, from := tunnelledVIP[ipv6].AsSlice(), netip.MustParseAddr("203.0.113.9").AsSlice()
	if ipv6 {
		from = netip.MustParseAddr("2001:db8:9::9").AsSlice()
	}
	length := uint16(header + len(payload))
	udp := binary.BigEndian.AppendUint16(nil, 9999)
	udp = binary.BigEndian.AppendUint16(udp, tunnelledPort)
	udp = binary.BigEndian.AppendUint16(udp, length)
	udp = append(append(udp, 0, 0), payload...)
	pseudo := slices.Concat(from, to, []byte{0, unix.IPPROTO_UDP, byte(length >> 8), byte(length)}, udp)
	binary.BigEndian.PutUint16(udp[6:], internetChecksum(pseudo))
	if ipv6 {
		ip := []byte{0x60, 0, 0, 0, byte(length >> 8), byte(length), unix.IPPROTO_UDP, 64}
		return slices.Concat(ip, from, to, udp)
	}
	total := length + 20
	ip := slices.Concat([]byte{0x45, 0, byte(total >> 8), byte(total), 0, 0, 0, 0, 64, unix.IPPROTO_UDP, 0, 0}, from, to)
	binary.BigEndian.PutUint16(ip[10:], internetChecksum(ip))
	return append(ip, udp...)
}

// internetChecksum is that of RFC 1071.
func internetChecksum(b []byte) uint16 {
	var sum uint32
	for i, c := range b {
		sum += uint32(c) << (8 * (1 - i%2))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}
