package director

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/lvsd/lvsd/vrrp/vrrptest"
)

// TestCheckNow asks a real server that has just died, whose next check is an hour
// away: when it returns, the kernel knows.
func TestCheckNow(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n := newNode(t, vrrptest.New(), 1)
	n.config.VRRP = nil
	server := &n.config.Services[0].RealServers[0]
	server.Address = netip.MustParseAddrPort(listener.Addr().String())
	server.Checks = append(server.Checks, every(time.Hour, server.Address))
	ctx, cancel := context.WithCancelCause(t.Context())
	ready, ended := make(chan struct{}), make(chan error, 1)
	o := n.new().Options
	o.Config, o.Ready = n.config, func() { close(ready) }
	n.director = New(o)
	go func() { ended <- n.director.Run(ctx) }()
	<-ready
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	explained, err := n.director.CheckNow(t.Context(), "127.0.0.1", "smtp")
	if err != nil {
		t.Fatal(err)
	}
	if s := explained.Servers[0]; s.State != "down" || s.Places[0].Kernel != 0 || s.Checks[0].Code != "L4CON" {
		t.Errorf("%+v", s)
	}
	for _, ask := range [][2]string{{"", "smtp"}, {server.Address.String(), ""}} {
		if _, err := n.director.CheckNow(t.Context(), ask[0], ask[1]); err != nil {
			t.Errorf("%q: %v", ask, err)
		}
	}
	for ask, want := range map[[2]string]error{
		{"", "smpt"}: ErrUnknownService, {"127.0.0.2", ""}: ErrUnknownServer, {"", ""}: ErrBadOrder,
	} {
		if _, err := n.director.CheckNow(t.Context(), ask[0], ask[1]); !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", ask, err, want)
		}
	}
	cancel(context.Canceled)
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
