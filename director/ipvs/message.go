package ipvs

import (
	"fmt"
	"net/netip"
	"time"
)

// The commands (IPVS_CMD_*).
const (
	commandNewService        = 1
	commandUpdateService     = 2
	commandDeleteService     = 3
	commandGetService        = 4
	commandNewDestination    = 5
	commandUpdateDestination = 6
	commandDeleteDestination = 7
	commandGetDestination    = 8
	commandNewDaemon         = 9
	commandDeleteDaemon      = 10
	commandGetDaemon         = 11
	commandSetTimeouts       = 12
	commandGetTimeouts       = 13
	commandGetInfo           = 15
	commandZero              = 16
	commandFlush             = 17
)

// The attributes at the top of a message (IPVS_CMD_ATTR_*). The answer to
// commandGetInfo numbers its own from 1 again (IPVS_INFO_ATTR_*).
const (
	attributeService     = 1
	attributeDestination = 2
	attributeDaemon      = 3
	attributeTCP         = 4 // seconds, as the other two
	attributeTCPFin      = 5
	attributeUDP         = 6

	infoVersion   = 1
	infoTableSize = 2
)

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

// appendTimeouts appends the timeouts to be set. The kernel leaves one that is
// zero as it is.
func appendTimeouts(b []byte, t Timeouts) []byte {
	b = appendUint32(b, attributeTCP, uint32(t.TCP/time.Second))
	b = appendUint32(b, attributeTCPFin, uint32(t.TCPFin/time.Second))
	return appendUint32(b, attributeUDP, uint32(t.UDP/time.Second))
}

// decodeTimeouts reads the answer to commandGetTimeouts.
func decodeTimeouts(message []byte) (Timeouts, error) {
	var t Timeouts
	r := readAttributes(message)
	for r.next() {
		switch r.kind {
		case attributeTCP:
			t.TCP = time.Duration(r.uint32()) * time.Second
		case attributeTCPFin:
			t.TCPFin = time.Duration(r.uint32()) * time.Second
		case attributeUDP:
			t.UDP = time.Duration(r.uint32()) * time.Second
		}
	}
	return t, r.err
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

func familyOf(a netip.Addr) Family {
	if a.Is4() {
		return IPv4
	}
	return IPv6
}

// appendAddress appends an address in 16 bytes, IPv4 in the first 4.
func appendAddress(b []byte, kind uint16, a netip.Addr) []byte {
	b = appendHeader(b, kind, 16)
	if a.Is4() {
		raw := a.As4()
		return append(append(b, raw[:]...), zeros[:12]...)
	}
	raw := a.As16()
	return append(b, raw[:]...)
}
