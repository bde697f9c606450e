package probe

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"syscall"
	"testing"

	"github.com/lvsd/lvsd/healthcheck/servertest"
)

// A dialogue from a port of its own ends with a reset, so that the port is free
// for the next one; others end as they should.
func TestOwnPortLeavesNothing(t *testing.T) {
	for name, test := range map[string]struct {
		kind   Kind
		handle func(net.Conn)
	}{
		"http": {web, afterRequest(func(conn net.Conn) {
			_, _ = io.WriteString(conn, "HTTP/1.1 204 OK\r\n\r\n")
		})},
		"smtp": {mail, script(t, "S: 220 mx\nC: EHLO director.example\nS: 250 mx\nC: QUIT\nS: 221 bye")},
	} {
		for _, port := range []uint16{0, servertest.Refusing(t).Port()} {
			ended := make(chan error, 1)
			request := of(test.kind, servertest.Serve(t, func(conn net.Conn) {
				test.handle(conn)
				_, err := io.Copy(io.Discard, conn)
				ended <- err
			}))
			request.Route.Source = netip.AddrPortFrom(netip.Addr{}, port)
			for range 3 {
				if r := request.Ask(t.Context()); !r.OK {
					t.Fatalf("%s from port %d: %s %s", name, port, r.Code, r.Reason)
				}
				if err := <-ended; errors.Is(err, syscall.ECONNRESET) != (port != 0) {
					t.Errorf("%s from port %d: the server sees it end with %v", name, port, err)
				}
			}
		}
	}
}
