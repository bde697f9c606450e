package iptables

import (
	"context"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

func TestValidateMute(t *testing.T) {
	for address, want := range map[netip.Addr]string{
		vip:                                      "",
		vip6:                                     "",
		{}:                                       `mute "invalid IP": not an IPv4 or IPv6 address`,
		netip.MustParseAddr("::ffff:10.1.0.100"): `mute "::ffff:10.1.0.100": not an IPv4 or IPv6 address`,
		netip.MustParseAddr("fe80::1%eth0"):      `mute "fe80::1%eth0": not an IPv4 or IPv6 address`,
	} {
		got := ""
		if err := (Mute{address}).Validate(); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%v: got error %q, want %q", address, got, want)
		}
	}
}

// TestMute adds and deletes many rules in one run of the command, beside some that
// are there already, and finds what it wrote.
func TestMute(t *testing.T) {
	onBackends(t, func(t *testing.T, h host, table *Table, backend string) {
		for _, first := range []netip.Addr{vip, vip6} {
			var rules []Mute
			var all []string
			for address := first; len(rules) < 250; address = address.Next() {
				rules = append(rules, Mute{address})
				all = append(all, Mute{address}.String())
			}
			chain := rules[0].Chain()
			succeed(t, table.Add(t.Context(), rules[0]))
			succeed(t, table.Mute(t.Context(), rules[:3]))
			equal(t, "some", texts(t, list(t, table, chain)), all[:3])
			succeed(t, table.Mute(t.Context(), rules))
			succeed(t, table.Mute(t.Context(), rules))
			equal(t, "all", texts(t, list(t, table, chain)), all)
			succeed(t, table.Unmute(t.Context(), rules[5:]))
			succeed(t, table.Unmute(t.Context(), rules[5:]))
			equal(t, "few", texts(t, list(t, table, chain)), all[:5])
			succeed(t, table.Unmute(t.Context(), rules))
			equal(t, "none", texts(t, list(t, table, chain)), nil)
			if err := table.Mute(t.Context(), []Mute{rules[0], {}}); err == nil {
				t.Error("a rule without an address was written")
			}
		}
	})
}

// TestMutedResets: a packet of a connection that the host does not know is
// answered with a reset unless the VIP is muted; a request to a port without a
// server is refused all the same.
func TestMutedResets(t *testing.T) {
	for _, backend := range backends {
		t.Run(backend, func(t *testing.T) {
			need(t, "netns", backend)
			client, node := newHost(t), newHost(t)
			connect(client, node)
			for _, address := range []netip.Addr{vip, vip6} {
				mutedResets(t, client, node, address, backend)
			}
		})
	}
}

func mutedResets(t *testing.T, client, node host, vip netip.Addr, backend string) {
	node.netlink(func(n *netlink.Handle) error { return addAddress(n, "wire", vip) })
	node.netlink(func(n *netlink.Handle) error { return addRoute(n, vip.Next()) })
	client.netlink(func(n *netlink.Handle) error { return addAddress(n, "wire", vip.Next()) })
	client.netlink(func(n *netlink.Handle) error { return addRoute(n, vip) })

	established := func(patience time.Duration) (reset bool) {
		node.enter()
		listener, err := net.Listen("tcp", net.JoinHostPort(vip.String(), "0"))
		if err != nil {
			t.Fatal(err)
		}
		client.enter()
		conn, err := net.Dial("tcp", listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		server, err := listener.Accept()
		if err != nil {
			t.Fatal(err)
		}
		_ = listener.Close()
		forget(t, server.(*net.TCPConn))
		if _, err := conn.Write([]byte("still there?")); err != nil {
			t.Fatal(err)
		}
		if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		_, err = conn.Read(make([]byte, 1))
		return err != nil && strings.Contains(err.Error(), "reset")
	}
	if !established(time.Minute) {
		t.Errorf("%s: no reset without a rule: nothing is shown", vip)
	}
	node.enter()
	table := openTable(t, backend)
	succeed(t, table.Mute(t.Context(), []Mute{{vip}}))
	if established(3 * time.Second) { // it is sent several times
		t.Errorf("%s: a reset got out", vip)
	}
	client.enter()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	_, err := (&net.Dialer{}).DialContext(ctx, "tcp", net.JoinHostPort(vip.String(), "9"))
	if err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("%s: a request to a closed port: %v, want it refused", vip, err)
	}
}

// forget makes the host forget the connection without telling the other side.
func forget(t *testing.T, conn *net.TCPConn) {
	t.Helper()
	raw, err := conn.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	err = raw.Control(func(fd uintptr) {
		err = os.NewSyscallError("TCP_REPAIR", unix.SetsockoptInt(int(fd), unix.SOL_TCP, unix.TCP_REPAIR, 1))
	})
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
}

func addAddress(n *netlink.Handle, name string, address netip.Addr) error {
	link, err := n.LinkByName(name)
	if err != nil {
		return err
	}
	own := &netlink.Addr{IPNet: netlink.NewIPNet(address.AsSlice()), Flags: unix.IFA_F_NODAD}
	return n.AddrReplace(link, own)
}

func addRoute(n *netlink.Handle, to netip.Addr) error {
	link, err := n.LinkByName("wire")
	if err != nil {
		return err
	}
	return n.RouteReplace(&netlink.Route{LinkIndex: link.Attrs().Index, Dst: netlink.NewIPNet(to.AsSlice())})
}
