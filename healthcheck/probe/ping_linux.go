package probe

import (
	"errors"
	"net"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"
)

// connectPing opens a ping socket where net.ipv4.ping_group_range lets this
// process, which is the administrator's to set, and a raw one otherwise.
func (r Route) connectPing(to netip.Addr) (conn net.Conn, raw bool, err error) {
	// An ICMP message has no ports: one here would be the identifier.
	r.Source = netip.AddrPortFrom(r.Source.Addr(), 0)
	protocol := unix.IPPROTO_ICMPV6
	if to.Unmap().Is4() {
		protocol = unix.IPPROTO_ICMP
	}
	target := netip.AddrPortFrom(to, 0)
	conn, err = r.openSocket(unix.SOCK_DGRAM, protocol, target, func(fd int) error {
		return hearICMP(fd, to)
	})
	if !errors.Is(err, unix.EACCES) && !errors.Is(err, unix.EPROTONOSUPPORT) {
		return conn, false, err
	}
	conn, err = r.openSocket(unix.SOCK_RAW, protocol, target, func(fd int) error {
		return errors.Join(hearICMP(fd, to), onlyEchoReplies(fd, to))
	})
	if errors.Is(err, unix.EPERM) {
		err = &failure{SOCKERR, noPing}
	}
	return conn, true, err
}

// onlyEchoReplies keeps other messages from a raw socket.
func onlyEchoReplies(fd int, to netip.Addr) error {
	if to.Unmap().Is4() {
		const echoReply = 0
		blocked := ^(1 << echoReply)
		return os.NewSyscallError("ICMP_FILTER", unix.SetsockoptInt(fd, unix.SOL_RAW, unix.ICMP_FILTER, blocked))
	}
	const echoReply = 129
	var blocked unix.ICMPv6Filter
	for i := range blocked.Data {
		blocked.Data[i] = ^uint32(0)
	}
	blocked.Data[echoReply/32] &^= 1 << (echoReply % 32)
	return os.NewSyscallError("ICMPV6_FILTER", unix.SetsockoptICMPv6Filter(fd, unix.SOL_ICMPV6, unix.ICMPV6_FILTER, &blocked))
}
