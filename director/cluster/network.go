package cluster

import (
	"context"
	"net"
	"net/netip"
)

// network is how nodes reach each other.
type network interface {
	// listen accepts connections to the address.
	listen(ctx context.Context, on netip.AddrPort) (net.Listener, error)
	// dial connects from the one address to the other.
	dial(ctx context.Context, from netip.Addr, to netip.AddrPort) (net.Conn, error)
}

// tcp is the kernel's.
type tcp struct{}

func (tcp) listen(ctx context.Context, on netip.AddrPort) (net.Listener, error) {
	var l net.ListenConfig
	return l.Listen(ctx, "tcp", on.String())
}

// dial is from the node's own address always: of several the kernel might choose one
// that the others do not know, or a VIP, which moves.
func (tcp) dial(ctx context.Context, from netip.Addr, to netip.AddrPort) (net.Conn, error) {
	d := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0))}
	return d.DialContext(ctx, "tcp", to.String())
}
