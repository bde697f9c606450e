package integration

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lvsd/lvsd/integration/lab"
)

// pair is two nodes of one virtual router that serve while they are BACKUP.
// The first has the higher priority.
type pair struct {
	*segment
	first, second *node
}

// pairKeys are what both nodes have beside the basics. Without a refresh, a
// neighbour finds a new MASTER only by the gratuitous ARP of the change.
const pairKeys = "serve_on_backup = true\nredirect = \"all-tcp\"\ngarp = { delay = \"1s\", refresh = \"0s\" }\n"

func newPair(t *testing.T) *pair {
	s := newSegment(t)
	p := &pair{segment: s, first: s.addNode("first", "10.99.0.1"), second: s.addNode("second", "10.99.0.2")}
	v := virtualRouter{Version: 3, VRID: 20, Interval: s.interval, Keys: pairKeys}
	v.Priority = 150
	p.first.configure(v)
	v.Priority = 100
	p.second.configure(v)
	return p
}

func (p *pair) nodes() []*node { return []*node{p.first, p.second} }

// settle waits until the node is the only MASTER, the other one what it can be,
// and the client sends what is for the VIP to the MASTER.
func (p *pair) settle(master *node) {
	p.Helper()
	p.lab.WaitFor(master.Name+" to be the only MASTER", func() error { return p.settled(master) })
}

func (p *pair) settled(master *node) error {
	errs := []error{p.clientSees(master.Host)}
	for _, n := range p.nodes() {
		switch {
		case n == master:
			errs = append(errs, n.inState("master"))
		case n.takesPart():
			errs = append(errs, n.inState("backup"))
		case n.daemon.Running():
			errs = append(errs, n.inState("fault"))
		}
	}
	return errors.Join(errs...)
}

// hears waits until the node has received some more adverts.
func (p *pair) hears(n *node, adverts uint64) {
	p.Helper()
	before := n.now().Received
	p.lab.WaitFor(fmt.Sprintf("%s to hear %d adverts", n.Name, adverts), func() error {
		i, err := n.instance()
		if err == nil && i.Received < before+adverts {
			err = fmt.Errorf("%d so far", i.Received-before)
		}
		return err
	})
}

// undisturbed returns a check that no role has changed since.
func (p *pair) undisturbed(t *testing.T, nodes ...*node) func() {
	t.Helper()
	since := map[*node]time.Time{}
	for _, n := range nodes {
		since[n] = n.now().Since
	}
	return func() {
		t.Helper()
		for n, when := range since {
			if i := n.now(); !i.Since.Equal(when) {
				t.Errorf("%s has changed its role, it is %s because %s", n.Name, i.State, i.Reason)
			}
		}
	}
}

// echoPort is where the nodes' test service listens.
const echoPort = "2525"

// echo serves connections in the node, on every address. Each begins with a
// line that tells the server's own address; every further line comes back.
func (p *pair) echo(t *testing.T, n *node) {
	t.Helper()
	serveEcho(t, n, func(conn net.Conn) string { return conn.LocalAddr().String() })
}

// serveEcho serves connections in the node until the test ends. Each begins with
// a line of greeting; every further line comes back.
func serveEcho(t *testing.T, n *node, greeting func(net.Conn) string) {
	t.Helper()
	var listener net.Listener
	err := n.Do(func() (err error) {
		listener, err = net.Listen("tcp4", ":"+echoPort)
		return err
	})
	if err != nil {
		t.Fatalf("%s: %v", n.Name, err)
	}
	var serving sync.WaitGroup
	t.Cleanup(func() {
		_ = listener.Close()
		serving.Wait()
	})
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			closed := context.AfterFunc(t.Context(), func() { _ = conn.Close() })
			serving.Go(func() {
				defer closed()
				defer func() { _ = conn.Close() }()
				fmt.Fprintln(conn, greeting(conn))
				_, _ = io.Copy(conn, conn)
			})
		}
	})
}

// session is a client's connection to the echo service.
type session struct {
	conn   net.Conn
	reader *bufio.Reader
	// server is the address that the server has for itself.
	server string
}

// connect opens a connection from the client to the VIP.
func (p *pair) connect(t *testing.T) *session {
	t.Helper()
	s := &session{}
	err := p.client.Do(func() (err error) {
		s.conn, err = net.DialTimeout("tcp4", net.JoinHostPort(hostVIP, echoPort), p.lab.Scaled(20*time.Second))
		return err
	})
	if err != nil {
		t.Fatalf("connect to the VIP: %v", err)
	}
	t.Cleanup(func() { _ = s.conn.Close() })
	s.reader = bufio.NewReader(s.conn)
	if s.server, err = s.line(p.lab); err != nil {
		t.Fatalf("connected to the VIP: %v", err)
	}
	return s
}

func (s *session) line(l *lab.Lab) (string, error) {
	if err := s.conn.SetDeadline(time.Now().Add(l.Scaled(time.Minute))); err != nil {
		return "", err
	}
	line, err := s.reader.ReadString('\n')
	return strings.TrimSpace(line), err
}

// alive is an error unless the server sends a line back.
func (s *session) alive(l *lab.Lab) error {
	const text = "still there?"
	if _, err := fmt.Fprintln(s.conn, text); err != nil {
		return err
	}
	line, err := s.line(l)
	if err == nil && line != text {
		err = fmt.Errorf("it sent back %q", line)
	}
	return err
}
