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
)

// sighting is a packet that the client's interface received.
type sighting struct {
	at  time.Time // by the kernel
	mac string    // who sent it
	// advert tells an advert, with its priority, from an echo reply of a VIP.
	advert   bool
	priority uint8
	vip      netip.Addr
	// probe is the number of the answered probe.
	probe uint16
}

// observer sees, on the client's interface, adverts and the answers to probes.
type observer struct {
	file *os.File
	done chan struct{}

	mu   sync.Mutex
	seen []sighting
}

// observe starts to observe. The socket is opened inside the host.
func observe(h *lab.Host) (*observer, error) {
	var fd int
	err := h.Do(func() (err error) { fd, err = openPacketSocket(); return err })
	if err != nil {
		return nil, err
	}
	o := &observer{file: os.NewFile(uintptr(fd), "observer"), done: make(chan struct{})}
	go o.run()
	return o, nil
}

// openPacketSocket opens a socket that gets every IPv4 packet with its Ethernet
// header and the kernel's time.
func openPacketSocket() (int, error) {
	const allIPv4 = unix.ETH_P_IP<<8&0xff00 | unix.ETH_P_IP>>8
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, allIPv4)
	if err != nil {
		return 0, fmt.Errorf("packet socket: %w", err)
	}
	err = errors.Join(
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1),
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 8<<20),
	)
	if err != nil {
		unix.Close(fd)
		return 0, fmt.Errorf("packet socket: %w", err)
	}
	return fd, nil
}

func (o *observer) run() {
	defer close(o.done)
	lab.ReadStamped(o.file, func(packet []byte, at time.Time) {
		if at.IsZero() {
			at = time.Now()
		}
		if s, ok := decode(packet, at); ok {
			o.mu.Lock()
			defer o.mu.Unlock()
			o.seen = append(o.seen, s)
		}
	})
}

func (o *observer) close() {
	o.file.Close()
	<-o.done
}

// take returns what was seen since the last call, in the order of time.
func (o *observer) take() []sighting {
	o.mu.Lock()
	defer o.mu.Unlock()
	seen := o.seen
	o.seen = nil
	slices.SortStableFunc(seen, func(a, b sighting) int { return a.at.Compare(b.at) })
	return seen
}

// peek is take without forgetting.
func (o *observer) peek() []sighting {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.seen)
}

// decode reads an Ethernet frame: an advert, or an echo reply.
func decode(frame []byte, at time.Time) (sighting, bool) {
	const ethernet, ip = 14, 20
	if len(frame) < ethernet+ip+8 {
		return sighting{}, false
	}
	s := sighting{at: at, mac: net.HardwareAddr(frame[6:12]).String()}
	header := int(frame[ethernet]&0x0f) * 4
	if len(frame) < ethernet+header+8 {
		return sighting{}, false
	}
	body := frame[ethernet+header:]
	switch frame[ethernet+9] {
	case 112:
		s.advert, s.priority = true, body[2]
		return s, true
	case unix.IPPROTO_ICMP:
		s.vip = netip.AddrFrom4([4]byte(frame[ethernet+12:]))
		s.probe = binary.BigEndian.Uint16(body[6:])
		return s, body[0] == 0
	}
	return sighting{}, false
}
