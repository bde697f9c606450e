package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lvsd/lvsd/integration/lab"
	"github.com/lvsd/lvsd/vrrp"
	"github.com/lvsd/lvsd/vrrp/segment"
)

// A Rogue is a host on the segment that speaks VRRP and is none of the routers.
// It has no key, but it has heard what they say.
type Rogue struct {
	*lab.Host
	// Heard is an advert of the MASTER as it was on the wire, Advert what it says.
	Heard  segment.Packet
	Advert vrrp.Advert
	// To is where adverts go: the group, or each router.
	To []netip.Addr
	fd int
}

// A Forgery is a packet that is to be sent.
type Forgery struct {
	Source  netip.Addr
	TTL     uint8
	Message []byte
}

// newRogue makes a rogue of a host.
func newRogue(h *lab.Host) (*Rogue, error) {
	r := &Rogue{Host: h}
	err := h.Do(func() (err error) {
		r.fd, err = openForgery()
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("rogue %s: %w", h.Name, err)
	}
	return r, nil
}

// Overhear waits for an advert of the MASTER of a virtual router.
func (r *Rogue) Overhear(master *lab.Host, vrid uint8, patience time.Duration) error {
	var err error
	if r.Heard, err = overhear(master, vrid, patience); err != nil {
		return fmt.Errorf("overhear %s: %w", master.Name, err)
	}
	if d := r.Advert.Parse(r.Heard.Payload, r.Heard.Source, r.Heard.Destination); d != vrrp.Accepted {
		return fmt.Errorf("overhear %s: advert discarded: %v", master.Name, d)
	}
	if len(r.To) == 0 {
		r.To = []netip.Addr{r.Heard.Destination}
	}
	return nil
}

// Close closes its socket.
func (r *Rogue) Close() { _ = unix.Close(r.fd) }

// openForgery opens a raw socket that takes the IP header from its user.
func openForgery() (int, error) {
	device, err := net.InterfaceByName(lab.LinkName)
	if err != nil {
		return -1, err
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
	if err != nil {
		return -1, fmt.Errorf("raw socket: %w", err)
	}
	if err := unix.SetsockoptIPMreqn(fd, unix.IPPROTO_IP, unix.IP_MULTICAST_IF, &unix.IPMreqn{Ifindex: int32(device.Index)}); err != nil {
		return -1, errors.Join(fmt.Errorf("IP_MULTICAST_IF: %w", err), unix.Close(fd))
	}
	return fd, nil
}

// overhear returns the next advert of a virtual router that a host sends, whoever it
// is for.
func overhear(h *lab.Host, vrid uint8, patience time.Duration) (heard segment.Packet, err error) {
	var listener *segment.Listener
	if err := h.Do(func() (err error) {
		listener, err = segment.Listen(lab.LinkName)
		return err
	}); err != nil {
		return heard, err
	}
	defer func() { err = errors.Join(err, listener.Close()) }()
	for deadline := time.Now().Add(patience); ; {
		p, err := listener.Read(deadline)
		if err != nil {
			return heard, err
		}
		if p.Outgoing && p.Source == h.Address && len(p.Payload) >= headerLen && p.Payload[vridAt] == vrid {
			p.Payload = slices.Clone(p.Payload)
			return p, nil
		}
	}
}

// Forge is the MASTER's advert from another address, as edit leaves it. It is not
// signed.
func (r *Rogue) Forge(source netip.Addr, edit func(*vrrp.Advert)) (Forgery, error) {
	a := r.Advert
	a.Addresses, a.Trailer = slices.Clone(a.Addresses), vrrp.Trailer{}
	edit(&a)
	message, err := a.Append(nil, source, r.To[0])
	if err != nil {
		return Forgery{}, fmt.Errorf("forge: %w", err)
	}
	return Forgery{Source: source, TTL: vrrp.TTL, Message: message}, nil
}

// Replay is the advert that was heard.
func (r *Rogue) Replay() Forgery {
	return Forgery{Source: r.Heard.Source, TTL: vrrp.TTL, Message: r.Heard.Payload}
}

// packet is the forgery with its IP header, which the kernel completes.
func (f Forgery) packet(to netip.Addr) []byte {
	const headerLen = 20
	b := []byte{4<<4 | headerLen/4, 0xc0}
	b = binary.BigEndian.AppendUint16(b, uint16(headerLen+len(f.Message)))
	b = append(b, 0, 0, 0, 0, f.TTL, vrrp.Protocol, 0, 0)
	b = append(b, f.Source.AsSlice()...)
	b = append(b, to.AsSlice()...)
	return append(b, f.Message...)
}

// Send sends each forgery once to every destination.
func (r *Rogue) Send(forgeries ...Forgery) error {
	for _, p := range r.Packets(forgeries...) {
		if err := r.put(p); err != nil {
			return fmt.Errorf("rogue %s: send to %v: %w", r.Name, p.to, err)
		}
	}
	return nil
}

func (r *Rogue) put(p Packet) error {
	return os.NewSyscallError("sendto", unix.Sendto(r.fd, p.bytes, 0, &unix.SockaddrInet4{Addr: p.to.As4()}))
}

// A Storm sends forgeries, one after the other, as fast as a socket takes them.
type Storm struct {
	start time.Time
	stop  chan struct{}
	ended sync.WaitGroup
	sent  uint64
	last  error
	took  time.Duration
}

// A Packet is a forgery on its way to a destination.
type Packet struct {
	bytes []byte
	to    netip.Addr
}

// Packets are the forgeries, each to every destination.
func (r *Rogue) Packets(forgeries ...Forgery) (all []Packet) {
	for _, f := range forgeries {
		for _, to := range r.To {
			all = append(all, Packet{f.packet(to), to})
		}
	}
	return all
}

// Storm begins one.
func (r *Rogue) Storm(packets []Packet) *Storm {
	s := &Storm{start: time.Now(), stop: make(chan struct{})}
	s.ended.Go(func() {
		for {
			for _, p := range packets {
				// A full queue is what it is meant to be.
				if err := r.put(p); err != nil {
					s.last = err
					continue
				}
				s.sent++
			}
			select {
			case <-s.stop:
				return
			default:
			}
		}
	})
	return s
}

// End ends it. It is an error if nothing could be sent.
func (s *Storm) End() error {
	close(s.stop)
	s.ended.Wait()
	s.took = time.Since(s.start)
	if s.sent == 0 {
		return fmt.Errorf("storm: nothing sent: %w", s.last)
	}
	return nil
}

// Rate is how many packets there were in a second.
func (s *Storm) Rate() float64 { return float64(s.sent) / s.took.Seconds() }

// A Parrot repeats a forgery.
type Parrot struct {
	stop  chan struct{}
	ended sync.WaitGroup
	last  error
}

// Repeat begins to.
func (r *Rogue) Repeat(f Forgery, every time.Duration) *Parrot {
	p := &Parrot{stop: make(chan struct{})}
	p.ended.Go(func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for p.last == nil {
			p.last = r.Send(f)
			select {
			case <-tick.C:
			case <-p.stop:
				return
			}
		}
	})
	return p
}

// End ends it and returns what went wrong.
func (p *Parrot) End() error {
	close(p.stop)
	p.ended.Wait()
	return p.last
}
