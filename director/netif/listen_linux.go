package netif

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"github.com/mdlayher/packet"
	"github.com/vishvananda/netlink"
	"golang.org/x/net/ipv6"
	"golang.org/x/sys/unix"
)

// ownInterval is how long the hardware addresses of this host are remembered.
const ownInterval = time.Second

// Listen calls claimed for every ARP packet and neighbour advertisement that
// comes in on the interface and in which another host says that it has an
// address for which held returns true. It returns when ctx ends, or with an
// error when nothing can be heard. Both functions must not block; they may be
// called from two goroutines at once.
func Listen(ctx context.Context, ifname string, held func(netip.Addr) bool, claimed func(Claim)) error {
	there, err := askLink(ifname)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", ifname, err)
	}
	if there.silent() {
		<-ctx.Done()
		return context.Cause(ctx)
	}
	handle, err := openHandle()
	if err != nil {
		return fmt.Errorf("listen on %s: %w", ifname, err)
	}
	defer handle.Close()
	l := &listener{handle: handle, ifname: ifname, held: held, claimed: claimed}
	arp, err := packet.Listen(&net.Interface{Index: there.index, Name: ifname}, packet.Raw, unix.ETH_P_ARP, nil)
	if err != nil {
		return fmt.Errorf("listen for ARP on %s: %w", ifname, err)
	}
	ndp, err := listenNDP(ctx, ifname)
	if err != nil {
		return fmt.Errorf("listen for neighbour advertisements on %s: %w", ifname, errors.Join(err, arp.Close()))
	}
	// The first that fails ends the other.
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var reading sync.WaitGroup
	reading.Go(func() { cancel(l.read(ctx, arp, readARP)) })
	if ndp != nil {
		reading.Go(func() { cancel(l.read(ctx, ndp, readAdvertisement)) })
	}
	reading.Wait()
	return fmt.Errorf("listen on %s: %w", ifname, context.Cause(ctx))
}

// listenNDP opens a socket that gets neighbour advertisements on the interface;
// nil where this host has no IPv6.
func listenNDP(ctx context.Context, ifname string) (*ndpConn, error) {
	bind := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		var bound error
		err := raw.Control(func(fd uintptr) { bound = unix.BindToDevice(int(fd), ifname) })
		return errors.Join(err, bound)
	}}
	conn, err := bind.ListenPacket(ctx, "ip6:ipv6-icmp", "::")
	if errors.Is(err, unix.EAFNOSUPPORT) || errors.Is(err, unix.EADDRNOTAVAIL) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var filter ipv6.ICMPFilter
	filter.SetAll(true)
	filter.Accept(ipv6.ICMPTypeNeighborAdvertisement)
	p := ipv6.NewPacketConn(conn)
	if err := errors.Join(p.SetICMPFilter(&filter), p.SetControlMessage(ipv6.FlagHopLimit, true)); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return &ndpConn{p}, nil
}

// ndpConn is a socket for messages of neighbour discovery.
type ndpConn struct{ *ipv6.PacketConn }

// ReadFrom returns the next message that no router has forwarded (RFC 4861
// section 7.1.2).
func (c *ndpConn) ReadFrom(buffer []byte) (int, net.Addr, error) {
	for {
		n, control, from, err := c.PacketConn.ReadFrom(buffer)
		if err != nil || control != nil && control.HopLimit == ndpHopLimit {
			return n, from, err
		}
	}
}

// conn is what a listener needs of a socket.
type conn interface {
	ReadFrom(buffer []byte) (int, net.Addr, error)
	SetReadDeadline(t time.Time) error
	Close() error
}

// listener judges what is heard on one interface.
type listener struct {
	handle  *netlink.Handle
	ifname  string
	held    func(netip.Addr) bool
	claimed func(Claim)

	mu    sync.Mutex
	own   map[MAC]struct{}
	ownAt time.Time
}

// read takes packets until ctx ends or the socket fails, and closes it.
func (l *listener) read(ctx context.Context, conn conn, parse func([]byte) (Claim, bool)) error {
	defer func() { _ = conn.Close() }()
	unhook := context.AfterFunc(ctx, func() { _ = conn.SetReadDeadline(time.Unix(1, 0)) })
	defer unhook()
	buffer := make([]byte, 1<<11)
	for {
		n, _, err := conn.ReadFrom(buffer)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			return err
		}
		claim, ok := parse(buffer[:n])
		if ok && l.held(claim.Addr) && !l.isOwn(claim.MAC) {
			claim.Interface = l.ifname
			l.claimed(claim)
		}
	}
}

// isOwn reports whether an interface of this host has the hardware address.
func (l *listener) isOwn(mac MAC) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if time.Since(l.ownAt) > ownInterval {
		links, err := l.handle.LinkList()
		if err != nil {
			return true // unknown: accuse nobody
		}
		l.own, l.ownAt = make(map[MAC]struct{}, len(links)), time.Now()
		for _, link := range links {
			if own, ok := macOf(link.Attrs().HardwareAddr); ok {
				l.own[own] = struct{}{}
			}
		}
	}
	_, own := l.own[mac]
	return own
}
