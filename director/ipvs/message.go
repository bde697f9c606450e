package ipvs

import (
	"errors"
	"fmt"
	"math/bits"
	"net/netip"
	"time"
)

// The commands this package sends itself (IPVS_CMD_*); the others are
// moby/ipvs's.
const (
	commandGetService        = 4
	commandAddDestination    = 5
	commandUpdateDestination = 6
	commandDeleteDestination = 7
	commandGetDestination    = 8
	commandGetInfo           = 15
	commandZero              = 16
)

// The attributes at the top of a message (IPVS_CMD_ATTR_*). The answer to
// commandGetInfo numbers its own from 1 again (IPVS_INFO_ATTR_*).
const (
	attributeService     = 1
	attributeDestination = 2

	infoVersion   = 1
	infoTableSize = 2
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

// The attributes of a destination (IPVS_DEST_ATTR_*).
const (
	destinationAddress     = 1
	destinationPort        = 2
	destinationForwarding  = 3
	destinationWeight      = 4
	destinationUpper       = 5
	destinationLower       = 6
	destinationActive      = 7
	destinationInactive    = 8
	destinationPersistent  = 9
	destinationStats       = 10
	destinationFamily      = 11
	destinationStats64     = 12
	destinationTunnelType  = 13
	destinationTunnelPort  = 14
	destinationTunnelFlags = 15
)

// forwardingMask is the part of a destination's flags that is its forwarding
// method (IP_VS_CONN_F_FWD_MASK).
const forwardingMask = 0x7

// hashed is the flag that the kernel sets on every service
// (IP_VS_SVC_F_HASHED).
const hashed Flags = 0x2

// appendServiceKey appends the service that a command is about. Only what
// identifies it is needed.
func appendServiceKey(b []byte, k ServiceKey) []byte {
	s := appendUint16(nil, serviceFamily, uint16(k.Family))
	if k.Mark != 0 {
		s = appendUint32(s, serviceMark, k.Mark)
	} else {
		s = appendUint16(s, serviceProtocol, uint16(k.Protocol))
		s = appendAttribute(s, serviceAddress, rawAddress(k.Address.Addr()))
		s = appendPort(s, servicePort, k.Address.Port())
	}
	return appendNested(b, attributeService, s)
}

// appendDestination appends all of a destination. The tunnel attributes are
// always sent: an update replaces everything, and the kernel takes what is
// missing for IP-in-IP.
func appendDestination(b []byte, d Destination) []byte {
	s := destinationKey(d.Address)
	s = appendUint32(s, destinationForwarding, uint32(d.Forwarding))
	s = appendUint32(s, destinationWeight, uint32(d.Weight))
	s = appendAttribute(s, destinationTunnelType, []byte{byte(d.Tunnel.Type)})
	s = appendPort(s, destinationTunnelPort, d.Tunnel.Port)
	s = appendUint16(s, destinationTunnelFlags, d.Tunnel.Flags)
	s = appendUint32(s, destinationUpper, d.Upper)
	s = appendUint32(s, destinationLower, d.Lower)
	return appendNested(b, attributeDestination, s)
}

// appendDestinationKey appends what identifies a destination in its service.
func appendDestinationKey(b []byte, address netip.AddrPort) []byte {
	return appendNested(b, attributeDestination, destinationKey(address))
}

func destinationKey(address netip.AddrPort) []byte {
	s := appendUint16(nil, destinationFamily, uint16(familyOf(address.Addr())))
	s = appendAttribute(s, destinationAddress, rawAddress(address.Addr()))
	return appendPort(s, destinationPort, address.Port())
}

func familyOf(a netip.Addr) Family {
	if a.Is4() {
		return IPv4
	}
	return IPv6
}

func rawAddress(a netip.Addr) []byte {
	b := make([]byte, 16)
	copy(b, a.AsSlice())
	return b
}

// decodeInfo reads the answer to commandGetInfo.
func decodeInfo(message []byte) (Info, error) {
	var info Info
	r := readAttributes(message)
	for r.next() {
		switch r.kind {
		case infoVersion:
			info.Version = r.uint32()
		case infoTableSize:
			info.TableSize = r.uint32()
		}
	}
	return info, r.err
}

// decodeService reads one answer to commandGetService. Destinations are not
// part of it.
func decodeService(message []byte) (ServiceEntry, error) {
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
			e.Scheduler = r.text()
		case serviceFlags:
			e.Flags = Flags(native.Uint32(r.sized(8))) &^ hashed
		case serviceTimeout:
			e.Timeout = time.Duration(r.uint32()) * time.Second
		case serviceGranularity:
			mask = r.sized(4)
		case serviceEngine:
			e.Engine = r.text()
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

// decodeDestination reads one answer to commandGetDestination. Kernels before
// 3.18 do not tell the family, which then is that of the service.
func decodeDestination(message []byte, service Family) (DestinationEntry, error) {
	body, err := nested(message, attributeDestination)
	if err != nil {
		return DestinationEntry{}, fmt.Errorf("destination: %w", err)
	}
	var (
		e       DestinationEntry
		family  = service
		address []byte
		port    uint16
	)
	r := readAttributes(body)
	for r.next() {
		switch r.kind {
		case destinationFamily:
			family = Family(r.uint16())
		case destinationAddress:
			address = r.value
		case destinationPort:
			port = r.port()
		default:
			r.destinationField(&e)
		}
	}
	if r.err != nil {
		return DestinationEntry{}, fmt.Errorf("destination: %w", r.err)
	}
	if e.Address, err = addressPort(family, address, port); err != nil {
		return DestinationEntry{}, fmt.Errorf("destination: %w", err)
	}
	if e.Forwarding != Tunnel {
		e.Tunnel = TunnelInfo{}
	}
	return e, nil
}

// destinationField reads an attribute that does not identify the destination.
func (r *attributeReader) destinationField(e *DestinationEntry) {
	switch r.kind {
	case destinationForwarding:
		e.Forwarding = Forwarding(r.uint32() & forwardingMask)
	case destinationWeight:
		e.Weight = int(int32(r.uint32()))
	case destinationUpper:
		e.Upper = r.uint32()
	case destinationLower:
		e.Lower = r.uint32()
	case destinationActive:
		e.Active = r.uint32()
	case destinationInactive:
		e.Inactive = r.uint32()
	case destinationPersistent:
		e.Persistent = r.uint32()
	case destinationTunnelType:
		e.Tunnel.Type = TunnelType(r.uint8())
	case destinationTunnelPort:
		e.Tunnel.Port = r.port()
	case destinationTunnelFlags:
		e.Tunnel.Flags = r.uint16()
	case destinationStats, destinationStats64:
		r.stats(&e.Stats, destinationStats64)
	}
}

// stats reads a block of counters (IPVS_STATS_ATTR_*). A kernel that has the
// wide block sends the narrow one first, so the last one read is the best.
func (r *attributeReader) stats(s *Stats, wide uint16) {
	if r.kind != wide && *s != (Stats{}) {
		return
	}
	fields := [...]*uint64{
		&s.Connections, &s.InPackets, &s.OutPackets, &s.InBytes, &s.OutBytes,
		&s.ConnectionRate, &s.InPacketRate, &s.OutPacketRate, &s.InByteRate, &s.OutByteRate,
	}
	block := readAttributes(r.value)
	for block.next() {
		if i := int(block.kind) - 1; i >= 0 && i < len(fields) {
			*fields[i] = block.counter()
		}
	}
	if block.err != nil {
		r.fail("statistics: %w", block.err)
	}
}

// nested finds the attribute of that kind at the top of a message.
func nested(message []byte, kind uint16) ([]byte, error) {
	r := readAttributes(message)
	for r.next() {
		if r.kind == kind {
			return r.value, nil
		}
	}
	if r.err != nil {
		return nil, r.err
	}
	return nil, fmt.Errorf("no attribute %d in the answer", kind)
}

func addressPort(f Family, raw []byte, port uint16) (netip.AddrPort, error) {
	if len(raw) != 16 {
		return netip.AddrPort{}, fmt.Errorf("address has %d bytes, not 16", len(raw))
	}
	switch f {
	case IPv4:
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(raw)), port), nil
	case IPv6:
		return netip.AddrPortFrom(netip.AddrFrom16([16]byte(raw)), port), nil
	default:
		return netip.AddrPort{}, fmt.Errorf("unknown address %v", f)
	}
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
