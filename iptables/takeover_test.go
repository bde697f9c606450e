package iptables

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
)

// patience bounds what only ever takes long on a machine that does not get on.
const patience = 2 * time.Minute

// relay is a node that is not MASTER and the client that its MASTER forwards
// for:
//
//	client 10.1.0.9 ───wire─── node 10.1.0.2, listens on port 25
//
// The client has a static neighbour entry with the node's hardware address for
// the VIP 10.1.0.100, so that its packets arrive as if a MASTER had sent them
// on by direct routing.
type relay struct {
	family
	t            *testing.T
	node, client host
	table        *Table
}

// family are the addresses of a relay.
type family struct {
	vip          netip.Addr
	node, client netip.Prefix
}

var (
	ipv4 = family{vip, netip.MustParsePrefix("10.1.0.2/24"), netip.MustParsePrefix("10.1.0.9/24")}
	ipv6 = family{netip.MustParseAddr("fd00:1::100"), netip.MustParsePrefix("fd00:1::2/64"), netip.MustParsePrefix("fd00:1::9/64")}
)

// port25 is the server's, by one of the node's addresses.
func port25(a netip.Addr) string { return netip.AddrPortFrom(a, 25).String() }

func newRelay(t *testing.T, backend string, f family) relay {
	t.Helper()
	need(t, "netns", backend)
	client, node := newHost(t), newHost(t)
	_, mac := connect(client, node)
	client.address(f.client.String())
	node.address(f.node.String())
	client.netlink(func(n *netlink.Handle) error {
		wire, err := n.LinkByName("wire")
		if err != nil {
			return err
		}
		return n.NeighAdd(&netlink.Neigh{
			LinkIndex:    wire.Attrs().Index,
			State:        netlink.NUD_PERMANENT,
			IP:           f.vip.AsSlice(),
			HardwareAddr: mac,
		})
	})
	node.enter()
	r := relay{f, t, node, client, openTable(t, backend)}
	r.serve()
	return r
}

// serve runs a server on the node that greets each client with the address it
// was reached at, and then echoes.
func (r relay) serve() {
	r.t.Helper()
	r.node.enter()
	listener, err := net.Listen("tcp", ":25")
	succeed(r.t, err)
	var group sync.WaitGroup
	r.t.Cleanup(func() {
		listener.Close()
		group.Wait()
	})
	group.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			group.Go(func() {
				defer conn.Close()
				_ = conn.SetDeadline(time.Now().Add(patience))
				_, _ = io.WriteString(conn, conn.LocalAddr().String()+"\n")
				_, _ = io.Copy(conn, conn)
			})
		}
	})
}

// dial connects the client to the VIP and checks which address of the node the
// connection ended at.
func (r relay) dial(at netip.Addr) net.Conn {
	r.t.Helper()
	r.client.enter()
	want := port25(at)
	conn, err := net.DialTimeout("tcp", port25(r.family.vip), patience)
	succeed(r.t, err)
	r.t.Cleanup(func() { conn.Close() })
	succeed(r.t, conn.SetDeadline(time.Now().Add(patience)))
	greeting := make([]byte, len(want)+1)
	if _, err := io.ReadFull(conn, greeting); err != nil || string(greeting) != want+"\n" {
		r.t.Fatalf("greeting %q, %v; want %q", greeting, err, want)
	}
	return conn
}

// echo sends a message over the connection and waits for it to come back.
func echo(conn net.Conn) error {
	message := []byte("are you still there?")
	if _, err := conn.Write(message); err != nil {
		return err
	}
	answer := make([]byte, len(message))
	if _, err := io.ReadFull(conn, answer); err != nil {
		return err
	}
	if !bytes.Equal(answer, message) {
		return errors.New("the echo is another message")
	}
	return nil
}

// addVIP makes the node the owner of the VIP.
func (r relay) addVIP() {
	r.node.address(netip.PrefixFrom(r.family.vip, r.family.vip.BitLen()).String())
}

// alive checks that the connection still works.
func (r relay) alive(conn net.Conn, when string) {
	r.t.Helper()
	if err := echo(conn); err != nil {
		r.t.Errorf("connection %s: %v", when, err)
	}
}

