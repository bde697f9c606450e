package cluster

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/director"
)

const testKey = config.Secret("correct horse battery staple")

// node is one node of a cluster of tests: it keeps overrides as a director does.
type node struct {
	name    string
	channel *Channel
	log     *buffer

	mu        sync.Mutex
	overrides map[director.Target]director.Override
	report    director.NodeReport
	events    []director.Event
	refuses   error // what Merge fails with
	hangs     bool  // Merge does not come back
	agreed    int   // how often it was told so
	asked     int   // how often Overrides was called
	deaf      bool  // Merge leaves all out

	end func()
}

func newNode(name string, n network) *node {
	self := &node{name: name, overrides: map[director.Target]director.Override{}, log: &buffer{}}
	self.report = director.NodeReport{Version: "1.0", ConfigHash: "00c0ffee", Ready: true, Roles: map[string]string{"VI_1": "backup"}}
	self.channel = New(self, slog.New(slog.NewTextHandler(self.log, nil)))
	self.channel.network = n
	return self
}

func (n *node) Report() director.NodeReport {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.report
}

func (n *node) Agreed() { n.change(func(n *node) { n.agreed++ }) }

func (n *node) Overrides() []director.Override {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.asked++
	return slices.SortedFunc(maps.Values(n.overrides), func(a, b director.Override) int {
		return cmp.Or(cmp.Compare(a.Target.Service, b.Target.Service), cmp.Compare(a.Target.Server, b.Target.Server))
	})
}

func (n *node) Merge(ctx context.Context, overrides []director.Override) (bool, error) {
	n.mu.Lock()
	hangs := n.hangs
	n.mu.Unlock()
	if hangs {
		<-ctx.Done()
		return false, ctx.Err()
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.refuses != nil {
		return false, n.refuses
	}
	changed := false
	if n.deaf {
		return false, nil
	}
	for _, o := range overrides {
		have, known := n.overrides[o.Target]
		if !known || cmp.Or(o.At.Compare(have.At), cmp.Compare(o.Node, have.Node)) > 0 {
			n.overrides[o.Target], changed = o, true
		}
	}
	return changed, nil
}

func (n *node) Record(event director.Event) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.events = append(n.events, event)
}

// order makes an override here and spreads it.
func (n *node) order(ctx context.Context, server string, state director.AdminState, at time.Time) (told []string, untold map[string]string) {
	o := director.Override{Target: director.Target{Service: "web", Server: server}, State: state, Node: n.name, At: at}
	_, _ = n.Merge(ctx, []director.Override{o})
	return n.channel.Spread(ctx, []director.Override{o})
}

func (n *node) change(what func(*node)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	what(n)
}

// takeEvents are the texts of the events since it was last called.
func (n *node) takeEvents() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	var texts []string
	for _, e := range n.events {
		texts = append(texts, fmt.Sprintf("%s %s %s>%s: %s", e.Severity, e.Kind, e.From, e.To, e.Text))
	}
	n.events = nil
	return texts
}

// run runs the channel until the returned function is called, which waits.
func (n *node) run(t *testing.T, c *config.Cluster) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- n.channel.Run(ctx, c) }()
	n.end = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("%s ended with %v", n.name, err)
		}
	})
}

// other is what the node knows of another one.
func (n *node) other(name string) director.NodeStatus {
	for _, status := range n.channel.Nodes() {
		if status.Name == name {
			return status
		}
	}
	return director.NodeStatus{}
}

// clusterOf are nodes named a, b, c and so on, at the addresses.
func clusterOf(self string, addresses []netip.Addr) *config.Cluster {
	c := &config.Cluster{Nodes: map[string]netip.Addr{}, Self: self, Port: 9468, Key: testKey, Interval: 2 * time.Second}
	for i, address := range addresses {
		c.Nodes[nameOf(i)] = address
	}
	return c
}

func nameOf(i int) string { return string(rune('a' + i)) }

// buffer is a log that can be read while it is written.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func (b *buffer) count(text string) int { return strings.Count(b.String(), text) }

