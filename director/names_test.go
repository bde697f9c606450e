package director

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/dns/dnsmessage"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/director/ipvs"
	"github.com/lvsd/lvsd/vrrp/vrrptest"
)

// book answers lookups.
type book struct {
	mu    sync.Mutex
	pages map[string][]netip.Addr
	err   error
	asked int
}

func (b *book) set(host string, addresses ...string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var all []netip.Addr
	for _, a := range addresses {
		all = append(all, netip.MustParseAddr(a))
	}
	b.pages[host] = all
}

func (b *book) fail(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.err = err
}

func (b *book) lookup(_ context.Context, host string) ([]netip.Addr, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asked++
	return b.pages[host], b.err
}

// named is a node whose service has its real servers by name.
func named(t *testing.T, b *book) *node {
	n := newNode(t, vrrptest.New(), 1)
	n.lookup = b.lookup
	n.config.Services[0].RealServers = []config.RealServer{{
		Host: "mx.example", Address: netip.AddrPortFrom(netip.Addr{}, 25), Forwarding: ipvs.DirectRoute, Weight: 4,
	}}
	return n
}

func (n *node) realServers() string {
	var all []string
	for _, server := range n.kernel.now().Services[n.config.Services[0].IPVS.ServiceKey].RealServers {
		all = append(all, server.Address.String())
	}
	return strings.Join(all, " ")
}

func TestRealServersByName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &book{pages: map[string][]netip.Addr{}}
		b.set("mx.example", "192.0.2.12", "192.0.2.11")
		n := named(t, b)
		n.start()
		if got := n.realServers(); got != "192.0.2.11:25 192.0.2.12:25" {
			t.Errorf("at the start %s", got)
		}
		n.kernel.takeDone()

		// Another order is no other answer.
		b.set("mx.example", "192.0.2.11", "192.0.2.12")
		advance(2 * lookupInterval)
		// A name server that fails takes nobody out, and is told of once.
		b.fail(errors.New("server misbehaving"))
		advance(3 * lookupInterval)
		for _, op := range n.kernel.takeDone() {
			if strings.HasPrefix(op, "ipvsadm") {
				t.Errorf("nothing new, but %s", op)
			}
		}
		if told := strings.Count(n.log.String(), "host name not resolved"); told != 1 {
			t.Errorf("told %d times:\n%s", told, n.log)
		}
		hosts := n.director.Status().Hosts
		if len(hosts) != 1 || hosts[0].Error != "server misbehaving" || len(hosts[0].Addresses) != 2 {
			t.Errorf("status %+v", hosts)
		}

		// One goes while it has connections, another comes.
		n.kernel.mu.Lock()
		n.kernel.active["192.0.2.11:25"] = 3
		n.kernel.mu.Unlock()
		b.fail(nil)
		b.set("mx.example", "192.0.2.12", "192.0.2.13")
		advance(lookupInterval)
		want := []string{
			"ipvsadm -e -t 192.0.2.100:25 -r 192.0.2.11:25 -g -w 0",
			"ipvsadm -a -t 192.0.2.100:25 -r 192.0.2.13:25 -g -w 4",
		}
		if diff := cmp.Diff(want, n.kernel.takeDone()); diff != "" {
			t.Errorf("operations (-want +got):\n%s", diff)
		}
		n.kernel.mu.Lock()
		clear(n.kernel.active)
		n.kernel.mu.Unlock()
		advance(2 * time.Second)
		if got := n.realServers(); got != "192.0.2.12:25 192.0.2.13:25" {
			t.Errorf("in the end %s", got)
		}
		n.stop(context.Canceled)
	})
}

// TestNamesOutliveARestart: a successor that cannot ask goes on with what its
// predecessor knew.
func TestNamesOutliveARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &book{pages: map[string][]netip.Addr{}}
		b.set("mx.example", "192.0.2.11")
		n := named(t, b)
		n.start()
		advance(5 * time.Second)
		n.kernel.takeDone()
		n.stop(ErrHandOver)
		b.fail(errors.New("no route to host"))
		n.start()
		advance(5 * time.Second)
		if ops := n.kernel.takeDone(); len(ops) > 0 {
			t.Errorf("the successor changed %v", ops)
		}
		n.stop(context.Canceled)
	})
}

