package probe

import (
	"context"
	"crypto/x509"
	"net"
	"net/netip"
	"time"
)

// dialer is where the connection of every probe begins.
type dialer struct {
	route Route
	// said takes the dialogue down.
	said *transcript

	// What follows is for tests, and has its zero value in use.

	// connect opens the connection; nil is the kernel's TCP.
	connect func(context.Context, netip.AddrPort) (net.Conn, error)
	// roots are the authorities trusted; nil is the system's.
	roots *x509.CertPool
}

// dial connects to target. The connection ends with ctx: at its deadline and
// when it is cancelled, every read and write returns.
func (d dialer) dial(ctx context.Context, target netip.AddrPort) (*boundConn, error) {
	connect := d.connect
	if connect == nil {
		connect = connectTCP
	}
	conn, err := connect(ctx, target)
	if err != nil {
		return nil, connectFailed(err)
	}
	return bind(ctx, conn), nil
}

func connectTCP(ctx context.Context, target netip.AddrPort) (net.Conn, error) {
	// A probe is too short for TCP keepalive to matter: save the system calls.
	d := net.Dialer{KeepAlive: -1}
	return d.DialContext(ctx, "tcp", target.String())
}

// boundConn is a connection whose reads and writes end with a context.
type boundConn struct {
	net.Conn
	release func() bool
	done    chan struct{}
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

// Close closes the connection and waits for what watched the context.
func (b *boundConn) Close() error {
	if !b.release() {
		<-b.done
	}
	return b.Conn.Close()
}

// Abort closes the connection with a reset, which leaves no TIME_WAIT on this
// host, even when it is the first to close.
func (b *boundConn) Abort() error {
	if tcp, ok := b.Conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	return b.Close()
}
