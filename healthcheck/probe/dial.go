package probe

import (
	"context"
	"crypto/x509"
	"errors"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// dialer is where the connection of every probe begins.
type dialer struct {
	route Route
	// said takes the dialogue down.
	said *transcript

	// What follows is for tests, and has its zero value in use.

	// connect opens the connection, of any protocol; nil is the kernel's.
	connect func(context.Context, netip.AddrPort) (net.Conn, error)
	// roots are the authorities trusted; nil is the system's.
	roots *x509.CertPool
}

// dial connects to target over TCP. The connection ends with ctx: at its
// deadline and when it is cancelled, every read and write returns.
func (d dialer) dial(ctx context.Context, target netip.AddrPort) (*boundConn, error) {
	return d.open(ctx, target, d.route.connectTCP)
}

// dialUDP is dial over UDP: the kernel passes on datagrams of the target only,
// and what ICMP says of those sent is the error of the next read or write.
func (d dialer) dialUDP(ctx context.Context, target netip.AddrPort) (*boundConn, error) {
	return d.open(ctx, target, d.route.connectUDP)
}

func (d dialer) open(ctx context.Context, target netip.AddrPort, connect func(context.Context, netip.AddrPort) (net.Conn, error)) (*boundConn, error) {
	if d.connect != nil {
		connect = d.connect
	}
	conn, err := connect(ctx, target)
	var f *failure
	switch {
	case errors.As(err, &f): // the route's
		return nil, f
	case err != nil:
		return nil, connectFailed(err)
	}
	if d.route != (Route{}) {
		d.said.did("connected%v", d.route)
	}
	b := bind(ctx, conn)
	b.leaveNothing = d.route.Source.Port() != 0
	return b, nil
}

func (r Route) connectTCP(ctx context.Context, target netip.AddrPort) (net.Conn, error) {
	// A probe is too short for TCP keepalive to matter: save the system calls.
	return r.connect(ctx, "tcp", target, net.Dialer{KeepAlive: -1}, func(int) error { return nil })
}

func (r Route) connectUDP(ctx context.Context, target netip.AddrPort) (net.Conn, error) {
	return r.connect(ctx, "udp", target, net.Dialer{}, func(fd int) error {
		return hearICMP(fd, target.Addr())
	})
}

func (r Route) connect(ctx context.Context, network string, target netip.AddrPort, d net.Dialer, prepare func(fd int) error) (net.Conn, error) {
	target = netip.AddrPortFrom(target.Addr().Unmap(), target.Port())
	if zone := target.Addr().Zone(); zone != "" {
		// Package net remembers the interfaces, for longer than they live.
		index, err := zoneIndex(zone)
		if err != nil {
			return nil, err
		}
		zone = strconv.FormatUint(uint64(index), 10)
		target = netip.AddrPortFrom(target.Addr().WithZone(zone), target.Port())
	}
	d.Control = func(_, _ string, socket syscall.RawConn) error {
		var err error
		if outer := socket.Control(func(fd uintptr) {
			err = errors.Join(r.prepare(int(fd), target.Addr()), prepare(int(fd)))
		}); outer != nil {
			return outer
		}
		return err
	}
	return d.DialContext(ctx, network, target.String())
}

// boundConn is a connection whose reads and writes end with a context.
type boundConn struct {
	net.Conn
	release func() bool
	done    chan struct{}
	once    sync.Once
	// leaveNothing closes with a reset.
	leaveNothing bool
}

func bind(ctx context.Context, conn net.Conn) *boundConn {
	b := &boundConn{Conn: conn, done: make(chan struct{})}
	b.release = context.AfterFunc(ctx, func() {
		// Only a closed connection refuses, and then there is nothing to end.
		_ = conn.SetDeadline(time.Unix(1, 0))
		close(b.done)
	})
	return b
}

// Close closes the connection and waits for what watched the context. With a
// source port of its own it closes by reset: TIME_WAIT would keep the next probe
// from the port.
func (b *boundConn) Close() error {
	b.once.Do(func() {
		if !b.release() {
			<-b.done
		}
	})
	if tcp, ok := b.Conn.(*net.TCPConn); ok && b.leaveNothing {
		_ = tcp.SetLinger(0)
	}
	return b.Conn.Close()
}

// Abort closes the connection with a reset, which leaves no TIME_WAIT on this
// host, even when it is the first to close.
func (b *boundConn) Abort() error {
	b.leaveNothing = true
	return b.Close()
}
