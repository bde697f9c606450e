package vrrp

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

const (
	trafficClass = 0xc0 // CS6, internetwork control
	sendPriority = 6    // SO_PRIORITY: TC_PRIO_INTERACTIVE, the highest without CAP_NET_ADMIN
	maxControl   = 256  // of control messages: more than the two that are asked for
)

// family is what the raw sockets of IPv4 and IPv6 do differently.
type family interface {
	domain() int
	// options are set before the socket is bound.
	options() []option
	// loadVRID reads the VRID of a packet as the socket's filter sees it.
	loadVRID() []bpf.Instruction
	// sourceAt is where the source address is in the IP header.
	sourceAt() uint32
	// join makes the socket a member of the group and send to it on the
	// interface.
	join(fd int, group netip.Addr, index int) error
	sockaddr(a netip.Addr, index int) unix.Sockaddr
	// packet takes apart what was received. Payload is what follows the IP
	// header and may be nil.
	packet(b, control []byte, from unix.Sockaddr) Packet
	send(fd int, message []byte, from, to netip.Addr, index int) error
}

type option struct {
	name              string
	level, opt, value int
}

// socket is a Conn over one raw socket.
type socket struct {
	family  family
	file    *os.File
	raw     syscall.RawConn
	alarm   *alarm
	ifname  string
	index   int
	vrid    uint8
	source  netip.Addr
	in      [maxAdvertIPv6Len + 1]byte // more than the longest IPv4 advert with header; and one to see what is longer
	control [maxControl]byte
}

// Dial opens a raw socket for c on an interface that is up: bound to it and to
// the group it joins, or in unicast mode to the source. It needs CAP_NET_RAW. It
// fails while the interface has no address to send from, also while the only one
// is tentative, as IPv6 addresses are for about a second after the link came up.
func Dial(ifname string, c Config) (Conn, error) {
	ifi, err := net.InterfaceByName(ifname)
	if err != nil {
		return nil, fmt.Errorf("interface %s: %w", ifname, err)
	}
	var f family = ipv4{}
	if c.Is6() {
		f = ipv6{}
	}
	source, err := chooseSource(f, ifi, c)
	if err != nil {
		return nil, fmt.Errorf("interface %s: %w", ifname, err)
	}
	fd, err := openSocket(f, ifi)
	if err != nil {
		return nil, err
	}
	if err := configure(fd, f, ifi, source, c); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("raw socket on %s: %w", ifname, err)
	}
	s := &socket{family: f, file: os.NewFile(uintptr(fd), "vrrp "+ifname), ifname: ifname, index: ifi.Index, vrid: c.VRID, source: source}
	if s.raw, err = s.file.SyscallConn(); err == nil {
		err = s.Up()
	}
	if err == nil {
		s.alarm, err = newAlarm(s.ring)
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// openSocket makes a raw socket that sees the interface only.
func openSocket(f family, ifi *net.Interface) (int, error) {
	fd, err := unix.Socket(f.domain(), unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, Protocol)
	if err != nil {
		return -1, fmt.Errorf("raw socket (needs CAP_NET_RAW): %w", err)
	}
	if err := unix.BindToDevice(fd, ifi.Name); err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("raw socket on %s: SO_BINDTODEVICE: %w", ifi.Name, err)
	}
	return fd, nil
}

// configure sets the socket up before it is bound, so that it never queues what
// is not for it.
func configure(fd int, f family, ifi *net.Interface, source netip.Addr, c Config) error {
	for _, o := range append(f.options(), option{"SO_PRIORITY", unix.SOL_SOCKET, unix.SO_PRIORITY, sendPriority}) {
		if err := unix.SetsockoptInt(fd, o.level, o.opt, o.value); err != nil {
			return fmt.Errorf("%s: %w", o.name, err)
		}
	}
	if err := attachFilter(fd, f, c.VRID, Mute{}); err != nil {
		return err
	}
	local := source
	if !c.Unicast() {
		local = c.MulticastGroup()
		if err := f.join(fd, local, ifi.Index); err != nil {
			return err
		}
	}
	if err := unix.Bind(fd, f.sockaddr(local, ifi.Index)); err != nil {
		return fmt.Errorf("bind to %v: %w", local, err)
	}
	return nil
}

