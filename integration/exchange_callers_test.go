package integration

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"

	"github.com/lvsd/lvsd/integration/lab"
)

const (
	// callersAsking is how many requests of a client's host are under way, and
	// callersPause the least time between two of each, before scaling: clients
	// must not be what makes a machine slow.
	callersAsking = 4
	callersPause  = 50 * time.Millisecond
)

// callers are the clients of a site: addresses of one host, each of which is a
// client of its own to the directors. They ask the service for a page, on a
// connection of its own each time, and keep account of what came of it.
type callers struct {
	x    *exchange
	host *lab.Host
	tls  *tls.Config
	// block is the third byte of the addresses, next the fourth of the next one.
	block, next byte

	mu sync.Mutex
	// addresses are who asks now, turn is whose turn it is.
	addresses []netip.Addr
	turn      int
	// home is the server that answered the address last.
	home     map[netip.Addr]string
	ended    []call
	underWay map[*call]context.CancelFunc
	stop     func()
}

// call is one request.
type call struct {
	from         netip.Addr
	begun, ended time.Time // ended is zero while it is under way
	// home is the server that had answered the address before, server the one
	// that answered this.
	home, server string
	err          error
	// abandoned was given up by the test, which had no hope of it.
	abandoned bool
}

func newCallers(x *exchange, h *lab.Host, block byte) *callers {
	x.Helper()
	authority, err := os.ReadFile(x.authority.File)
	if err != nil {
		x.Fatalf("%v", err)
	}
	c := &callers{
		x: x, host: h, block: block, next: 1, home: map[netip.Addr]string{}, underWay: map[*call]context.CancelFunc{},
		tls: &tls.Config{ServerName: exchangeName, RootCAs: x509.NewCertPool()},
	}
	c.tls.RootCAs.AppendCertsFromPEM(authority)
	return c
}

// replace has other addresses ask, which no director has seen before.
func (c *callers) replace(count int) {
	c.x.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.addresses, c.ended = nil, nil
	for range count {
		a := netip.AddrFrom4([4]byte{172, 30, c.block, c.next})
		c.next++
		c.host.Run("ip", "address", "add", a.String()+"/32", "dev", exchangeLink)
		c.addresses = append(c.addresses, a)
	}
}

// onHost calls f on a thread in the host: sockets that f opens are the host's,
// and f may wait for them.
func (c *callers) onHost(f func() error) error {
	result := make(chan error, 1)
	go func() {
		// The thread ends with the goroutine, because it is never unlocked.
		runtime.LockOSThread()
		result <- func() error {
			ns, err := netns.GetFromName(c.host.Namespace())
			if err != nil {
				return err
			}
			defer ns.Close()
			if err := netns.Set(ns); err != nil {
				return err
			}
			return f()
		}()
	}()
	return <-result
}

// ask asks once for the page and returns the name of the server that answered.
func (c *callers) ask(ctx context.Context, from netip.Addr) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, c.x.lab.Scaled(time.Minute))
	defer cancel()
	dialer := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0))}
	raw, err := dialer.DialContext(ctx, "tcp4", net.JoinHostPort(exchangeVIP, "443"))
	if err != nil {
		return "", err
	}
	defer raw.Close()
	defer context.AfterFunc(ctx, func() { _ = raw.Close() })()
	conn := tls.Client(raw, c.tls)
	if _, err := fmt.Fprintf(conn, "GET /owa/ HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", exchangeName); err != nil {
		return "", err
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	name, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %s: %s", response.Status, name)
	}
	return string(name), err
}

