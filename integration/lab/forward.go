package lab

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
)

// Forward carries the connections that a listener outside accepts to a TCP
// address inside the host. It returns when the context ends, after the listener
// and all connections have been closed. A connection that nobody takes inside is
// closed.
func (h *Host) Forward(ctx context.Context, l *net.TCPListener, to netip.AddrPort) error {
	var connections sync.WaitGroup
	defer connections.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(ctx, func() { _ = l.Close() })()
	defer l.Close()
	for {
		outer, err := l.AcceptTCP()
		if err != nil && ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("forward to %s of host %s: %w", to, h.Name, err)
		}
		connections.Go(func() { h.carry(ctx, outer, to) })
	}
}

// carry connects one connection with the address inside until both have said
// all, or the context ends.
func (h *Host) carry(ctx context.Context, outer *net.TCPConn, to netip.AddrPort) {
	defer outer.Close()
	var inner *net.TCPConn
	err := h.Do(func() (err error) {
		inner, err = new(net.Dialer).DialTCP(ctx, "tcp", netip.AddrPort{}, to)
		return err
	})
	if err != nil {
		return
	}
	defer inner.Close()
	defer context.AfterFunc(ctx, func() {
		_ = outer.Close()
		_ = inner.Close()
	})()
	var out sync.WaitGroup
	defer out.Wait()
	out.Go(func() { pass(outer, inner) })
	pass(inner, outer)
}

// pass copies what one side says and tells the other when that is all.
func pass(to, from *net.TCPConn) {
	_, _ = io.Copy(to, from)
	_ = to.CloseWrite()
}