// chooseSource picks the source among the interface's addresses.
func chooseSource(f family, ifi *net.Interface, c Config) (netip.Addr, error) {
	addrs, err := ifi.Addrs()
	if err != nil {
		return netip.Addr{}, fmt.Errorf("read addresses: %w", err)
	}
	return pickSource(addrs, c, func(a netip.Addr) bool { return usable(f, ifi, a) })
}

// usable reports whether packets can be sent from the address: the kernel binds
// no socket to one that is tentative. IPv4 has no such thing, and other errors
// show again when the socket is made.
func usable(f family, ifi *net.Interface, a netip.Addr) bool {
	if a.Is4() {
		return true
	}
	fd, err := openSocket(f, ifi)
	if err != nil {
		return true
	}
	defer unix.Close(fd)
	return !errors.Is(unix.Bind(fd, f.sockaddr(a, ifi.Index)), unix.EADDRNOTAVAIL)
}

func (s *socket) Source() netip.Addr { return s.source }

// SetReadDeadline sets the alarm for a time to come. One that rang just now may
// end the wait before its time.
func (s *socket) SetReadDeadline(t time.Time) error {
	wait := time.Until(t)
	if t.IsZero() || wait <= 0 {
		return s.file.SetReadDeadline(t)
	}
	if err := s.file.SetReadDeadline(time.Time{}); err != nil {
		return err
	}
	return s.alarm.set(wait)
}

// ring ends the wait that the alarm was set for.
func (s *socket) ring() {
	// It fails only on a closed socket, which nobody waits on.
	_ = s.file.SetReadDeadline(time.Unix(1, 0))
}

func (s *socket) Close() error {
	if s.alarm != nil {
		s.alarm.close()
	}
	return s.file.Close()
}

func (s *socket) Read() (Packet, error) { return s.receive(true) }

func (s *socket) Poll() (Packet, error) {
	// A deadline that has passed would refuse the descriptor too.
	if err := s.file.SetReadDeadline(time.Time{}); err != nil {
		return Packet{}, err
	}
	return s.receive(false)
}

// receive reads one packet, and waits for it if told to.
func (s *socket) receive(wait bool) (Packet, error) {
	var n, controls int
	var from unix.Sockaddr
	var errno error
	err := s.raw.Read(func(fd uintptr) bool {
		for {
			n, controls, _, from, errno = unix.Recvmsg(int(fd), s.in[:], s.control[:], 0)
			if !errors.Is(errno, unix.EINTR) {
				return !wait || !errors.Is(errno, unix.EAGAIN)
			}
		}
	})
	switch {
	case err != nil:
		return Packet{}, err
	case errors.Is(errno, unix.EAGAIN):
		return Packet{}, os.ErrDeadlineExceeded
	case errno != nil:
		return Packet{}, os.NewSyscallError("recvmsg", errno)
	}
	p := s.family.packet(s.in[:n], s.control[:controls], from)
	p.Received = time.Now()
	return p, nil
}

func (s *socket) Write(message []byte, to netip.Addr) error {
	var errno error
	err := s.raw.Write(func(fd uintptr) bool {
		errno = s.family.send(int(fd), message, s.source, to, s.index)
		return true // whatever it is: never wait
	})
	if err == nil {
		err = os.NewSyscallError("send", errno)
	}
	if err != nil {
		return fmt.Errorf("send to %v on %s: %w", to, s.ifname, err)
	}
	return nil
}

// Mute drops packets before they are queued: what the kernel drops in the sender's
// time costs this process nothing.
func (s *socket) Mute(m Mute) error {
	var failed error
	err := s.raw.Control(func(fd uintptr) { failed = attachFilter(int(fd), s.family, s.vrid, m) })
	return errors.Join(err, failed)
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
