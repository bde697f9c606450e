package netif

import (
	"net"
	"net/netip"

	"github.com/mdlayher/arp"
	"github.com/mdlayher/ethernet"
	"github.com/mdlayher/ndp"
)

// MAC is an Ethernet address. It is comparable.
type MAC [6]byte

// String is the usual form, such as 02:00:00:00:00:0a.
func (m MAC) String() string { return net.HardwareAddr(m[:]).String() }

// IsVirtualRouter reports whether m is the hardware address of the virtual router
// with this VRID, for IPv4 or IPv6 (RFC 5798 section 7.3).
func (m MAC) IsVirtualRouter(vrid uint8) bool {
	return m == MAC{0, 0, 0x5e, 0, 1, vrid} || m == MAC{0, 0, 0x5e, 0, 2, vrid}
}

func macOf(hardware net.HardwareAddr) (MAC, bool) {
	if len(hardware) != len(MAC{}) {
		return MAC{}, false
	}
	return MAC(hardware), true
}

// Claim is a host's word that it has an address.
type Claim struct {
	Interface string
	Addr      netip.Addr
	MAC       MAC
}

// readARP returns the claim in an Ethernet frame with ARP: its sender's (RFC
// 5227 section 2.4). A probe, which has no sender address, claims nothing.
func readARP(data []byte) (Claim, bool) {
	var frame ethernet.Frame
	if err := frame.UnmarshalBinary(data); err != nil || frame.EtherType != ethernet.EtherTypeARP {
		return Claim{}, false
	}
	var p arp.Packet
	if err := p.UnmarshalBinary(frame.Payload); err != nil {
		return Claim{}, false
	}
	mac, ok := macOf(p.SenderHardwareAddr)
	if !ok || !p.SenderIP.Is4() || p.SenderIP.IsUnspecified() {
		return Claim{}, false
	}
	return Claim{Addr: p.SenderIP, MAC: mac}, true
}

// readAdvertisement returns the claim in an ICMPv6 message: that of a neighbour
// advertisement which says a link-layer address.
func readAdvertisement(data []byte) (Claim, bool) {
	message, err := ndp.ParseMessage(data)
	if err != nil {
		return Claim{}, false
	}
	advertisement, ok := message.(*ndp.NeighborAdvertisement)
	if !ok {
		return Claim{}, false
	}
	for _, option := range advertisement.Options {
		address, ok := option.(*ndp.LinkLayerAddress)
		if !ok || address.Direction != ndp.Target {
			continue
		}
		if mac, ok := macOf(address.Addr); ok {
			return Claim{Addr: advertisement.TargetAddress, MAC: mac}, true
		}
	}
	return Claim{}, false
}
