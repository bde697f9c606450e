package probe

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"
)

// hearICMP makes what ICMP says of packets sent the error of the socket's next
// call, the soft errors too: without it a host that is gone is mere silence.
func hearICMP(fd int, to netip.Addr) error {
	if to.Unmap().Is4() {
		return unix.SetsockoptInt(fd, unix.SOL_IP, unix.IP_RECVERR, 1)
	}
	return unix.SetsockoptInt(fd, unix.SOL_IPV6, unix.IPV6_RECVERR, 1)
}

// icmpReport is what ICMP said of a packet sent.
type icmpReport struct {
	ipv6       bool
	kind, code uint8
	from       netip.Addr
	// quoted is the beginning of the packet, without its IP header.
	quoted []byte
}

// readICMP takes the oldest report on the connection, if there is any.
func readICMP(conn net.Conn) (icmpReport, bool) {
	socket, ok := conn.(syscall.Conn)
	if !ok {
		return icmpReport{}, false
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return icmpReport{}, false
	}
	quoted, control := make([]byte, 64), make([]byte, 256)
	var n, c int
	outer := raw.Control(func(fd uintptr) {
		n, c, _, _, err = unix.Recvmsg(int(fd), quoted, control, unix.MSG_ERRQUEUE|unix.MSG_DONTWAIT)
	})
	if outer != nil || err != nil {
		return icmpReport{}, false
	}
	messages, err := unix.ParseSocketControlMessage(control[:c])
	if err != nil {
		return icmpReport{}, false
	}
	for _, m := range messages {
		if r, ok := parseICMPReport(m); ok {
			r.quoted = quoted[:n]
			return r, true
		}
	}
	return icmpReport{}, false
}

// parseICMPReport reads a struct sock_extended_err and the address that follows
// it (linux/errqueue.h).
func parseICMPReport(m unix.SocketControlMessage) (icmpReport, bool) {
	const header = 16
	ipv4 := m.Header.Level == unix.SOL_IP && m.Header.Type == unix.IP_RECVERR
	ipv6 := m.Header.Level == unix.SOL_IPV6 && m.Header.Type == unix.IPV6_RECVERR
	if !ipv4 && !ipv6 || len(m.Data) < header {
		return icmpReport{}, false
	}
	origin := m.Data[4]
	if origin != unix.SO_EE_ORIGIN_ICMP && origin != unix.SO_EE_ORIGIN_ICMP6 {
		return icmpReport{}, false
	}
	r := icmpReport{ipv6: ipv6, kind: m.Data[5], code: m.Data[6]}
	switch offender := m.Data[header:]; {
	case len(offender) >= unix.SizeofSockaddrInet4 && binary.NativeEndian.Uint16(offender) == unix.AF_INET:
		r.from = netip.AddrFrom4([4]byte(offender[4:8]))
	case len(offender) >= unix.SizeofSockaddrInet6 && binary.NativeEndian.Uint16(offender) == unix.AF_INET6:
		r.from = netip.AddrFrom16([16]byte(offender[8:24]))
	}
	return r, true
}

// redirects reports whether the packet was passed on, if by a detour.
func (r icmpReport) redirects() bool { return !r.ipv6 && r.kind == 5 || r.ipv6 && r.kind == 137 }

// String says what the report says, and who sent it: "ICMP port unreachable from
// 192.0.2.1".
func (r icmpReport) String() string {
	words := icmp4Words
	if r.ipv6 {
		words = icmp6Words
	}
	text, ok := words[[2]uint8{r.kind, r.code}]
	if !ok {
		text = fmt.Sprintf("type %d code %d", r.kind, r.code)
	}
	text = "ICMP " + text
	if r.from.IsValid() {
		text += " from " + r.from.String()
	}
	return text
}

// The words are of RFC 792, RFC 1812 5.2.7.1 and RFC 4443, by type and code.
var (
	icmp4Words = map[[2]uint8]string{
		{3, 0}:  "network unreachable",
		{3, 1}:  "host unreachable",
		{3, 2}:  "protocol unreachable",
		{3, 3}:  "port unreachable",
		{3, 4}:  "fragmentation needed",
		{3, 9}:  "network prohibited",
		{3, 10}: "host prohibited",
		{3, 13}: "communication prohibited",
		{11, 0}: "time exceeded",
		{11, 1}: "fragment time exceeded",
	}
	icmp6Words = map[[2]uint8]string{
		{1, 0}: "no route",
		{1, 1}: "communication prohibited",
		{1, 2}: "beyond scope of source address",
		{1, 3}: "address unreachable",
		{1, 4}: "port unreachable",
		{1, 5}: "source address failed policy",
		{1, 6}: "reject route",
		{2, 0}: "packet too big",
		{3, 0}: "time exceeded",
		{3, 1}: "fragment time exceeded",
	}
)

// packetFailed is the failure of a step of a dialogue in datagrams: what ICMP
// says is of the way there, not of the dialogue.
func packetFailed(step string, conn *boundConn, err error) error {
	if report, ok := readICMP(conn.Conn); ok {
		return &failure{L4CON, step + ": " + report.String()}
	}
	return failed(step, err, L7TOUT, L4CON)
}
