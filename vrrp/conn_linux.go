package vrrp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	ipv4HeaderLen = 20
	tosControl    = 0xc0 // CS6, internetwork control
	sendPriority  = 6    // SO_PRIORITY: TC_PRIO_INTERACTIVE, the highest without CAP_NET_ADMIN
)

// socket is a Conn over one raw IPv4 socket. Sending, it writes the IP header
// itself, so that the source is the one the checksum and the election count
// with; receiving, the kernel hands over the header.
type socket struct {
	file   *os.File
	raw    syscall.RawConn
	ifname string
	index  int
	source netip.Addr
	in     [maxAdvertIPv4Len + 60 + 1]byte // the longest advert and IP header, and one more to see what is longer
	out    [maxAdvertIPv4Len + ipv4HeaderLen]byte
}

// Dial opens a raw socket for c on an interface that is up: bound to it and to
// the group it joins, or in unicast mode to the source. It needs CAP_NET_RAW.
// IPv6 is not supported yet.
func Dial(ifname string, c Config) (Conn, error) {
	ifi, err := net.InterfaceByName(ifname)
	if err != nil {
		return nil, fmt.Errorf("interface %s: %w", ifname, err)
	}
	source, err := chooseSource(ifi, c)
	if err != nil {
		return nil, fmt.Errorf("interface %s: %w", ifname, err)
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, Protocol)
	if err != nil {
		return nil, fmt.Errorf("raw socket (needs CAP_NET_RAW): %w", err)
	}
	if err := configure(fd, ifi, source, c.Unicast()); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("raw socket on %s: %w", ifname, err)
	}
	s := &socket{file: os.NewFile(uintptr(fd), "vrrp "+ifname), ifname: ifname, index: ifi.Index, source: source}
	if s.raw, err = s.file.SyscallConn(); err == nil {
		err = s.Up()
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// configure sets the socket up before it is bound, so that it never queues what
// is not for it.
func configure(fd int, ifi *net.Interface, source netip.Addr, unicast bool) error {
	if err := unix.BindToDevice(fd, ifi.Name); err != nil {
		return fmt.Errorf("SO_BINDTODEVICE: %w", err)
	}
	for _, o := range []struct {
		name              string
		level, opt, value int
	}{
		{"IP_HDRINCL", unix.IPPROTO_IP, unix.IP_HDRINCL, 1},
		{"SO_PRIORITY", unix.SOL_SOCKET, unix.SO_PRIORITY, sendPriority},
		{"IP_MULTICAST_ALL", unix.IPPROTO_IP, unix.IP_MULTICAST_ALL, 0},
		{"IP_MULTICAST_LOOP", unix.IPPROTO_IP, unix.IP_MULTICAST_LOOP, 0},
	} {
		if err := unix.SetsockoptInt(fd, o.level, o.opt, o.value); err != nil {
			return fmt.Errorf("%s: %w", o.name, err)
		}
	}
	local := source
	if !unicast {
		local = Group
		m := &unix.IPMreqn{Multiaddr: Group.As4(), Ifindex: int32(ifi.Index)}
		if err := unix.SetsockoptIPMreqn(fd, unix.IPPROTO_IP, unix.IP_MULTICAST_IF, m); err != nil {
			return fmt.Errorf("IP_MULTICAST_IF: %w", err)
		}
		if err := unix.SetsockoptIPMreqn(fd, unix.IPPROTO_IP, unix.IP_ADD_MEMBERSHIP, m); err != nil {
			return fmt.Errorf("join %v: %w", Group, err)
		}
	}
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: local.As4()}); err != nil {
		return fmt.Errorf("bind to %v: %w", local, err)
	}
	return nil
}

// chooseSource picks the source among the interface's addresses.
func chooseSource(ifi *net.Interface, c Config) (netip.Addr, error) {
	addrs, err := ifi.Addrs()
	if err != nil {
		return netip.Addr{}, fmt.Errorf("read addresses: %w", err)
	}
	return pickSource(addrs, c)
}

func (s *socket) Source() netip.Addr { return s.source }

func (s *socket) SetReadDeadline(t time.Time) error { return s.file.SetReadDeadline(t) }

func (s *socket) Close() error { return s.file.Close() }

