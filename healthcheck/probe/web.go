package probe

import (
	"context"
	"net"
	"net/netip"
)

// webConn is a connection that HTTP is spoken over, with or without TLS.
type webConn struct {
	net.Conn
	bound   *boundConn
	warning string
}

// Close closes what carries the connection, which is all there is to it.
func (c webConn) Close() error { return c.bound.Close() }

// dialWeb connects to target for the host. Where protocols are offered, the
// server must agree to the first.
func (d dialer) dialWeb(ctx context.Context, to netip.AddrPort, secure bool, o TLS, host string, protocols ...string) (webConn, error) {
	bound, err := d.dial(ctx, to)
	if err != nil {
		return webConn{}, err
	}
	if !secure {
		return webConn{Conn: bound, bound: bound}, nil
	}
	conn, warning, err := d.startTLS(bound, o, hostName(host), protocols...)
	if err == nil && len(protocols) > 0 && conn.ConnectionState().NegotiatedProtocol != protocols[0] {
		err = &failure{L6RSP, "tls: the server does not agree to " + protocols[0] + " (ALPN)"}
	}
	if err != nil {
		bound.Close()
		return webConn{}, err
	}
	return webConn{Conn: conn, bound: bound, warning: warning}, nil
}

// hostHeader is the target as a Host header, with its port unless that is the
// scheme's own.
func hostHeader(to netip.AddrPort, secure bool) string {
	own := uint16(80)
	if secure {
		own = 443
	}
	address := to.Addr().WithZone("") // a zone means nothing to the server
	switch {
	case to.Port() != own:
		return netip.AddrPortFrom(address, to.Port()).String()
	case address.Is4():
		return address.String()
	}
	return "[" + address.String() + "]"
}
