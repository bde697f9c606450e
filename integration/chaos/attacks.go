package main

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"github.com/lvsd/lvsd/vrrp"
)

// An attack is what a rogue sends once.
type attack func(*Rogue) ([]Forgery, error)

// owner is an advert of the highest priority, with the interval or the MASTER's.
func owner(interval time.Duration) attack {
	return one(func(a *vrrp.Advert) {
		a.Priority = vrrp.Owner
		if interval != 0 && a.Version == vrrp.V3 {
			a.Interval = interval
		}
	})
}

// lower is an advert of the lowest priority.
func lower(r *Rogue) ([]Forgery, error) {
	return one(func(a *vrrp.Advert) { a.Priority = 1 })(r)
}

// unsigned is one of the highest priority from the MASTER's address.
func unsigned(r *Rogue) ([]Forgery, error) {
	f, err := r.Forge(r.Heard.Source, func(a *vrrp.Advert) { a.Priority = vrrp.Owner })
	return []Forgery{f}, err
}

// goodbye is a MASTER's that does not leave.
func goodbye(r *Rogue) ([]Forgery, error) {
	f, err := r.Forge(r.Heard.Source, func(a *vrrp.Advert) { a.Priority = 0 })
	return []Forgery{f}, err
}

// recorded is what the MASTER has said before, ten times.
func recorded(r *Rogue) ([]Forgery, error) {
	return slices.Repeat([]Forgery{r.Replay()}, 10), nil
}

// tampered is what the MASTER has said, with another priority and its signature.
func tampered(r *Rogue) ([]Forgery, error) {
	f := r.Replay()
	f.Message = slices.Clone(f.Message)
	f.Message[priorityAt] = vrrp.Owner
	r.correct(f)
	return []Forgery{f}, nil
}

// forwarded are adverts of the highest priority that have passed a router.
func forwarded(r *Rogue) ([]Forgery, error) {
	forgeries, err := owner(0)(r)
	if err != nil {
		return nil, err
	}
	var all []Forgery
	for _, ttl := range []uint8{254, 128, 64, 1} {
		f := forgeries[0]
		f.TTL = ttl
		all = append(all, f)
	}
	return all, nil
}

// Where an advert has what is altered (RFC 9568 section 5.1).
const (
	versionAt  = 0
	vridAt     = 1
	priorityAt = 2
	countAt    = 3
	intervalAt = 4
	checksumAt = 6
	headerLen  = 8
)

// malformedSeed is the seed of the mutations: the same in every run, so that a
// finding is found again.
const malformedSeed = 7

// malformed are about 400 adverts of the highest priority that nobody may take for
// one: by length, by field, and mutated at random.
func malformed(r *Rogue) ([]Forgery, error) {
	forgeries, err := owner(0)(r)
	if err != nil {
		return nil, err
	}
	sound := forgeries[0]
	var all []Forgery
	add := func(correct bool, message []byte) {
		f := Forgery{Source: sound.Source, TTL: sound.TTL, Message: message}
		if correct {
			r.correct(f)
		}
		if !r.sound(f) {
			all = append(all, f)
		}
	}
	altered := func(at int, value byte) []byte {
		m := slices.Clone(sound.Message)
		m[at] = value
		return m
	}
	for length := range sound.Message {
		add(true, slices.Clone(sound.Message[:length]))
	}
	for _, more := range []int{1, 4, 8, 28, 1400} {
		add(true, append(slices.Clone(sound.Message), make([]byte, more)...))
	}
	add(false, altered(checksumAt, ^sound.Message[checksumAt]))
	for nibble := range byte(16) {
		add(true, altered(versionAt, nibble<<4|sound.Message[versionAt]&0x0f))
		add(true, altered(versionAt, sound.Message[versionAt]&0xf0|nibble))
	}
	for _, count := range []byte{0, 2, 20, 127, 255} {
		add(true, altered(countAt, count))
	}
	zero := altered(intervalAt, 0)
	zero[intervalAt+1] = 0
	add(true, zero)
	random := rand.New(rand.NewPCG(malformedSeed, malformedSeed))
	for len(all) < 400 {
		m := slices.Clone(sound.Message)
		for range 1 + random.IntN(4) {
			m[random.IntN(len(m))] = byte(random.Uint32())
		}
		add(random.IntN(2) == 0, m)
	}
	return all, nil
}

// sound reports whether a forgery is an advert of the virtual router, if not of one
// of the nodes.
func (r *Rogue) sound(f Forgery) bool {
	var a vrrp.Advert
	return a.Parse(f.Message, f.Source, r.To[0]) == vrrp.Accepted && a.VRID == r.Advert.VRID
}

// correct sets the checksum of a message in place, where it is long enough to have
// one.
func (r *Rogue) correct(f Forgery) {
	m := f.Message
	if len(m) < headerLen {
		return
	}
	binary.BigEndian.PutUint16(m[checksumAt:], 0)
	covered := m
	if end := headerLen + 4*len(r.Advert.Addresses); r.Advert.Trailer.Present() && len(m) > end {
		covered = m[:end] // it does not cover a signature
	}
	sum := sum16(covered)
	if vrrp.Version(m[versionAt]>>4) == vrrp.V3 {
		sum += sum16(addressBytes(f.Source, r.To[0])) + uint32(len(covered)) + vrrp.Protocol
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	binary.BigEndian.PutUint16(m[checksumAt:], ^uint16(sum))
}

func addressBytes(addresses ...netip.Addr) (b []byte) {
	for _, a := range addresses {
		b = append(b, a.AsSlice()...)
	}
	return b
}

// sum16 adds up words of 16 bits, the last byte padded.
func sum16(b []byte) (sum uint32) {
	for i, v := range b {
		sum += uint32(v) << (8 * (1 - i%2))
	}
	return sum
}
