package segment

import (
	"encoding/binary"
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// longestPacket is the longest packet that is read whole: 255 IPv6 addresses
// with every header and trailer.
const longestPacket = 8192

// Listener hears every packet of VRRP that enters or leaves the interfaces of
// this host, whoever it is for: it is a packet socket, which sees them before
// the network layer does. One goroutine uses it.
type Listener struct {
	file  *os.File
	raw   syscall.RawConn
	links *links
	in    [longestPacket]byte
}

// Listen opens a Listener on the interfaces with these names; without any, on
// all that are up, now or later, and neither loopback nor part of another. It
// needs CAP_NET_RAW and uses the network namespace of the calling thread. Close
// ends it.
func Listen(interfaces ...string) (*Listener, error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("packet socket (needs CAP_NET_RAW): %w", err)
	}
	l := &Listener{file: os.NewFile(uintptr(fd), "packet socket")}
	if err := l.open(fd, interfaces); err != nil {
		_ = l.Close()
		return nil, err
	}
	return l, nil
}

func (l *Listener) open(fd int, interfaces []string) (err error) {
	if l.raw, err = l.file.SyscallConn(); err != nil {
		return fmt.Errorf("packet socket: %w", err)
	}
	if l.links, err = openLinks(fd, interfaces); err != nil {
		return err
	}
	// It filters before it binds, so that nothing else is ever queued.
	if err := attachFilter(fd); err != nil {
		return fmt.Errorf("packet socket: filter: %w", err)
	}
	// A socket for one protocol would not see what this host sends.
	var all [2]byte
	binary.BigEndian.PutUint16(all[:], unix.ETH_P_ALL)
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: binary.NativeEndian.Uint16(all[:])}); err != nil {
		return fmt.Errorf("packet socket: bind: %w", err)
	}
	return nil
}

// Close closes the Listener.
func (l *Listener) Close() error {
	if l.links != nil {
		l.links.close()
	}
	return l.file.Close()
}

// Read waits for a packet until the deadline, then it returns
// os.ErrDeadlineExceeded. The packet's Payload is valid until the next Read.
func (l *Listener) Read(deadline time.Time) (Packet, error) {
	if err := l.file.SetReadDeadline(deadline); err != nil {
		return Packet{}, fmt.Errorf("packet socket: %w", err)
	}
	for {
		n, from, err := l.receive()
		if err != nil {
			return Packet{}, fmt.Errorf("packet socket: %w", err)
		}
		p, ok := Parse(l.in[:n])
		if !ok {
			continue
		}
		p.Received = time.Now()
		p.Outgoing = from.Pkttype == unix.PACKET_OUTGOING
		if p.Interface, ok = l.links.watched(from.Ifindex, p.Received); ok {
			return p, nil
		}
	}
}

func (l *Listener) receive() (n int, from *unix.SockaddrLinklayer, err error) {
	var errno error
	var address unix.Sockaddr
	err = l.raw.Read(func(fd uintptr) bool {
		n, address, errno = unix.Recvfrom(int(fd), l.in[:], unix.MSG_DONTWAIT)
		return errno != unix.EAGAIN && errno != unix.EINTR
	})
	if err == nil && errno != nil {
		err = os.NewSyscallError("recvfrom", errno)
	}
	if err != nil {
		return 0, nil, err
	}
	from, ok := address.(*unix.SockaddrLinklayer)
	if !ok {
		return 0, nil, fmt.Errorf("sender %T", address)
	}
	return n, from, nil
}
