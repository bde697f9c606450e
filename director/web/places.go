package web

import (
	"net"
	"net/netip"
	"sync"
)

// places bounds how many there are at a time, of all clients and of each address, so
// that one client cannot keep the others out.
type places struct {
	all, each int

	mu    sync.Mutex
	taken int
	by    map[netip.Addr]int
}

// take takes a place and reports whether there was one. This host itself has as many
// as all: proxies and tunnels come from there, for many.
func (p *places) take(address netip.Addr) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	who := tryer(address)
	if p.taken >= p.all || p.by[who] >= p.each && !address.IsLoopback() {
		return false
	}
	if p.by == nil {
		p.by = map[netip.Addr]int{}
	}
	p.taken++
	p.by[who]++
	return true
}

// leave gives a place of the address back.
func (p *places) leave(address netip.Addr) {
	p.mu.Lock()
	defer p.mu.Unlock()
	who := tryer(address)
	p.taken--
	if p.by[who]--; p.by[who] == 0 {
		delete(p.by, who)
	}
}

// bounded is a listener that closes connections for which there is no place, at once.
type bounded struct {
	net.Listener
	places *places
}

// Accept waits for a connection that there is a place for.
func (b *bounded) Accept() (net.Conn, error) {
	for {
		connection, err := b.Listener.Accept()
		if err != nil {
			return nil, err
		}
		from := addressOf(connection.RemoteAddr().String())
		if b.places.take(from) {
			return &placed{Conn: connection, leave: sync.OnceFunc(func() { b.places.leave(from) })}, nil
		}
		_ = connection.Close()
	}
}

// placed is a connection that has a place until it is closed.
type placed struct {
	net.Conn
	leave func()
}

// Close gives the place back.
func (p *placed) Close() error {
	defer p.leave()
	return p.Conn.Close()
}
