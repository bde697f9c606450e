package ipvs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"time"
)

// The attributes of a service (IPVS_SVC_ATTR_*).
const (
	serviceFamily      = 1
	serviceProtocol    = 2
	serviceAddress     = 3 // 16 bytes, an IPv4 address in the first 4
	servicePort        = 4 // network byte order
	serviceMark        = 5
	serviceScheduler   = 6
	serviceFlags       = 7 // value and mask
	serviceTimeout     = 8 // seconds
	serviceGranularity = 9 // IPv4: a mask in network byte order; IPv6: a prefix length
	serviceStats       = 10
	serviceEngine      = 11
	serviceStats64     = 12
)

// hashed is the flag that the kernel sets on every service
// (IP_VS_SVC_F_HASHED).
const hashed Flags = 0x2

// appendServiceKey appends the service that a command is about. Only what
// identifies it is needed.
func appendServiceKey(b []byte, k ServiceKey) []byte {
	b, start := beginNested(b, attributeService)
	return endNested(appendServiceIdentity(b, k), start)
}

// appendService appends all of a service. The flags are sent with a mask of
// ones, so that they replace those that are set.
func appendService(b []byte, s Service) []byte {
	b, start := beginNested(b, attributeService)
	b = appendServiceIdentity(b, s.ServiceKey)
	b = appendText(b, serviceScheduler, s.Scheduler)
	if s.Engine != "" {
		b = appendText(b, serviceEngine, s.Engine)
	}
	b = appendHeader(b, serviceFlags, 8)
	b = native.AppendUint32(native.AppendUint32(b, uint32(s.Flags)), math.MaxUint32)
	b = appendUint32(b, serviceTimeout, uint32(s.Timeout/time.Second))
	b = appendGranularity(b, s.Family, s.Granularity)
	return endNested(b, start)
}

func appendServiceIdentity(b []byte, k ServiceKey) []byte {
	b = appendUint16(b, serviceFamily, uint16(k.Family))
	if k.Mark != 0 {
		return appendUint32(b, serviceMark, k.Mark)
	}
	b = appendUint16(b, serviceProtocol, uint16(k.Protocol))
	b = appendAddress(b, serviceAddress, k.Address.Addr())
	return appendPort(b, servicePort, k.Address.Port())
}

// appendGranularity appends a prefix length as the kernel keeps it: for IPv4 a
// mask in network byte order, for IPv6 the length itself.
func appendGranularity(b []byte, f Family, length uint8) []byte {
	if f == IPv6 {
		return appendUint32(b, serviceGranularity, uint32(length))
	}
	mask := uint32(math.MaxUint32) << (32 - length)
	return binary.BigEndian.AppendUint32(appendHeader(b, serviceGranularity, 4), mask)
}

// decodeService reads one answer to commandGetService. Destinations are not
// part of it; names are those of schedulers and engines seen before.
func decodeService(message []byte, names names) (ServiceEntry, error) {
	body, err := nested(message, attributeService)
	if err != nil {
		return ServiceEntry{}, fmt.Errorf("service: %w", err)
	}
	var (
		e             ServiceEntry
		address, mask []byte
		port          uint16
	)
	r := readAttributes(body)
	for r.next() {
		switch r.kind {
		case serviceFamily:
			e.Family = Family(r.uint16())
		case serviceProtocol:
			e.Protocol = Protocol(r.uint16())
		case serviceAddress:
			address = r.value
		case servicePort:
			port = r.port()
		case serviceMark:
			e.Mark = r.uint32()
		case serviceScheduler:
			e.Scheduler = names.of(r.text())
		case serviceFlags:
			e.Flags = Flags(native.Uint32(r.sized(8))) &^ hashed
		case serviceTimeout:
			e.Timeout = time.Duration(r.uint32()) * time.Second
		case serviceGranularity:
			mask = r.sized(4)
		case serviceEngine:
			e.Engine = names.of(r.text())
		case serviceStats, serviceStats64:
			r.stats(&e.Stats, serviceStats64)
		}
	}
	if r.err != nil {
		return ServiceEntry{}, fmt.Errorf("service: %w", r.err)
	}
	if e.Granularity, err = granularity(e.Family, mask); err != nil {
		return ServiceEntry{}, fmt.Errorf("service: %w", err)
	}
	if e.Mark != 0 {
		e.Protocol = 0
		return e, nil
	}
	if e.Address, err = addressPort(e.Family, address, port); err != nil {
		return ServiceEntry{}, fmt.Errorf("service: %w", err)
	}
	return e, nil
}

// granularity is a prefix length from what the kernel keeps: a mask in network
// byte order for IPv4, the length itself for IPv6.
func granularity(f Family, raw []byte) (uint8, error) {
	switch {
	case len(raw) == 0:
		return 0, errors.New("no granularity in the answer")
	case f == IPv4:
		mask := uint32(raw[0])<<24 | uint32(raw[1])<<16 | uint32(raw[2])<<8 | uint32(raw[3])
		return uint8(bits.LeadingZeros32(^mask)), nil
	case native.Uint32(raw) > 128:
		return 0, fmt.Errorf("prefix length %d of an %v service", native.Uint32(raw), f)
	default:
		return uint8(native.Uint32(raw)), nil
	}
}

// names are strings that many messages hold, kept once.
type names map[string]string

func (n names) of(b []byte) string {
	if s, ok := n[string(b)]; ok {
		return s
	}
	s := string(b)
	if len(n) < maxNames {
		n[s] = s
	}
	return s
}

// maxNames bounds names; the kernel has some twenty.
const maxNames = 256
