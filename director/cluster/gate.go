package cluster

import (
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"
)

// The bounds on what one node may open here. A node needs a connection or two.
const (
	maxConnections = 8
	// handshakeBurst connections may come at once, and then one for each
	// handshakePause.
	handshakeBurst = 20
	handshakePause = 200 * time.Millisecond
	// quietFor is how long nothing more is logged of those that were turned away.
	quietFor = time.Minute
)

// gate admits connections from the nodes' addresses, and not too many of them. Others
// are closed before a byte is read.
type gate struct {
	net.Listener
	log *slog.Logger

	mu     sync.Mutex
	guests map[netip.Addr]*guest
	// silent is until when nothing is logged, turned how many were turned away
	// since the last line.
	silent time.Time
	turned int
}

// guest is an address that may come in.
type guest struct {
	open int
	// full is when it may open handshakeBurst at once again.
	full time.Time
}

func newGate(listener net.Listener, peers []*peer, log *slog.Logger) *gate {
	g := &gate{Listener: listener, log: log, guests: map[netip.Addr]*guest{}}
	for _, p := range peers {
		g.guests[p.address.Addr()] = &guest{}
	}
	return g
}

// Accept returns the next connection that is admitted.
func (g *gate) Accept() (net.Conn, error) {
	for {
		conn, err := g.Listener.Accept()
		if err != nil {
			return nil, err
		}
		from := addressOf(conn.RemoteAddr())
		leave, why := g.enter(from)
		if why == "" {
			return &admitted{Conn: conn, leave: leave}, nil
		}
		_ = conn.Close()
		g.turnedAway(from, why)
	}
}

// enter admits a connection, or says why not. Leave is to be called when it ends.
func (g *gate) enter(from netip.Addr) (leave func(), why string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	v := g.guests[from]
	if v == nil {
		return nil, "it is not the address of a node"
	}
	if v.open >= maxConnections {
		return nil, "it has too many connections"
	}
	now := time.Now()
	if v.full.Before(now) {
		v.full = now
	}
	if v.full.Sub(now) > (handshakeBurst-1)*handshakePause {
		return nil, "it connects too often"
	}
	v.full = v.full.Add(handshakePause)
	v.open++
	return sync.OnceFunc(func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		v.open--
	}), ""
}

// turnedAway logs that, once a minute at most: anybody can knock.
func (g *gate) turnedAway(from netip.Addr, why string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.turned++
	if now := time.Now(); now.After(g.silent) {
		g.log.Warn("turned away from the cluster channel", "address", from, "reason", why, "count", g.turned)
		g.silent, g.turned = now.Add(quietFor), 0
	}
}

// admitted is a connection that counts until it is closed.
type admitted struct {
	net.Conn
	leave func()
}

// Close closes the connection.
func (a *admitted) Close() error {
	a.leave()
	return a.Conn.Close()
}

// addressOf is the address without port; invalid if it has none.
func addressOf(a net.Addr) netip.Addr {
	if a, ok := a.(*net.TCPAddr); ok {
		return a.AddrPort().Addr().Unmap()
	}
	return netip.Addr{}
}
