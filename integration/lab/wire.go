package lab

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// A Packet is one that a host received, as far as it was looked into.
type Packet struct {
	// Layers are its headers from the outside: "ipv4 gre ipv6 tcp".
	Layers string
	// From and To are the outermost addresses.
	From, To netip.Addr
	// Inner is the innermost destination.
	Inner netip.AddrPort
	// Length is that of the outermost packet in bytes.
	Length int
}

// A Wire watches what a host receives by an interface.
type Wire struct {
	mu   sync.Mutex
	seen []Packet
}

// Watch starts to watch an interface until the test ends. GUE is known by the
// UDP port that is given for it.
func (h *Host) Watch(link string, gue uint16) *Wire {
	h.lab.t.Helper()
	var file *os.File
	err := h.Do(func() (err error) {
		file, err = packetSocket(link)
		return err
	})
	if err != nil {
		h.lab.t.Fatalf("host %s: watch %s: %v", h.Name, link, err)
	}
	w := &Wire{}
	var watching sync.WaitGroup
	watching.Go(func() { w.read(file, gue) })
	h.lab.t.Cleanup(func() {
		_ = file.Close()
		watching.Wait()
	})
	return w
}

// packetSocket receives what comes in by an interface, without its own header.
func packetSocket(link string) (*os.File, error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	file := os.NewFile(uintptr(fd), "wire")
	device, err := net.InterfaceByName(link)
	if err == nil {
		err = unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1)
	}
	if err == nil {
		every := binary.BigEndian.Uint16(binary.NativeEndian.AppendUint16(nil, unix.ETH_P_ALL))
		err = unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: every, Ifindex: device.Index})
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

func (w *Wire) read(file *os.File, gue uint16) {
	buffer := make([]byte, 64<<10)
	for {
		n, err := file.Read(buffer)
		if errors.Is(err, os.ErrClosed) {
			return
		}
		if err != nil {
			continue // the interface was down for a while
		}
		if p, ok := dissect(buffer[:n], gue); ok {
			w.mu.Lock()
			w.seen = append(w.seen, p)
			w.mu.Unlock()
		}
	}
}

// To returns the packets so far whose innermost destination it is.
func (w *Wire) To(inner netip.AddrPort) []Packet {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(w.seen), func(p Packet) bool { return p.Inner != inner })
}

// dissect looks into a packet; it is not ok where it cannot be followed to a port.
func dissect(packet []byte, gue uint16) (p Packet, ok bool) {
	d := dissection{rest: packet, gue: gue}
	next := d.internet()
	p = Packet{From: d.from, To: d.to, Length: len(packet)}
	for next != stop {
		next = d.layer(next)
	}
	p.Layers, p.Inner = strings.Join(d.layers, " "), netip.AddrPortFrom(d.to, d.port)
	return p, d.port != 0
}

// dissection is a packet with the headers that were taken off.
type dissection struct {
	rest   []byte
	gue    uint16
	layers []string
	// from, to and port are the innermost so far.
	from, to netip.Addr
	port     uint16
}

// stop ends the dissection.
const stop = -1

// take takes n bytes off; nil if there are fewer.
func (d *dissection) take(name string, n int) []byte {
	if len(d.rest) < n {
		return nil
	}
	header := d.rest[:n]
	d.rest = d.rest[n:]
	d.layers = append(d.layers, name)
	return header
}

// layer takes off the header of an IP protocol and returns the next one, or stop.
func (d *dissection) layer(protocol int) (next int) {
	switch protocol {
	case unix.IPPROTO_IPIP, unix.IPPROTO_IPV6:
		return d.internet()
	case unix.IPPROTO_GRE:
		return d.genericRouting()
	case unix.IPPROTO_TCP:
		return d.transport(TCP, 20)
	case unix.IPPROTO_SCTP:
		return d.transport(SCTP, 12)
	case unix.IPPROTO_UDP:
		return d.transport(UDP, 8)
	}
	return stop
}

// internet takes off a header of IPv4 or IPv6.
func (d *dissection) internet() (next int) {
	if len(d.rest) == 0 {
		return stop
	}
	switch d.rest[0] >> 4 {
	case 4:
		h := d.take("ipv4", 20)
		if h == nil || binary.BigEndian.Uint16(h[6:])&0x3fff != 0 {
			return stop // a fragment
		}
		d.rest = d.rest[min(len(d.rest), int(h[0]&15)*4-len(h)):]
		d.from, d.to = netip.AddrFrom4([4]byte(h[12:])), netip.AddrFrom4([4]byte(h[16:]))
		return int(h[9])
	case 6:
		h := d.take("ipv6", 40)
		if h == nil {
			return stop
		}
		d.from, d.to = netip.AddrFrom16([16]byte(h[8:])), netip.AddrFrom16([16]byte(h[24:]))
		return int(h[6])
	}
	return stop
}

// genericRouting takes off a header of GRE (RFC 2784).
func (d *dissection) genericRouting() (next int) {
	const checksum = 0x80
	h := d.take("gre", 4)
	if h == nil {
		return stop
	}
	if h[0]&checksum != 0 && d.take("checksum", 4) == nil {
		return stop
	}
	return d.internet()
}

// transport takes off a header with ports, and the GUE after one of UDP.
func (d *dissection) transport(name string, length int) (next int) {
	h := d.take(name, length)
	if h == nil {
		return stop
	}
	port := binary.BigEndian.Uint16(h[2:])
	if name != UDP || port != d.gue {
		d.port = port
		return stop
	}
	if sum := binary.BigEndian.Uint16(h[6:]); sum != 0 {
		d.layers = append(d.layers, "checksum")
	}
	g := d.take("gue", 4)
	if g == nil {
		return stop
	}
	if private := int(g[0]&0x1f) * 4; private > 0 && d.take("private", private) == nil {
		return stop
	}
	return int(g[1])
}