// TestConnectionOutlivesTakeover: the node accepts a connection by the rule and
// then becomes MASTER. The connection must live on, whichever of VIP and rule
// changes first; the next connection must reach the VIP itself.
func TestConnectionOutlivesTakeover(t *testing.T) {
	rules := map[string]Redirect{
		"requests to a port": smtp,
		"a port":             {VIP: vip, Protocol: "tcp", Port: 25},
		"all TCP":            all,
	}
	for _, backend := range backends {
		for name, rule := range rules {
			t.Run(backend+" "+name, func(t *testing.T) {
				t.Run("VIP first", func(t *testing.T) {
					r := newRelay(t, backend, ipv4)
					succeed(t, r.table.Add(t.Context(), rule))
					conn := r.dial(r.family.node.Addr())
					r.addVIP()
					r.alive(conn, "with VIP and rule")
					r.node.enter()
					succeed(t, r.table.Delete(t.Context(), rule))
					r.alive(conn, "after the takeover")
					r.alive(r.dial(r.family.vip), "made after the takeover")
				})
				t.Run("rule first", func(t *testing.T) {
					r := newRelay(t, backend, ipv4)
					succeed(t, r.table.Add(t.Context(), rule))
					conn := r.dial(r.family.node.Addr())
					r.node.enter()
					succeed(t, r.table.Delete(t.Context(), rule))
					r.alive(conn, "with neither VIP nor rule")
					r.addVIP()
					r.alive(conn, "after the takeover")
					r.alive(r.dial(r.family.vip), "made after the takeover")
				})
			})
		}
	}
}

// TestConnectionOutlivesFlush: somebody flushes the nat table of a node that
// serves a connection by the rule, or that has just become MASTER and still
// serves one that it accepted before.
func TestConnectionOutlivesFlush(t *testing.T) {
	for _, backend := range backends {
		t.Run(backend, func(t *testing.T) {
			r := newRelay(t, backend, ipv4)
			succeed(t, r.table.Add(t.Context(), Hold{}))
			succeed(t, r.table.Add(t.Context(), smtp))
			conn := r.dial(r.family.node.Addr())
			r.node.run(backend, "-t", "nat", "-F")
			r.alive(conn, "after a flush on a BACKUP")
			r.addVIP()
			r.node.run(backend, "-t", "nat", "-F")
			r.alive(conn, "after a flush on a MASTER")
		})
	}
}

// TestIPv6ConnectionOutlivesTakeover is the same for IPv6, in both orders, with a
// flush of the nat table on the way, and without what holds conntrack.
func TestIPv6ConnectionOutlivesTakeover(t *testing.T) {
	rule := Redirect{VIP: ipv6.vip, Protocol: "tcp", Port: 25, NewOnly: true}
	for _, backend := range backends {
		serving := func(t *testing.T) (relay, net.Conn) {
			t.Helper()
			r := newRelay(t, backend, ipv6)
			succeed(t, r.table.Add(t.Context(), rule))
			return r, r.dial(r.family.node.Addr())
		}
		t.Run(backend+" VIP first", func(t *testing.T) {
			r, conn := serving(t)
			r.addVIP()
			r.alive(conn, "with VIP and rule")
			r.node.enter()
			succeed(t, r.table.Delete(t.Context(), rule))
			r.alive(conn, "after the takeover")
			r.alive(r.dial(r.family.vip), "made after the takeover")
		})
		t.Run(backend+" rule first, by a flush", func(t *testing.T) {
			r, conn := serving(t)
			r.node.enter()
			succeed(t, r.table.Add(t.Context(), Hold{IPv6: true}))
			r.node.run("ip6"+strings.TrimPrefix(backend, "ip"), "-t", "nat", "-F")
			r.alive(conn, "with neither VIP nor rule")
			r.addVIP()
			r.alive(conn, "after the takeover")
		})
		if backend != backends[0] {
			continue // the kernel is the same, and the reset is late
		}
		t.Run(backend+" without what holds conntrack", func(t *testing.T) {
			r, conn := serving(t)
			r.addVIP()
			r.node.enter()
			succeed(t, r.table.Remove(t.Context(), Tagged{Chain: rule.Chain(), Spec: rule.spec()}))
			if err := echo(conn); !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("connection: %v, want a reset", err)
			}
		})
	}
}

// TestWhyConntrackIsHeld shows the fault that Hold is for. If it fails
// because the connection lives on, this kernel keeps tracking by itself and the
// rule is not needed any more.
func TestWhyConntrackIsHeld(t *testing.T) {
	for _, backend := range backends {
		t.Run(backend, func(t *testing.T) {
			r := newRelay(t, backend, ipv4)
			succeed(t, r.table.Add(t.Context(), smtp))
			conn := r.dial(r.family.node.Addr())
			r.addVIP()
			r.alive(conn, "with VIP and rule")
			r.node.enter()
			succeed(t, r.table.Remove(t.Context(), Tagged{Chain: smtp.Chain(), Spec: smtp.spec()}))
			if err := echo(conn); !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("connection after its rule was deleted and nothing held conntrack: %v, want a reset", err)
			}
		})
	}
}
