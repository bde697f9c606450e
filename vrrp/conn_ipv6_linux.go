package vrrp

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// ipv6 is a raw IPv6 socket. The kernel writes and keeps the IP header: hop
// limit, source and destination pass as options and control messages. It leaves
// the checksum alone without IPV6_CHECKSUM, with which it would drop what is
// wrong without a trace.
type ipv6 struct{}

func (ipv6) domain() int { return unix.AF_INET6 }

func (ipv6) options() []option {
	return []option{
		{"IPV6_UNICAST_HOPS", unix.IPPROTO_IPV6, unix.IPV6_UNICAST_HOPS, TTL},
		{"IPV6_MULTICAST_HOPS", unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_HOPS, TTL},
		{"IPV6_TCLASS", unix.IPPROTO_IPV6, unix.IPV6_TCLASS, trafficClass},
		{"IPV6_MULTICAST_ALL", unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_ALL, 0},
		{"IPV6_MULTICAST_LOOP", unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_LOOP, 0},
		{"IPV6_RECVPKTINFO", unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1},
		{"IPV6_RECVHOPLIMIT", unix.IPPROTO_IPV6, unix.IPV6_RECVHOPLIMIT, 1},
	}
}

// loadVRID: to the filter a packet begins with the message.
func (ipv6) loadVRID() []bpf.Instruction {
	return []bpf.Instruction{bpf.LoadAbsolute{Off: vridAt, Size: 1}}
}

func (ipv6) sourceAt() uint32 { return 8 }

func (ipv6) join(fd int, group netip.Addr, index int) error {
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_IF, index); err != nil {
		return fmt.Errorf("IPV6_MULTICAST_IF: %w", err)
	}
	m := &unix.IPv6Mreq{Multiaddr: group.As16(), Interface: uint32(index)}
	if err := unix.SetsockoptIPv6Mreq(fd, unix.IPPROTO_IPV6, unix.IPV6_JOIN_GROUP, m); err != nil {
		return fmt.Errorf("join %v: %w", group, err)
	}
	return nil
}

// sockaddr has the interface as zone; the kernel looks at it for link-local
// addresses.
func (ipv6) sockaddr(a netip.Addr, index int) unix.Sockaddr {
	return &unix.SockaddrInet6{Addr: a.As16(), ZoneId: uint32(index)}
}

func (ipv6) packet(b, control []byte, from unix.Sockaddr) Packet {
	p := parseControl(control)
	if sa, ok := from.(*unix.SockaddrInet6); ok {
		p.Source = netip.AddrFrom16(sa.Addr)
	}
	p.Payload = b
	return p
}

// parseControl takes hop limit and destination from control messages. What is
// missing stays zero.
func parseControl(control []byte) Packet {
	var p Packet
	for len(control) > 0 {
		h, data, rest, err := unix.ParseOneSocketControlMessage(control)
		if err != nil {
			return p
		}
		control = rest
		switch {
		case h.Level != unix.IPPROTO_IPV6:
		case h.Type == unix.IPV6_HOPLIMIT && len(data) >= 4:
			p.TTL = uint8(binary.NativeEndian.Uint32(data))
		case h.Type == unix.IPV6_PKTINFO && len(data) >= unix.SizeofInet6Pktinfo:
			p.Destination = netip.AddrFrom16([16]byte(data))
		}
	}
	return p
}

func (f ipv6) send(fd int, message []byte, from, to netip.Addr, index int) error {
	control := unix.PktInfo6(&unix.Inet6Pktinfo{Addr: from.As16(), Ifindex: uint32(index)})
	_, err := unix.SendmsgN(fd, message, control, f.sockaddr(to, index), unix.MSG_DONTWAIT)
	return err
}
