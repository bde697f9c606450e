package vrrp

import (
	"net/netip"
	"time"
)

// Packet is a received datagram of protocol 112.
type Packet struct {
	// Payload is the VRRP message; it is valid until the next read.
	Payload     []byte
	Source      netip.Addr
	Destination netip.Addr
	TTL         uint8 // or hop limit
	// Received is when it was read, with a monotonic reading.
	Received time.Time
}

// Conn carries adverts on one interface. One goroutine uses it; only
// SetReadDeadline may be called by others, at any time, also after Close.
type Conn interface {
	// Source is the address adverts are sent from.
	Source() netip.Addr
	// Read waits for a packet. It returns os.ErrDeadlineExceeded once the read
	// deadline has passed, even if packets are waiting; now and then it does so
	// too early.
	Read() (Packet, error)
	// Poll is Read without waiting and whatever the deadline:
	// os.ErrDeadlineExceeded if no packet is there.
	Poll() (Packet, error)
	// SetReadDeadline bounds Read, also one that is waiting; zero is never.
	SetReadDeadline(t time.Time) error
	// Write sends a message without waiting; what cannot be queued is lost.
	Write(message []byte, to netip.Addr) error
	// Up is nil while the interface can carry adverts. An interface that was
	// created anew under the same name is not up for an old Conn.
	Up() error
	Close() error
}

// DialFunc opens the Conn of a virtual router on an interface. Only the
// addresses of c matter. It fails while the interface cannot be used.
type DialFunc func(ifname string, c Config) (Conn, error)