func (s *socket) Read() (Packet, error) {
	n, err := s.file.Read(s.in[:])
	if err != nil {
		return Packet{}, err
	}
	return parseIPv4(s.in[:n], time.Now()), nil
}

func (s *socket) Poll() (Packet, error) {
	// A deadline that has passed would refuse the descriptor too.
	if err := s.file.SetReadDeadline(time.Time{}); err != nil {
		return Packet{}, err
	}
	var n int
	var errno error
	err := s.raw.Read(func(fd uintptr) bool {
		n, errno = unix.Read(int(fd), s.in[:])
		return true // whatever it is: never wait
	})
	switch {
	case err != nil:
		return Packet{}, err
	case errors.Is(errno, unix.EAGAIN), errors.Is(errno, unix.EINTR):
		return Packet{}, os.ErrDeadlineExceeded
	case errno != nil:
		return Packet{}, os.NewSyscallError("read", errno)
	}
	return parseIPv4(s.in[:n], time.Now()), nil
}

// parseIPv4 takes a datagram apart. What is no sound IPv4 packet, which the
// kernel does not deliver, becomes one without payload.
func parseIPv4(b []byte, now time.Time) Packet {
	p := Packet{Received: now}
	if len(b) < ipv4HeaderLen {
		return p
	}
	p.TTL = b[8]
	p.Source = netip.AddrFrom4([4]byte(b[12:16]))
	p.Destination = netip.AddrFrom4([4]byte(b[16:20]))
	header, total := int(b[0]&0x0f)*4, int(binary.BigEndian.Uint16(b[2:]))
	if header >= ipv4HeaderLen && header <= total && total <= len(b) {
		p.Payload = b[header:total]
	}
	return p
}

func (s *socket) Write(message []byte, to netip.Addr) error {
	if len(message) > len(s.out)-ipv4HeaderLen {
		return fmt.Errorf("send to %v: message of %d bytes is too long", to, len(message))
	}
	b := appendIPv4(s.out[:0], message, s.source, to)
	var errno error
	err := s.raw.Write(func(fd uintptr) bool {
		errno = unix.Sendto(int(fd), b, unix.MSG_DONTWAIT, &unix.SockaddrInet4{Addr: to.As4()})
		return true // whatever it is: never wait
	})
	if err == nil {
		err = os.NewSyscallError("sendto", errno)
	}
	if err != nil {
		return fmt.Errorf("send to %v on %s: %w", to, s.ifname, err)
	}
	return nil
}

// appendIPv4 appends an IPv4 packet. The kernel fills in identification and
// header checksum.
func appendIPv4(b, message []byte, from, to netip.Addr) []byte {
	b = append(b, 4<<4|ipv4HeaderLen/4, tosControl)
	b = binary.BigEndian.AppendUint16(b, uint16(ipv4HeaderLen+len(message)))
	b = append(b, 0, 0, 0, 0, TTL, Protocol, 0, 0)
	b = appendAddr(b, from)
	b = appendAddr(b, to)
	return append(b, message...)
}

// Up asks for the flags and index by ioctl, which takes no lock that a busy
// netlink user may hold.
func (s *socket) Up() error {
	var flags uint16
	var index uint32
	var errno error
	err := s.raw.Control(func(fd uintptr) {
		var ifr *unix.Ifreq
		if ifr, errno = unix.NewIfreq(s.ifname); errno != nil {
			return
		}
		if errno = unix.IoctlIfreq(int(fd), unix.SIOCGIFFLAGS, ifr); errno != nil {
			return
		}
		flags = ifr.Uint16()
		errno = unix.IoctlIfreq(int(fd), unix.SIOCGIFINDEX, ifr)
		index = ifr.Uint32()
	})
	switch {
	case err != nil:
		return err
	case errors.Is(errno, unix.ENODEV):
		return fmt.Errorf("interface %s: absent", s.ifname)
	case errno != nil:
		return fmt.Errorf("interface %s: %w", s.ifname, errno)
	case int(index) != s.index:
		return fmt.Errorf("interface %s: created anew", s.ifname)
	case flags&unix.IFF_UP == 0:
		return fmt.Errorf("interface %s: down", s.ifname)
	case flags&unix.IFF_RUNNING == 0:
		return fmt.Errorf("interface %s: no carrier", s.ifname)
	}
	return nil
}
