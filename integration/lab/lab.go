package lab

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"

	"github.com/vishvananda/netlink"
)

// bridgeName is the switch's bridge of eth0; each host has a port beside it.
const bridgeName = "br0"

// A Lab is a switch and the hosts plugged into it.
type Lab struct {
	t      TB
	prefix string
	// dir holds what the hosts' daemons write; it goes with the lab.
	dir   string
	scale float64
	sw    *Host
	hosts []*Host
}

// labs numbers the labs of this process.
var labs atomic.Int32

// New returns a lab with a switch and no hosts. It is removed when the test
// ends, after a failing test's hosts have been described in its log.
func New(t TB) *Lab {
	t.Helper()
	if err := sweep(); err != nil {
		t.Fatalf("remove what an earlier run left: %v", err)
	}
	prefix := newPrefix(labs.Add(1))
	// Daemons that give up root look for their files below.
	dir := filepath.Join(os.TempDir(), strings.TrimSuffix(prefix, "."))
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatalf("lab: %v", err)
	}
	l := &Lab{t: t, prefix: prefix, dir: dir, scale: measureScale()}
	t.Cleanup(l.remove)
	sw, err := newHost(l, "switch")
	if err != nil {
		t.Fatalf("%v", err)
	}
	l.sw = sw
	if err := l.sw.Do(func() error { return addBridge(bridgeName) }); err != nil {
		t.Fatalf("switch: %v", err)
	}
	return l
}

// Host adds a host to the switch. The name is its host name too, at most 15
// bytes; the address is that of its eth0, with the length of the prefix, as
// "10.0.0.1/24".
func (l *Lab) Host(name, address string) *Host {
	l.t.Helper()
	prefix, err := netip.ParsePrefix(address)
	if err != nil {
		l.t.Fatalf("host %s: %v", name, err)
	}
	h, err := newHost(l, name)
	if err != nil {
		l.t.Fatalf("%v", err)
	}
	h.Address = prefix.Addr()
	l.hosts = append(l.hosts, h)
	if err := h.plugIn(bridgeName, name, LinkName, address); err != nil {
		l.t.Fatalf("host %s: %v", name, err)
	}
	return h
}

// Hosts returns the hosts in the order of their adding.
func (l *Lab) Hosts() []*Host { return l.hosts }

// Dir is a directory of the lab, made if need be and removed with it.
func (l *Lab) Dir(elements ...string) string {
	l.t.Helper()
	dir := filepath.Join(append([]string{l.dir}, elements...)...)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		l.t.Fatalf("lab: %v", err)
	}
	return dir
}

// remove takes the lab down: daemons first, in the reverse of their order.
func (l *Lab) remove() {
	if l.t.Failed() {
		l.t.Logf("%s", l.Describe())
	}
	for i := len(l.hosts) - 1; i >= 0; i-- {
		l.hosts[i].remove()
	}
	if l.sw != nil {
		l.sw.remove()
	}
	if err := os.RemoveAll(l.dir); err != nil {
		l.t.Logf("lab: %v", err)
	}
}

// addBridge makes a switch: no spanning tree, so that ports forward at once,
// and no snooping, so that multicast reaches every port.
func addBridge(name string) error {
	snooping := false
	bridge := &netlink.Bridge{
		LinkAttrs:         netlink.LinkAttrs{Name: name},
		MulticastSnooping: &snooping,
	}
	if err := netlink.LinkAdd(bridge); err != nil {
		return fmt.Errorf("%s: add: %w", name, err)
	}
	return netlink.LinkSetUp(bridge)
}