// wires is a network in memory, for virtual time.
type wires struct {
	mu        sync.Mutex
	listeners map[netip.AddrPort]*wireListener
	// cut are pairs between which nothing passes: who dials hears nothing.
	cut map[[2]netip.Addr]bool
	// absent are addresses that no host has yet.
	absent map[netip.Addr]bool
	conns  []*wire
	// dialed are the times of attempts to reach an address.
	dialed map[netip.Addr][]time.Time
	// dialing counts the attempts under way from an address.
	dialing map[netip.Addr]int
}

func newWires() *wires {
	return &wires{
		listeners: map[netip.AddrPort]*wireListener{}, cut: map[[2]netip.Addr]bool{},
		absent: map[netip.Addr]bool{}, dialed: map[netip.Addr][]time.Time{}, dialing: map[netip.Addr]int{},
	}
}

// wire is one end of a connection.
type wire struct {
	net.Conn
	local, remote netip.AddrPort
}

func (w *wire) LocalAddr() net.Addr  { return net.TCPAddrFromAddrPort(w.local) }
func (w *wire) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(w.remote) }

type wireListener struct {
	wires  *wires
	on     netip.AddrPort
	queue  chan net.Conn
	closed chan struct{}
	close  func()
}

func (l *wireListener) Addr() net.Addr { return net.TCPAddrFromAddrPort(l.on) }

func (l *wireListener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.queue:
		return conn, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *wireListener) Close() error {
	l.close()
	return nil
}

func (w *wires) listen(_ context.Context, on netip.AddrPort) (net.Listener, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.absent[on.Addr()]:
		return nil, &net.OpError{Op: "listen", Err: syscall.EADDRNOTAVAIL}
	case w.listeners[on] != nil:
		return nil, &net.OpError{Op: "listen", Err: syscall.EADDRINUSE}
	}
	l := &wireListener{wires: w, on: on, queue: make(chan net.Conn), closed: make(chan struct{})}
	l.close = sync.OnceFunc(func() {
		close(l.closed)
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.listeners, on)
	})
	w.listeners[on] = l
	return l, nil
}

func (w *wires) dial(ctx context.Context, from netip.Addr, to netip.AddrPort) (net.Conn, error) {
	w.mu.Lock()
	w.dialing[from]++
	defer func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.dialing[from]--
	}()
	w.dialed[to.Addr()] = append(w.dialed[to.Addr()], time.Now())
	l, cut, absent := w.listeners[to], w.cut[pairOf(from, to.Addr())], w.absent[from]
	w.mu.Unlock()
	switch {
	case absent:
		return nil, &net.OpError{Op: "dial", Err: syscall.EADDRNOTAVAIL}
	case cut:
		<-ctx.Done()
		return nil, ctx.Err()
	case l == nil:
		return nil, &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	}
	here, there := net.Pipe()
	source := netip.AddrPortFrom(from, 40000)
	near, far := &wire{here, source, to}, &wire{there, to, source}
	select {
	case l.queue <- far:
	case <-l.closed:
		return nil, &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	w.keep(near, far)
	return near, nil
}

func (w *wires) keep(ends ...*wire) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.conns = append(w.conns, ends...)
}

func pairOf(a, b netip.Addr) [2]netip.Addr {
	if b.Less(a) {
		a, b = b, a
	}
	return [2]netip.Addr{a, b}
}

// separate cuts two addresses off from each other, or joins them again.
func (w *wires) separate(a, b netip.Addr, cut bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut[pairOf(a, b)] = cut
	if cut {
		for _, conn := range w.conns {
			if pairOf(conn.local.Addr(), conn.remote.Addr()) == pairOf(a, b) {
				_ = conn.Close()
			}
		}
	}
}

func (w *wires) countDialed(to netip.Addr) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.dialed[to])
}

func (w *wires) takeDialed(to netip.Addr) []time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := w.dialed[to]
	delete(w.dialed, to)
	return all
}
