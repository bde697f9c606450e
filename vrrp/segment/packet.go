package segment

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"time"

	"github.com/lvsd/lvsd/vrrp"
)

// The IP protocol of the authentication header, and the sizes of the headers in
// front of a VRRP message.
const (
	protocolAH    = 51 // RFC 4302
	ipv4HeaderLen = 20
	ipv6HeaderLen = 40
	ahFixedLen    = 12 // without the integrity check value
	fragmentMask  = 0x3fff
)

// Packet is one IP packet that carries a VRRP message.
type Packet struct {
	// Interface is where it was seen.
	Interface string
	// Outgoing says that this host sent it.
	Outgoing bool
	// Received is when it was read.
	Received    time.Time
	Source      netip.Addr
	Destination netip.Addr
	// TTL is the TTL or the hop limit.
	TTL uint8
	// AH says that an authentication header (RFC 4302) is in front of the
	// message.
	AH bool
	// Payload is the VRRP message with what follows it.
	Payload []byte
	// Broken is why there is no sound Payload: ErrFragment or ErrCutOff, else
	// nil.
	Broken error
}

// What is wrong with a packet that has no sound payload.
var (
	ErrFragment = errors.New("a fragment of a packet")
	ErrCutOff   = errors.New("shorter than its header says")
)

// Parse takes apart the IP packet b, from its IP header on, and reports whether
// it carries VRRP. Payload is part of b. What follows the packet is padding of
// the link.
func Parse(b []byte) (p Packet, ok bool) {
	switch {
	case len(b) >= ipv4HeaderLen && b[0]>>4 == 4:
		return parseIPv4(b)
	case len(b) >= ipv6HeaderLen && b[0]>>4 == 6:
		return parseIPv6(b)
	}
	return Packet{}, false
}

func parseIPv4(b []byte) (p Packet, ok bool) {
	p = Packet{
		TTL:         b[8],
		Source:      netip.AddrFrom4([4]byte(b[12:16])),
		Destination: netip.AddrFrom4([4]byte(b[16:20])),
	}
	protocol, header, total := b[9], int(b[0]&0x0f)*4, int(binary.BigEndian.Uint16(b[2:]))
	switch {
	case binary.BigEndian.Uint16(b[6:])&fragmentMask != 0:
		p.Broken = ErrFragment
	case header < ipv4HeaderLen || header > total || total > len(b):
		p.Broken = ErrCutOff
	default:
		p.Payload = b[header:total]
	}
	return p.behindAH(protocol)
}

func parseIPv6(b []byte) (p Packet, ok bool) {
	p = Packet{
		TTL:         b[7],
		Source:      netip.AddrFrom16([16]byte(b[8:24])),
		Destination: netip.AddrFrom16([16]byte(b[24:40])),
	}
	protocol, total := b[6], ipv6HeaderLen+int(binary.BigEndian.Uint16(b[4:]))
	if total > len(b) {
		p.Broken = ErrCutOff
	} else {
		p.Payload = b[ipv6HeaderLen:total]
	}
	return p.behindAH(protocol)
}

// behindAH moves the payload behind an authentication header, if the protocol
// says that there is one, and reports whether VRRP is what it carries.
func (p Packet) behindAH(protocol byte) (Packet, bool) {
	b := p.Payload
	switch {
	case protocol == vrrp.Protocol:
		return p, true
	case protocol != protocolAH || len(b) < ahFixedLen || b[0] != vrrp.Protocol:
		return Packet{}, false
	}
	p.AH = true
	if header := (int(b[1]) + 2) * 4; header >= ahFixedLen && header <= len(b) { // RFC 4302 section 2.2
		p.Payload = b[header:]
	} else {
		p.Payload, p.Broken = nil, ErrCutOff
	}
	return p, true
}
