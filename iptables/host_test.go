package iptables

import (
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/lvsd/lvsd/integration/lab"
)

// need makes the test depend on facilities of the machine, see lab.Missing.
func need(t *testing.T, facilities ...string) {
	t.Helper()
	for _, facility := range facilities {
		if err := probe(facility); err != nil {
			lab.Missing(t, lab.Need(facility), err)
		}
	}
}

// probe tries whether the machine has the facility: "netns", or else a command.
func probe(facility string) error {
	if facility != "netns" {
		_, err := exec.LookPath(facility)
		return err
	}
	result := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with its namespace
		ns, err := netns.New()
		if err == nil {
			ns.Close()
		}
		result <- err
	}()
	return <-result
}

// host is a network namespace that stands for a machine. The test's goroutine
// is on one host at a time: sockets it opens and commands it runs are there.
type host struct {
	t  *testing.T
	ns netns.NsHandle
}

// newHost makes a host and goes there. The goroutine keeps its thread for good,
// so that the thread, which is in a namespace of its own, ends with the test.
func newHost(t *testing.T) host {
	t.Helper()
	runtime.LockOSThread()
	ns, err := netns.New()
	if err != nil {
		t.Fatalf("new network namespace: %v", err)
	}
	t.Cleanup(func() { ns.Close() })
	h := host{t, ns}
	h.netlink(func(n *netlink.Handle) error {
		lo, err := n.LinkByName("lo")
		if err != nil {
			return err
		}
		return n.LinkSetUp(lo)
	})
	return h
}

// enter moves the test's goroutine to the host.
func (h host) enter() {
	h.t.Helper()
	if err := netns.Set(h.ns); err != nil {
		h.t.Fatalf("enter network namespace: %v", err)
	}
}

// enterThread moves another goroutine to the host. Its thread ends with it.
func (h host) enterThread() {
	runtime.LockOSThread()
	if err := netns.Set(h.ns); err != nil {
		panic(err)
	}
}

// run runs a command on the host and returns what it printed.
func (h host) run(command string, args ...string) string {
	h.t.Helper()
	h.enter()
	out, err := exec.Command(command, args...).CombinedOutput()
	if err != nil {
		h.t.Fatalf("%s %s: %v\n%s", command, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// netlink goes to the host and runs f with a handle of it.
func (h host) netlink(f func(*netlink.Handle) error) {
	h.t.Helper()
	h.enter()
	n, err := netlink.NewHandle()
	if err != nil {
		h.t.Fatalf("open netlink: %v", err)
	}
	defer n.Close()
	if err := f(n); err != nil {
		h.t.Fatal(err)
	}
}

// address puts an address on the host's only wire.
func (h host) address(cidr string) {
	h.t.Helper()
	h.netlink(func(n *netlink.Handle) error {
		wire, err := n.LinkByName("wire")
		if err != nil {
			return err
		}
		addr, err := netlink.ParseAddr(cidr)
		if err != nil {
			return err
		}
		if addr.IP.To4() == nil {
			addr.Flags = unix.IFA_F_NODAD // it is good at once
		}
		return n.AddrAdd(wire, addr)
	})
}

// connect lays a wire between two hosts and returns the hardware address of
// each end.
func connect(a, b host) (atA, atB net.HardwareAddr) {
	a.t.Helper()
	a.netlink(func(n *netlink.Handle) error {
		attributes := netlink.NewLinkAttrs()
		attributes.Name = "wire"
		return n.LinkAdd(&netlink.Veth{LinkAttrs: attributes, PeerName: "wire", PeerNamespace: netlink.NsFd(b.ns)})
	})
	return a.wireUp(), b.wireUp()
}

func (h host) wireUp() (mac net.HardwareAddr) {
	h.t.Helper()
	h.netlink(func(n *netlink.Handle) error {
		wire, err := n.LinkByName("wire")
		if err != nil {
			return err
		}
		mac = wire.Attrs().HardwareAddr
		// Nobody else is there: addresses of IPv6 need not be found out to be free.
		if err := os.WriteFile("/proc/sys/net/ipv6/conf/wire/accept_dad", []byte("0"), 0); err != nil {
			return err
		}
		return n.LinkSetUp(wire)
	})
	return mac
}