// TestStartDoesNotWaitForNames: a name server that says nothing holds a start up
// for a bounded time; what it says later counts.
func TestStartDoesNotWaitForNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &book{pages: map[string][]netip.Addr{}}
		b.set("mx.example", "192.0.2.11")
		n := named(t, b)
		var silent atomic.Bool
		silent.Store(true)
		n.lookup = func(ctx context.Context, host string) ([]netip.Addr, error) {
			if silent.Load() {
				<-ctx.Done()
				return nil, ctx.Err()
			}
			return b.lookup(ctx, host)
		}
		n.start()
		advance(firstLookups)
		if _, there := n.kernel.now().Services[n.config.Services[0].IPVS.ServiceKey]; !there {
			t.Errorf("the start waits\n%s", n.log)
		}
		silent.Store(false)
		advance(lookupInterval + time.Second)
		if got := n.realServers(); got != "192.0.2.11:25" {
			t.Errorf("real servers %q", got)
		}
		n.stop(context.Canceled)
	})
}

// TestLookupsOfANameServer asks a real one, over the system's resolver.
func TestLookupsOfANameServer(t *testing.T) {
	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		serveNames(conn, map[string][4]byte{"a.example.": {192, 0, 2, 1}, "b.example.": {192, 0, 2, 2}})
	}()
	t.Cleanup(func() {
		_ = conn.Close()
		<-served
	})
	system := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var dialer net.Dialer
		return dialer.DialContext(ctx, "udp4", conn.LocalAddr().String())
	}}
	r := newResolver(func(ctx context.Context, host string) ([]netip.Addr, error) {
		return system.LookupNetIP(ctx, "ip", host)
	}, slog.New(slog.DiscardHandler))
	r.resolve(t.Context(), []string{"a.example.", "b.example.", "absent.example."}, 2*time.Minute)
	want := map[string][]netip.Addr{
		"a.example.": {netip.MustParseAddr("192.0.2.1")}, "b.example.": {netip.MustParseAddr("192.0.2.2")},
	}
	if diff := cmp.Diff(want, r.answers(), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Errorf("answers (-want +got):\n%s", diff)
	}
	status := r.describe([]string{"absent.example."})
	if !strings.Contains(status[0].Error, "no such host") {
		t.Errorf("an absent name: %+v", status)
	}
}

// serveNames answers questions for A records until conn is closed.
func serveNames(conn net.PacketConn, names map[string][4]byte) {
	packet := make([]byte, 1500)
	for {
		n, from, err := conn.ReadFrom(packet)
		if err != nil {
			return
		}
		var m dnsmessage.Message
		if m.Unpack(packet[:n]) != nil || len(m.Questions) != 1 {
			continue
		}
		q := m.Questions[0]
		m.Response, m.Additionals = true, nil
		address, known := names[q.Name.String()]
		switch {
		case !known:
			m.RCode = dnsmessage.RCodeNameError
		case q.Type == dnsmessage.TypeA:
			m.Answers = []dnsmessage.Resource{{
				Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: 1},
				Body:   &dnsmessage.AResource{A: address},
			}}
		}
		if answer, err := m.Pack(); err == nil {
			_, _ = conn.WriteTo(answer, from)
		}
	}
}

func TestLookupsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		flying, most := 0, 0
		r := newResolver(func(ctx context.Context, _ string) ([]netip.Addr, error) {
			mu.Lock()
			flying++
			most = max(most, flying)
			mu.Unlock()
			<-ctx.Done()
			mu.Lock()
			flying--
			mu.Unlock()
			return nil, ctx.Err()
		}, slog.New(slog.DiscardHandler))
		hosts := slices.Repeat([]string{"x"}, 50)
		began := time.Now()
		r.resolve(t.Context(), hosts, time.Minute)
		if most != lookupConcurrency {
			t.Errorf("%d lookups at a time, want %d", most, lookupConcurrency)
		}
		if took := time.Since(began); took != 4*lookupTimeout {
			t.Errorf("took %v, want four rounds of %v", took, lookupTimeout)
		}
	})
}
