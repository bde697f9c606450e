package vrrp

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

const ipv4HeaderLen = 20

// ipv4 is a raw IPv4 socket. Sending, it writes the IP header itself, so that
// the source is the one the checksum and the election count with; receiving, the
// kernel hands over the header.
type ipv4 struct{}

func (ipv4) domain() int { return unix.AF_INET }

func (ipv4) options() []option {
	return []option{
		{"IP_HDRINCL", unix.IPPROTO_IP, unix.IP_HDRINCL, 1},
		{"IP_MULTICAST_ALL", unix.IPPROTO_IP, unix.IP_MULTICAST_ALL, 0},
		{"IP_MULTICAST_LOOP", unix.IPPROTO_IP, unix.IP_MULTICAST_LOOP, 0},
	}
}

// loadVRID: to the filter a packet begins with its IP header.
func (ipv4) loadVRID() []bpf.Instruction {
	return []bpf.Instruction{bpf.LoadMemShift{Off: 0}, bpf.LoadIndirect{Off: vridAt, Size: 1}}
}

func (ipv4) sourceAt() uint32 { return 12 }

func (ipv4) join(fd int, group netip.Addr, index int) error {
	m := &unix.IPMreqn{Multiaddr: group.As4(), Ifindex: int32(index)}
	if err := unix.SetsockoptIPMreqn(fd, unix.IPPROTO_IP, unix.IP_MULTICAST_IF, m); err != nil {
		return fmt.Errorf("IP_MULTICAST_IF: %w", err)
	}
	if err := unix.SetsockoptIPMreqn(fd, unix.IPPROTO_IP, unix.IP_ADD_MEMBERSHIP, m); err != nil {
		return fmt.Errorf("join %v: %w", group, err)
	}
	return nil
}

func (ipv4) sockaddr(a netip.Addr, _ int) unix.Sockaddr { return &unix.SockaddrInet4{Addr: a.As4()} }

func (ipv4) packet(b, _ []byte, _ unix.Sockaddr) Packet { return parseIPv4(b) }

// parseIPv4 takes a datagram apart. What is no sound IPv4 packet, which the
// kernel does not deliver, becomes one without payload.
func parseIPv4(b []byte) Packet {
	if len(b) < ipv4HeaderLen {
		return Packet{}
	}
	p := Packet{
		TTL:         b[8],
		Source:      netip.AddrFrom4([4]byte(b[12:16])),
		Destination: netip.AddrFrom4([4]byte(b[16:20])),
	}
	header, total := int(b[0]&0x0f)*4, int(binary.BigEndian.Uint16(b[2:]))
	if header >= ipv4HeaderLen && header <= total && total <= len(b) {
		p.Payload = b[header:total]
	}
	return p
}

func (f ipv4) send(fd int, message []byte, from, to netip.Addr, index int) error {
	b := appendIPv4(make([]byte, 0, ipv4HeaderLen+len(message)), message, from, to)
	return unix.Sendto(fd, b, unix.MSG_DONTWAIT, f.sockaddr(to, index))
}

// appendIPv4 appends an IPv4 packet. The kernel fills in identification and
// header checksum.
func appendIPv4(b, message []byte, from, to netip.Addr) []byte {
	b = append(b, 4<<4|ipv4HeaderLen/4, trafficClass)
	b = binary.BigEndian.AppendUint16(b, uint16(ipv4HeaderLen+len(message)))
	b = append(b, 0, 0, 0, 0, TTL, Protocol, 0, 0)
	b = appendAddr(b, from)
	b = appendAddr(b, to)
	return append(b, message...)
}
