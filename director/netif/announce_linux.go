package netif

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/mdlayher/ethernet"
	"github.com/mdlayher/packet"
)

// Announcer tells neighbours of addresses. It keeps one socket for each
// interface: to close one takes the kernel longer than to send hundreds of
// frames. It is safe for concurrent use.
type Announcer struct {
	mu    sync.Mutex
	links linkRequests
	conns map[string]*speaker
}

// speaker is an open socket on an interface.
type speaker struct {
	index int
	conn  *packet.Conn
}

// NewAnnouncer returns an Announcer for the network namespace of the caller.
func NewAnnouncer() (*Announcer, error) {
	links, err := openLinkRequests()
	if err != nil {
		return nil, fmt.Errorf("announcer: %w", err)
	}
	return &Announcer{links: links, conns: map[string]*speaker{}}, nil
}

// Close closes the sockets.
func (a *Announcer) Close() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	err := a.links.close()
	for ifname := range a.conns {
		err = errors.Join(err, a.drop(ifname))
	}
	return err
}

// Open opens the socket on the interface before it is needed, if that works by
// now: at a takeover every fraction of a millisecond counts.
func (a *Announcer) Open(ifname string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if link, err := a.links.ask(ifname); err == nil && !link.silent() {
		_, _ = a.conn(ifname, link.index) // sending says what is wrong
	}
}

// Announce tells every neighbour on the interface's link that the addresses are
// at its hardware address, count times: by gratuitous ARP (RFC 5798 section
// 6.4.1, RFC 826) and by unsolicited neighbour advertisements (RFC 4861 section
// 7.2.6). Each address is told of once before any is for the second time. On an
// interface without neighbour discovery there is nothing to tell.
func (a *Announcer) Announce(ifname string, addrs []netip.Addr, count int) error {
	return a.send("announce", ifname, addrs, count, announcement)
}

// Probe asks once on the interface's link who else has the addresses. Answers
// come to Listen.
func (a *Announcer) Probe(ifname string, addrs []netip.Addr) error {
	return a.send("probe for", ifname, addrs, 1, func(hardware net.HardwareAddr, addr netip.Addr, _ bool) ([]byte, error) {
		return probe(hardware, addr)
	})
}

func (a *Announcer) send(
	what, ifname string, addrs []netip.Addr, count int,
	build func(hardware net.HardwareAddr, addr netip.Addr, router bool) ([]byte, error),
) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	link, err := a.links.ask(ifname)
	if err != nil {
		return fmt.Errorf("%s VIPs on %s: %w", what, ifname, err)
	}
	if link.silent() {
		return nil
	}
	router := slices.ContainsFunc(addrs, netip.Addr.Is6) && forwards(ifname)
	frames := make([][]byte, 0, len(addrs))
	for _, addr := range addrs {
		frame, err := build(link.hardware, addr, router)
		if err != nil {
			return fmt.Errorf("%s %s on %s: %w", what, addr, ifname, err)
		}
		frames = append(frames, frame)
	}
	if err := a.sendFrames(ifname, link.index, frames, count); err != nil {
		return fmt.Errorf("%s VIPs on %s: %w", what, ifname, errors.Join(err, a.drop(ifname)))
	}
	return nil
}

func (a *Announcer) sendFrames(ifname string, index int, frames [][]byte, count int) error {
	conn, err := a.conn(ifname, index)
	if err != nil {
		return err
	}
	to := &packet.Addr{HardwareAddr: ethernet.Broadcast} // the frame says where to
	for range count {
		for _, frame := range frames {
			if _, err := conn.WriteTo(frame, to); err != nil {
				return err
			}
		}
	}
	return nil
}

// conn is the socket on the interface, made anew if the interface was.
func (a *Announcer) conn(ifname string, index int) (*packet.Conn, error) {
	if s := a.conns[ifname]; s != nil && s.index == index {
		return s.conn, nil
	}
	if err := a.drop(ifname); err != nil {
		return nil, err
	}
	// Protocol 0 receives nothing: the socket only sends.
	conn, err := packet.Listen(&net.Interface{Index: index, Name: ifname}, packet.Raw, 0, nil)
	if err != nil {
		return nil, err
	}
	a.conns[ifname] = &speaker{index: index, conn: conn}
	return conn, nil
}

// drop closes the socket on the interface, if there is one.
func (a *Announcer) drop(ifname string) error {
	s := a.conns[ifname]
	if s == nil {
		return nil
	}
	delete(a.conns, ifname)
	return s.conn.Close()
}

// forwards reports whether the interface forwards IPv6, which makes this node a
// router to its neighbours: one that is told otherwise forgets a default route
// by way of it (RFC 4861 section 7.2.5).
func forwards(ifname string) bool {
	text, err := os.ReadFile(filepath.Join("/proc/sys/net/ipv6/conf", ifname, "forwarding"))
	return err == nil && strings.TrimSpace(string(text)) == "1"
}
