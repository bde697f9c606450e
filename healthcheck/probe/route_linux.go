package probe

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// prepare makes a socket that is not connected yet send to the target by r. What
// keeps it from doing so is a *failure with SOCKERR: it is not the server's
// fault.
func (r Route) prepare(fd int, to netip.Addr) error {
	if r.Mark != 0 {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_MARK, int(r.Mark)); err != nil {
			return r.refused(fmt.Sprintf("mark %d", r.Mark), "CAP_NET_ADMIN", err)
		}
	}
	if r.Interface != "" {
		if err := unix.SetsockoptString(fd, unix.SOL_SOCKET, unix.SO_BINDTODEVICE, r.Interface); err != nil {
			return r.refused("interface "+r.Interface, "CAP_NET_RAW", err)
		}
	}
	if r.Hops != 0 {
		if err := limitHops(fd, to, r.Hops); err != nil {
			return err
		}
	}
	if r.Source.Addr().IsValid() || r.Source.Port() != 0 {
		return r.bind(fd, to)
	}
	return nil
}

// bind gives the socket its source.
func (r Route) bind(fd int, to netip.Addr) error {
	// With a port, that of the last probe may still be in TIME_WAIT; without
	// one, the kernel can use a port for several targets at once if it chooses
	// when it connects.
	option, level := unix.SO_REUSEADDR, unix.SOL_SOCKET
	if r.Source.Port() == 0 {
		option, level = unix.IP_BIND_ADDRESS_NO_PORT, unix.SOL_IP
	}
	if err := unix.SetsockoptInt(fd, level, option, 1); err != nil && !errors.Is(err, unix.ENOPROTOOPT) {
		return r.refused("source", "", err)
	}
	source, err := sockaddr(r.from(to))
	if err == nil {
		err = unix.Bind(fd, source)
	}
	if err != nil {
		what := r.from(to).String()
		if r.Source.Port() == 0 {
			what = r.from(to).Addr().String()
		}
		return r.refused("source "+what, "CAP_NET_BIND_SERVICE", err)
	}
	return nil
}

// from is the source with all that the family of the target asks for.
func (r Route) from(to netip.Addr) netip.AddrPort {
	from := r.Source.Addr().Unmap()
	switch {
	case !from.IsValid() && to.Unmap().Is4():
		from = netip.IPv4Unspecified()
	case !from.IsValid():
		from = netip.IPv6Unspecified()
	case needsZone(from) && to.Zone() != "":
		from = from.WithZone(to.Zone())
	case needsZone(from):
		from = from.WithZone(r.Interface)
	}
	return netip.AddrPortFrom(from, r.Source.Port())
}

func (r Route) refused(what, capability string, err error) error {
	reason := what + ": " + describe(err)
	denied := errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES)
	switch {
	case denied && capability != "":
		reason += ", lvsd lacks " + capability
	case errors.Is(err, unix.EADDRNOTAVAIL):
		reason = what + ": not an address of this host"
	}
	return &failure{SOCKERR, reason}
}

// sockaddr is a as the kernel takes it. The error is of a zone that is no
// interface of this host.
func sockaddr(a netip.AddrPort) (unix.Sockaddr, error) {
	addr := a.Addr().Unmap()
	if addr.Is4() {
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: addr.As4()}, nil
	}
	zone, err := zoneIndex(addr.Zone())
	return &unix.SockaddrInet6{Port: int(a.Port()), Addr: addr.As16(), ZoneId: zone}, err
}

func zoneIndex(zone string) (uint32, error) {
	if zone == "" {
		return 0, nil
	}
	if n, err := strconv.ParseUint(zone, 10, 32); err == nil {
		return uint32(n), nil
	}
	i, err := net.InterfaceByName(zone)
	if err != nil {
		return 0, &failure{SOCKERR, "zone " + zone + ": no such interface"}
	}
	return uint32(i.Index), nil
}

// openSocket returns a socket that is prepared for the target and connected to
// it, as a connection that deadlines end.
func (r Route) openSocket(kind, protocol int, to netip.AddrPort, prepare func(fd int) error) (net.Conn, error) {
	domain := unix.AF_INET6
	if to.Addr().Unmap().Is4() {
		domain = unix.AF_INET
	}
	fd, err := unix.Socket(domain, kind|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, protocol)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	// FileConn duplicates the descriptor.
	file := os.NewFile(uintptr(fd), "probe")
	defer file.Close()
	if err := errors.Join(r.prepare(fd, to.Addr()), prepare(fd)); err != nil {
		return nil, err
	}
	address, err := sockaddr(to)
	if err != nil {
		return nil, err
	}
	if err := unix.Connect(fd, address); err != nil {
		return nil, os.NewSyscallError("connect", err)
	}
	return net.FileConn(file)
}
