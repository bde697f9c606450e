package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os/exec"
	"slices"
	"sync"
	"time"

	"github.com/vishvananda/netlink"
)

// LinkName is the interface that every host has.
const LinkName = "eth0"

// commandDeadline bounds one command in a host, before scaling.
const commandDeadline = time.Minute

// A Host is a network, host name and mount namespace of its own, with /run
// private to it. It lives on one thread, which is what Linux gives namespaces
// to.
type Host struct {
	Name    string
	Address netip.Addr

	lab    *Lab
	thread *thread

	mu      sync.Mutex
	daemons []*Daemon
}

func newHost(l *Lab, name string) (*Host, error) {
	// A port of the switch bears the name of its host.
	if len(name) == 0 || len(name) > 15 {
		return nil, fmt.Errorf("host %q: a name has 1 to 15 bytes", name)
	}
	th, err := startThread(l.prefix+name, name)
	if err != nil {
		return nil, fmt.Errorf("host %s: %w", name, err)
	}
	return &Host{Name: name, lab: l, thread: th}, nil
}

// Namespace is the name to give to "ip netns exec".
func (h *Host) Namespace() string { return h.thread.namespace }

// Do calls f inside the host: sockets that f opens are the host's. Goroutines
// that f starts are not inside.
func (h *Host) Do(f func() error) error { return h.thread.do(f) }

// plugIn makes the cable between an interface of the host and a port of a bridge.
func (h *Host) plugIn(bridge, port, link, address string) error {
	addr, err := netlink.ParseAddr(address)
	if err != nil {
		return err
	}
	peer, err := h.thread.open()
	if err != nil {
		return err
	}
	defer peer.Close()
	if err := h.lab.sw.Do(func() error { return addPort(bridge, port, link, int(peer)) }); err != nil {
		return err
	}
	return h.Do(func() error {
		l, err := netlink.LinkByName(link)
		if err != nil {
			return fmt.Errorf("%s: %w", link, err)
		}
		if err := netlink.AddrAdd(l, addr); err != nil {
			return fmt.Errorf("%s: add %s: %w", link, address, err)
		}
		return netlink.LinkSetUp(l)
	})
}

// addPort adds a port to a bridge whose other end is a link of a namespace.
func addPort(bridge, port, link string, peer int) error {
	master, err := netlink.LinkByName(bridge)
	if err != nil {
		return err
	}
	veth := &netlink.Veth{
		LinkAttrs:     netlink.LinkAttrs{Name: port, MasterIndex: master.Attrs().Index},
		PeerName:      link,
		PeerNamespace: netlink.NsFd(peer),
	}
	if err := netlink.LinkAdd(veth); err != nil {
		return fmt.Errorf("port %s: add: %w", port, err)
	}
	return netlink.LinkSetUp(veth)
}

// SetLink brings the host's interface up or down, as an administrator would.
func (h *Host) SetLink(up bool) {
	h.lab.t.Helper()
	h.setLink(h, LinkName, up)
}

// SetCable plugs or pulls the host's cable: the interface stays up and loses
// its carrier.
func (h *Host) SetCable(plugged bool) {
	h.lab.t.Helper()
	h.setLink(h.lab.sw, h.Name, plugged)
}

func (h *Host) setLink(where *Host, name string, up bool) {
	h.lab.t.Helper()
	err := where.Do(func() error {
		link, err := netlink.LinkByName(name)
		if err != nil {
			return err
		}
		if up {
			return netlink.LinkSetUp(link)
		}
		return netlink.LinkSetDown(link)
	})
	if err != nil {
		h.lab.t.Fatalf("host %s: link %s: %v", h.Name, name, err)
	}
}

// MAC is the hardware address of the host's interface, as "02:00:...".
func (h *Host) MAC() string {
	h.lab.t.Helper()
	var mac string
	err := h.Do(func() error {
		link, err := netlink.LinkByName(LinkName)
		if err == nil {
			mac = link.Attrs().HardwareAddr.String()
		}
		return err
	})
	if err != nil {
		h.lab.t.Fatalf("host %s: %v", h.Name, err)
	}
	return mac
}

// Run runs a command in the host to its end and returns what it printed. The
// test ends if it fails.
func (h *Host) Run(name string, args ...string) string {
	h.lab.t.Helper()
	out, err := h.Try(name, args...)
	if err != nil {
		h.lab.t.Fatalf("%v", err)
	}
	return out
}

// Try is Run for a command that may fail. The error has what it printed.
func (h *Host) Try(name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), h.lab.Scaled(commandDeadline))
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.WaitDelay = time.Second
	err := h.Do(cmd.Start)
	if err == nil {
		err = cmd.Wait()
	}
	if ctx.Err() != nil {
		err = errors.Join(err, ctx.Err())
	}
	if err != nil {
		return out.String(), fmt.Errorf("host %s: %v: %w: %s", h.Name, cmd.Args, err, bytes.TrimSpace(out.Bytes()))
	}
	return out.String(), nil
}

// remove ends what runs in the host and then its namespaces.
func (h *Host) remove() {
	h.mu.Lock()
	daemons := slices.Clone(h.daemons)
	h.mu.Unlock()
	for _, d := range slices.Backward(daemons) {
		d.Stop()
	}
	if err := h.thread.stop(); err != nil {
		h.lab.t.Logf("host %s: %v", h.Name, err)
	}
}
