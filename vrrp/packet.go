package vrrp

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"
)

// Protocol is VRRP's IP protocol number (RFC 5798 section 5.1.1.4).
const Protocol = 112

// TTL is the TTL or hop limit of every advert; one with another has passed a
// router and is not from this link (RFC 5798 sections 5.1.1.3 and 5.1.2.3).
const TTL = 255

// Group and Group6 are where multicast adverts go in IPv4 and IPv6 unless
// Config.Group says otherwise (RFC 5798 sections 5.1.1.2 and 5.1.2.2).
var (
	Group  = netip.AddrFrom4([4]byte{224, 0, 0, 18})
	Group6 = netip.AddrFrom16([16]byte{0: 0xff, 1: 0x02, 15: 0x12})
)

const (
	headerLen        = 8
	authLen          = 8 // version 2 always has it, whatever its auth type
	typeAdvert       = 1 // the only type there is
	checksumAt       = 6
	intervalMask     = 0x0fff // the other 4 bits are reserved
	maxAdvertIPv4Len = headerLen + 255*4 + authLen + trailerLen
	maxAdvertIPv6Len = headerLen + 255*16 + trailerLen
)

// AuthType is version 2's authentication (RFC 2338 section 5.3.6; RFC 3768
// keeps only the first).
type AuthType uint8

// The authentication types.
const (
	AuthNone     AuthType = 0
	AuthPassword AuthType = 1
	AuthHeader   AuthType = 2 // IP authentication header, not supported
)

// Advert is a VRRP ADVERTISEMENT (RFC 3768 and RFC 5798 section 5.1).
type Advert struct {
	Version  Version
	VRID     uint8
	Priority uint8
	// Interval is whole seconds 0..255s in version 2, 10ms..40.95s in version 3.
	Interval time.Duration
	// Addresses are of the packet's address family, at most 255.
	Addresses []netip.Addr
	// Auth and AuthData are version 2's.
	Auth     AuthType
	AuthData [authLen]byte
	// PlainChecksum says that the checksum of version 3 over IPv4 covers the
	// message only (RFC 9568 section 5.2.8) instead of a pseudo-header too (RFC
	// 5798 section 5.2.8). Both forms are in use.
	PlainChecksum bool
	// Trailer authenticates the advert; the zero Trailer is none.
	Trailer Trailer
}

// Append appends the message to b, for a packet from src to dst, with the
// trailer as it is: Sign makes it.
func (a Advert) Append(b []byte, src, dst netip.Addr) ([]byte, error) {
	if len(a.Addresses) > 255 {
		return b, fmt.Errorf("advert: %d addresses, at most 255", len(a.Addresses))
	}
	interval, err := a.interval()
	if err != nil {
		return b, err
	}
	start := len(b)
	b = append(b, byte(a.Version)<<4|typeAdvert, a.VRID, a.Priority, byte(len(a.Addresses)))
	b = binary.BigEndian.AppendUint16(b, interval)
	b = append(b, 0, 0)
	for _, ip := range a.Addresses {
		if ip.Is4() != src.Is4() {
			return b[:start], fmt.Errorf("advert: address %v in a packet from %v", ip, src)
		}
		b = appendAddr(b, ip)
	}
	if a.Version == V2 {
		b = append(b, a.AuthData[:]...)
	}
	end := len(b)
	if a.Trailer.Present() {
		b = a.Trailer.append(b)
	}
	m := checksummed(b[start:], end-start, src)
	sum := ^fold(a.Version.checksumStart(src, dst, len(m), a.PlainChecksum) + sum16(m))
	binary.BigEndian.PutUint16(m[checksumAt:], sum)
	return b, nil
}

// checksummed is the part of b that the checksum covers: over IPv6 all of it,
// as a kernel that computes it cannot know of a trailer, over IPv4 the message
// without the trailer.
func checksummed(b []byte, message int, src netip.Addr) []byte {
	if src.Is4() {
		return b[:message]
	}
	return b
}

