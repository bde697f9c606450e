package vrrp

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// The trailer is keepalived's (2.4.0, auth_hmac); no RFC has it.
const (
	trailerLen  = 28
	trailerType = 1  // HMAC-SHA256, cut to 128 bits
	macLen      = 16 // the last bytes of the trailer
)

// Trailer authenticates an advert: it follows the message and counts in the IP
// length, over IPv6 in the checksum too. It is 28 bytes: type 1, key id, two
// zero bytes, Sequence, MAC. The MAC is the first half of the HMAC-SHA256 of
//
//	address family (4 or 6), version, VRID, 0    1 byte each
//	source address                               16 bytes, IPv4 first and zeros
//	message                                      with checksum 0
//	trailer                                      with MAC 0
//
// so that an advert proves nothing for another sender or virtual router. The
// destination is not in it.
type Trailer struct {
	// KeyID is 1..255; 0 is no trailer.
	KeyID    uint8
	Sequence Sequence
	MAC      [macLen]byte
}

// Present reports whether there is a trailer.
func (t Trailer) Present() bool { return t.KeyID != 0 }

func (t Trailer) append(b []byte) []byte {
	b = append(b, trailerType, t.KeyID, 0, 0)
	b = binary.BigEndian.AppendUint64(b, uint64(t.Sequence))
	return append(b, t.MAC[:]...)
}

// parse reads the trailer b and reports whether it is one of this type.
func (t *Trailer) parse(b []byte) bool {
	t.KeyID = b[1]
	t.Sequence = Sequence(binary.BigEndian.Uint64(b[4:]))
	copy(t.MAC[:], b[trailerLen-macLen:])
	return b[0] == trailerType && b[2] == 0 && b[3] == 0 && t.Present()
}

// Sign sets the MAC of a's trailer, whose key id and sequence are set, for
// packets from src. One signature serves every destination.
func (a *Advert) Sign(key []byte, src netip.Addr) error {
	if !a.Trailer.Present() {
		return errors.New("sign: no key id")
	}
	a.Trailer.MAC = [macLen]byte{}
	b, err := a.Append(nil, src, src)
	if err != nil {
		return fmt.Errorf("sign: %w", err)
	}
	a.Trailer.MAC = mac(b, key, src)
	return nil
}

// Authentic reports whether the message b with a trailer, from src, was signed
// with key. Parse must have accepted it.
func Authentic(b, key []byte, src netip.Addr) bool {
	if len(b) < headerLen+trailerLen {
		return false
	}
	want := mac(b, key, src)
	return hmac.Equal(want[:], b[len(b)-macLen:])
}

// mac computes the MAC of the message b with a trailer.
func mac(b, key []byte, src netip.Addr) (sum [macLen]byte) {
	var pseudo [20]byte
	pseudo[0] = 6
	if src.Is4() {
		pseudo[0] = 4
	}
	pseudo[1], pseudo[2] = b[0]>>4, b[1]
	copy(pseudo[4:], src.AsSlice())
	var zero [macLen]byte
	h := hmac.New(sha256.New, key)
	for _, part := range [...][]byte{
		pseudo[:], b[:checksumAt], zero[:2], b[checksumAt+2 : len(b)-macLen], zero[:],
	} {
		h.Write(part) // never fails
	}
	copy(sum[:], h.Sum(nil))
	return sum
}

// Sequence orders the adverts of one sender. It is the sender's clock, so that
// it goes on rising after a restart: Unix seconds modulo 2^32 in the upper half,
// then 1/65536 seconds and a counter of 16 bits each. It is compared as a serial
// number (RFC 1982), so that it may wrap.
type Sequence uint64

// SequenceAt is the sequence of a clock that shows t.
func SequenceAt(t time.Time) Sequence {
	fraction := uint64(t.Nanosecond()) << 16 / uint64(time.Second)
	return Sequence(uint64(uint32(t.Unix()))<<32 | fraction<<16)
}

// After reports whether s is later than t.
func (s Sequence) After(t Sequence) bool { return int64(s-t) > 0 }

// Ahead is by how much s is ahead of a clock that shows t; negative if behind.
func (s Sequence) Ahead(t time.Time) time.Duration {
	ticks := int64(s-SequenceAt(t)) >> 16 // of 1/65536 s
	return time.Duration(ticks>>16)*time.Second + time.Duration(ticks&0xffff)*time.Second>>16
}

// next is what to send after s, 0 if nothing was sent yet: the time, or s and a bit if the clock has not
// moved on or was set back. Receivers with a window would take no such advert
// once it is further ahead than that, so then it follows the clock.
func (s Sequence) next(now time.Time, window time.Duration) Sequence {
	clock := SequenceAt(now)
	if s == 0 || clock.After(s) || window > 0 && s.Ahead(now) > window {
		return clock
	}
	return s + 1
}
