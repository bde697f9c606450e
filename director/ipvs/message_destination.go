package ipvs

import (
	"fmt"
	"net/netip"
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

// appendDestination appends all of a destination. The tunnel attributes are
// always sent: an update replaces everything, and the kernel takes what is
// missing for IP-in-IP.
func appendDestination(b []byte, d Destination) []byte {
	b, start := beginNested(b, attributeDestination)
	b = appendDestinationIdentity(b, d.Address)
	b = appendUint32(b, destinationForwarding, uint32(d.Forwarding))
	b = appendUint32(b, destinationWeight, uint32(d.Weight))
	b = appendUint8(b, destinationTunnelType, uint8(d.Tunnel.Type))
	b = appendPort(b, destinationTunnelPort, d.Tunnel.Port)
	b = appendUint16(b, destinationTunnelFlags, d.Tunnel.Flags)
	b = appendUint32(b, destinationUpper, d.Upper)
	b = appendUint32(b, destinationLower, d.Lower)
	return endNested(b, start)
}

// appendDestinationKey appends what identifies a destination in its service.
func appendDestinationKey(b []byte, address netip.AddrPort) []byte {
	b, start := beginNested(b, attributeDestination)
	return endNested(appendDestinationIdentity(b, address), start)
}

func appendDestinationIdentity(b []byte, address netip.AddrPort) []byte {
	b = appendUint16(b, destinationFamily, uint16(familyOf(address.Addr())))
	b = appendAddress(b, destinationAddress, address.Addr())
	return appendPort(b, destinationPort, address.Port())
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