// interval is the bytes 4 and 5: auth type and seconds, or centiseconds.
func (a Advert) interval() (uint16, error) {
	switch {
	case a.Version == V2 && a.Interval%time.Second == 0 && a.Interval >= 0 && a.Interval <= MaxIntervalV2:
		return uint16(a.Auth)<<8 | uint16(a.Interval/time.Second), nil
	case a.Version == V3 && a.Interval%centisecond == 0 && a.Interval >= 0 && a.Interval <= MaxIntervalV3:
		return uint16(a.Interval / centisecond), nil
	}
	return 0, fmt.Errorf("advert: version %d cannot say interval %v", a.Version, a.Interval)
}

// Parse reads the message b of a packet from src to dst and returns Accepted,
// or the first reason of its own to discard it. What only the receiver can
// know (VRID, password, keys, TTL) is not looked at. It reuses a.Addresses, and
// leaves a undefined unless it returns Accepted.
func (a *Advert) Parse(b []byte, src, dst netip.Addr) Discard {
	if len(b) < headerLen {
		return BadLength
	}
	*a = Advert{Version: Version(b[0] >> 4), VRID: b[1], Priority: b[2], Addresses: a.Addresses[:0]}
	addrLen := src.BitLen() / 8
	want := headerLen + int(b[3])*addrLen
	switch {
	case a.Version == V2 && src.Is4():
		want += authLen
	case a.Version != V3:
		return BadVersion
	}
	switch {
	case b[0]&0x0f != typeAdvert:
		return BadType
	case len(b) != want && len(b) != want+trailerLen:
		return BadLength
	case !a.checksumOK(checksummed(b, want, src), src, dst):
		return BadChecksum
	}
	if len(b) > want && !a.Trailer.parse(b[want:]) {
		return BadTrailer
	}
	return a.parseBody(b[:want], addrLen)
}

func (a *Advert) parseBody(b []byte, addrLen int) Discard {
	if a.Version == V2 {
		a.Auth = AuthType(b[4])
		a.Interval = time.Duration(b[5]) * time.Second
		copy(a.AuthData[:], b[len(b)-authLen:])
	} else {
		cs := binary.BigEndian.Uint16(b[4:]) & intervalMask
		a.Interval = time.Duration(cs) * centisecond
		if cs == 0 {
			return ZeroInterval
		}
		if b[3] == 0 {
			return ZeroCount
		}
	}
	for i := range int(b[3]) {
		ip, _ := netip.AddrFromSlice(b[headerLen+i*addrLen:][:addrLen])
		a.Addresses = append(a.Addresses, ip)
	}
	return Accepted
}

// checksumOK verifies the checksum and finds its form.
func (a *Advert) checksumOK(b []byte, src, dst netip.Addr) bool {
	sum := sum16(b)
	if fold(a.Version.checksumStart(src, dst, len(b), false)+sum) == 0xffff {
		return true
	}
	a.PlainChecksum = a.Version == V3 && src.Is4() && fold(sum) == 0xffff
	return a.PlainChecksum
}

// checksumStart is the sum of the pseudo-header that the checksum begins with,
// or 0 where there is none: src, dst, the length and the protocol (RFC 8200
// section 8.1; the same in IPv4).
func (v Version) checksumStart(src, dst netip.Addr, length int, plain bool) uint32 {
	if v == V2 || plain && src.Is4() {
		return 0
	}
	return sumAddr(src) + sumAddr(dst) + uint32(length) + Protocol
}

func sumAddr(a netip.Addr) uint32 {
	if a.Is4() {
		b := a.As4()
		return sum16(b[:])
	}
	b := a.As16()
	return sum16(b[:])
}

func appendAddr(b []byte, a netip.Addr) []byte {
	if a.Is4() {
		p := a.As4()
		return append(b, p[:]...)
	}
	p := a.As16()
	return append(b, p[:]...)
}

// sum16 adds up big-endian 16-bit words, the last byte padded with zero. 64 KiB
// do not overflow it.
func sum16(b []byte) uint32 {
	var sum uint32
	for ; len(b) >= 2; b = b[2:] {
		sum += uint32(b[0])<<8 | uint32(b[1])
	}
	if len(b) == 1 {
		sum += uint32(b[0]) << 8
	}
	return sum
}

// fold makes a 16-bit ones' complement sum of it.
func fold(sum uint32) uint16 {
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return uint16(sum)
}
