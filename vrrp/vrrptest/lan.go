// Package vrrptest is a LAN in memory, for tests of virtual routers: ports that
// are vrrp.Conns, cables that can be cut, hosts that can be stopped. In a
// testing/synctest bubble its time is the bubble's.
package vrrptest

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/lvsd/lvsd/vrrp"
)

// Frame is a message as it was sent.
type Frame struct {
	At       time.Time
	From, To netip.Addr
	Message  []byte
}

// LAN is one segment. A frame reaches every other connected port at once, in
// the order of sending. Its methods are safe for concurrent use.
type LAN struct {
	mu    sync.Mutex
	ports map[netip.Addr]*port
	cut   map[[2]netip.Addr]bool
	down  map[netip.Addr]bool
	froze map[netip.Addr]chan struct{}
	sent  []Frame
	tap   func(Frame)
}

// New makes an empty LAN.
func New() *LAN {
	return &LAN{
		ports: make(map[netip.Addr]*port),
		cut:   make(map[[2]netip.Addr]bool),
		down:  make(map[netip.Addr]bool),
		froze: make(map[netip.Addr]chan struct{}),
	}
}

// Dial is a vrrp.DialFunc for the host with this address, IPv4 or IPv6. Its port
// hears the group of the router's configuration, or in unicast mode what is sent
// to the host. A second port of a host replaces its first, as a restarted
// process does.
func (l *LAN) Dial(host netip.Addr) vrrp.DialFunc {
	return func(ifname string, c vrrp.Config) (vrrp.Conn, error) {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.down[host] {
			return nil, fmt.Errorf("interface %s: down", ifname)
		}
		p := &port{lan: l, host: host, hears: c.MulticastGroup(), changed: make(chan struct{})}
		if c.Unicast() {
			p.hears = host
		}
		l.ports[host] = p
		return p, nil
	}
}

// Cut stops what from sends from reaching to; Join lets it through again. Each
// is one direction.
func (l *LAN) Cut(from, to netip.Addr) { l.set(func() { l.cut[[2]netip.Addr{from, to}] = true }) }

// Join undoes Cut.
func (l *LAN) Join(from, to netip.Addr) { l.set(func() { delete(l.cut, [2]netip.Addr{from, to}) }) }

// Down takes the host's interface down; Raise brings it up.
func (l *LAN) Down(host netip.Addr) { l.set(func() { l.down[host] = true }) }

// Raise undoes Down.
func (l *LAN) Raise(host netip.Addr) { l.set(func() { delete(l.down, host) }) }

// Stop freezes the process on the host, as SIGSTOP does: its calls hang, what is
// sent to it queues. Continue lets it go on.
func (l *LAN) Stop(host netip.Addr) { l.set(func() { l.froze[host] = make(chan struct{}) }) }

// Continue undoes Stop.
func (l *LAN) Continue(host netip.Addr) {
	l.set(func() {
		close(l.froze[host])
		delete(l.froze, host)
	})
}

// Sent is every frame so far.
func (l *LAN) Sent() []Frame {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.sent)
}

// Tap has f called with every frame that is sent, in the sender's goroutine. f
// must not call the LAN.
func (l *LAN) Tap(f func(Frame)) { l.set(func() { l.tap = f }) }

// Break makes the host's port fail its next read, and every one after.
func (l *LAN) Break(host netip.Addr, err error) {
	l.set(func() { l.ports[host].change(func() { l.ports[host].broken = err }) })
}

// Inject delivers a message to every port as if from sent it with this TTL, to
// from's own port too.
func (l *LAN) Inject(from, to netip.Addr, ttl uint8, message []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.deliver(nil, from, to, ttl, message)
}

func (l *LAN) set(change func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change()
}

// deliver hands a message to every port but the sender's. It needs l.mu.
func (l *LAN) deliver(sender *port, from, to netip.Addr, ttl uint8, message []byte) {
	for host, p := range l.ports {
		if p == sender || to != p.hears || l.down[host] || l.cut[[2]netip.Addr{from, host}] {
			continue
		}
		p.put(vrrp.Packet{Payload: slices.Clone(message), Source: from, Destination: to, TTL: ttl})
	}
}

// port is a host's vrrp.Conn.
type port struct {
	lan   *LAN
	host  netip.Addr
	hears netip.Addr // the destination of what it gets

	mu       sync.Mutex
	queue    []vrrp.Packet
	deadline time.Time
	broken   error
	changed  chan struct{} // closed at the next change of the above
}

var errClosed = errors.New("port is closed")

func (p *port) put(packet vrrp.Packet) {
	p.change(func() { p.queue = append(p.queue, packet) })
}

func (p *port) change(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
	close(p.changed)
	p.changed = make(chan struct{})
}

// hang waits while the host is stopped.
func (p *port) hang() {
	p.lan.mu.Lock()
	froze := p.lan.froze[p.host]
	p.lan.mu.Unlock()
	if froze != nil {
		<-froze
	}
}

func (p *port) Source() netip.Addr { return p.host }

func (p *port) SetReadDeadline(t time.Time) error {
	p.change(func() { p.deadline = t })
	return nil
}

func (p *port) Read() (vrrp.Packet, error) {
	for {
		p.hang()
		p.mu.Lock()
		deadline, changed := p.deadline, p.changed
		late := !deadline.IsZero() && !time.Now().Before(deadline)
		p.mu.Unlock()
		if late {
			return vrrp.Packet{}, os.ErrDeadlineExceeded
		}
		if packet, err := p.Poll(); !errors.Is(err, os.ErrDeadlineExceeded) {
			return packet, err
		}
		if deadline.IsZero() {
			<-changed
			continue
		}
		timer := time.NewTimer(time.Until(deadline))
		select {
		case <-changed:
		case <-timer.C:
		}
		timer.Stop()
	}
}

func (p *port) Poll() (vrrp.Packet, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.broken != nil {
		return vrrp.Packet{}, p.broken
	}
	if len(p.queue) == 0 {
		return vrrp.Packet{}, os.ErrDeadlineExceeded
	}
	packet := p.queue[0]
	p.queue = p.queue[1:]
	packet.Received = time.Now()
	return packet, nil
}

func (p *port) Write(message []byte, to netip.Addr) error {
	p.hang()
	l := p.lan
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.ports[p.host] != p:
		return errClosed
	case l.down[p.host]:
		return fmt.Errorf("send to %v: network is down", to)
	}
	f := Frame{At: time.Now(), From: p.host, To: to, Message: slices.Clone(message)}
	l.sent = append(l.sent, f)
	if l.tap != nil {
		l.tap(f)
	}
	l.deliver(p, p.host, to, vrrp.TTL, message)
	return nil
}

func (p *port) Up() error {
	p.lan.mu.Lock()
	defer p.lan.mu.Unlock()
	if p.lan.down[p.host] {
		return errors.New("interface is down")
	}
	return nil
}

func (p *port) Close() error {
	p.lan.mu.Lock()
	defer p.lan.mu.Unlock()
	if p.lan.ports[p.host] == p {
		delete(p.lan.ports, p.host)
	}
	return nil
}