// askAll asks once from each address, one after the other, all of which must be
// answered, and returns how many each server has answered.
func (c *callers) askAll(t *testing.T) map[string]int {
	t.Helper()
	counts := map[string]int{}
	err := c.onHost(func() error {
		for _, a := range c.addresses {
			name, err := c.ask(t.Context(), a)
			if err != nil {
				return fmt.Errorf("%s of %s: %w", a, c.host.Name, err)
			}
			counts[name]++
			c.home[a] = name
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return counts
}

// begin has the addresses ask in turn until halt.
func (c *callers) begin() {
	ctx, cancel := context.WithCancel(c.x.T.Context())
	var asking sync.WaitGroup
	for range callersAsking {
		asking.Go(func() {
			if err := c.onHost(func() error { return c.keepAsking(ctx) }); err != nil {
				c.x.T.Errorf("%s: %v", c.host.Name, err)
			}
		})
	}
	c.stop = func() {
		cancel()
		asking.Wait()
	}
}

// halt ends the asking, if there is any. What is under way is abandoned.
func (c *callers) halt() {
	if c.stop == nil {
		return
	}
	c.abandon(func(call) bool { return true })
	c.stop()
}

func (c *callers) keepAsking(ctx context.Context) error {
	pace := time.NewTicker(c.x.lab.Scaled(callersPause))
	defer pace.Stop()
	for ctx.Err() == nil {
		this, cancellable := c.start(ctx)
		name, err := c.ask(cancellable, this.from)
		c.end(this, name, err)
		select {
		case <-pace.C:
		case <-ctx.Done():
		}
	}
	return nil
}

func (c *callers) start(ctx context.Context) (*call, context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	from := c.addresses[c.turn%len(c.addresses)]
	c.turn++
	this := &call{from: from, begun: time.Now(), home: c.home[from]}
	c.underWay[this] = cancel
	return this, ctx
}

func (c *callers) end(this *call, name string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.underWay[this]()
	delete(c.underWay, this)
	this.ended, this.server, this.err = time.Now(), name, err
	if err == nil {
		c.home[this.from] = name
	}
	c.ended = append(c.ended, *this)
}

// abandon gives up those calls under way that may fail.
func (c *callers) abandon(may func(call) bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for this, cancel := range c.underWay {
		if may(*this) {
			this.abandoned = true
			cancel()
		}
	}
}

// everyone waits until each address was answered on a call begun after the time,
// and all that began before has ended.
func (c *callers) everyone(since time.Time) {
	c.x.Helper()
	c.x.lab.WaitFor("every client of "+c.host.Name+" to be answered", func() error {
		c.mu.Lock()
		defer c.mu.Unlock()
		answered := map[netip.Addr]bool{}
		var last error
		for _, done := range c.ended {
			if done.begun.Before(since) {
				continue
			}
			if done.err == nil {
				answered[done.from] = true
			} else {
				last = done.err
			}
		}
		if len(answered) < len(c.addresses) {
			return fmt.Errorf("%d of %d were, the last error is %w", len(answered), len(c.addresses), last)
		}
		for this := range c.underWay {
			if this.begun.Before(since) {
				return errors.New("some wait for an answer still")
			}
		}
		return nil
	})
}

// judge fails the test for each call that failed and may not, and for each that
// is wrong. It forgets what it has judged.
func (c *callers) judge(t *testing.T, may func(call) bool, wrong func(call) error) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	failed, abandoned := 0, 0
	for _, done := range c.ended {
		switch err := wrong(done); {
		case done.err != nil && done.abandoned:
			abandoned++
		case done.err != nil && may(done):
			failed++
		case done.err != nil:
			t.Errorf("%s, whose server was %s, after %v: %v", done.from, done.home, done.ended.Sub(done.begun), done.err)
		case err != nil:
			t.Errorf("%s, whose server was %s: %v", done.from, done.home, err)
		}
	}
	t.Logf("%s: %d calls, %d failed as they may, %d more had not ended", c.host.Name, len(c.ended), failed, abandoned)
	c.ended = nil
}

// resolves is an error unless the host takes the hardware address for the VIP's.
func (c *callers) resolves(mac string) error {
	var have string
	err := c.host.Do(func() error {
		link, err := netlink.LinkByName(exchangeLink)
		if err != nil {
			return err
		}
		neighbours, err := netlink.NeighList(link.Attrs().Index, netlink.FAMILY_V4)
		for _, n := range neighbours {
			if n.IP.String() == exchangeVIP {
				have = n.HardwareAddr.String()
			}
		}
		return err
	})
	if err == nil && have != mac {
		err = fmt.Errorf("%s takes %q for the VIP, want %s", c.host.Name, have, mac)
	}
	return err
}
