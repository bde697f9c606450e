package netif

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"

	"github.com/mdlayher/arp"
	"github.com/mdlayher/ethernet"
	"github.com/mdlayher/ndp"
)

const (
	ipv6Header  = 40
	icmpv6      = 58
	ndpHopLimit = 255 // RFC 4861 section 7.1: proof of not having been routed
)

// announcement is the frame that tells every neighbour that the address is at
// the hardware address: gratuitous ARP, or an unsolicited neighbour
// advertisement, which says whether this node forwards packets.
func announcement(hardware net.HardwareAddr, addr netip.Addr, router bool) ([]byte, error) {
	if addr.Is4() {
		// The target hardware address is broadcast, as keepalived sends it.
		return arpRequest(hardware, addr, ethernet.Broadcast, addr)
	}
	advertisement := &ndp.NeighborAdvertisement{
		Router:        router,
		Override:      true,
		TargetAddress: addr,
		Options:       []ndp.Option{&ndp.LinkLayerAddress{Direction: ndp.Target, Addr: hardware}},
	}
	return ndpFrame(hardware, addr, netip.IPv6LinkLocalAllNodes(), advertisement)
}

// probe is the frame that asks who has the address without saying that we do:
// an ARP probe (RFC 5227 section 2.1.1), or the neighbour solicitation of
// duplicate address detection (RFC 4862 section 5.4.2).
func probe(hardware net.HardwareAddr, addr netip.Addr) ([]byte, error) {
	if addr.Is4() {
		return arpRequest(hardware, netip.IPv4Unspecified(), make(net.HardwareAddr, len(hardware)), addr)
	}
	group, err := ndp.SolicitedNodeMulticast(addr)
	if err != nil {
		return nil, err
	}
	return ndpFrame(hardware, netip.IPv6Unspecified(), group, &ndp.NeighborSolicitation{TargetAddress: addr})
}

func arpRequest(hardware net.HardwareAddr, sender netip.Addr, target net.HardwareAddr, addr netip.Addr) ([]byte, error) {
	request, err := arp.NewPacket(arp.OperationRequest, hardware, sender, target, addr)
	if err != nil {
		return nil, err
	}
	payload, err := request.MarshalBinary()
	if err != nil {
		return nil, err
	}
	frame := &ethernet.Frame{
		Destination: ethernet.Broadcast,
		Source:      hardware,
		EtherType:   ethernet.EtherTypeARP,
		Payload:     payload,
	}
	return frame.MarshalBinary()
}

// ndpFrame puts a message of neighbour discovery into IPv6 and Ethernet, to a
// multicast address.
func ndpFrame(hardware net.HardwareAddr, source, group netip.Addr, message ndp.Message) ([]byte, error) {
	if len(hardware) != len(MAC{}) {
		return nil, fmt.Errorf("hardware address %q is not Ethernet's", hardware)
	}
	payload, err := ndp.MarshalMessageChecksum(message, source, group)
	if err != nil {
		return nil, err
	}
	to := group.As16()
	packet := make([]byte, 0, ipv6Header+len(payload))
	packet = append(packet, 0x60, 0, 0, 0) // version 6
	packet = binary.BigEndian.AppendUint16(packet, uint16(len(payload)))
	packet = append(packet, icmpv6, ndpHopLimit)
	packet = append(packet, source.AsSlice()...)
	packet = append(packet, to[:]...)
	packet = append(packet, payload...)
	frame := &ethernet.Frame{
		Destination: net.HardwareAddr{0x33, 0x33, to[12], to[13], to[14], to[15]}, // RFC 2464 section 7
		Source:      hardware,
		EtherType:   ethernet.EtherTypeIPv6,
		Payload:     packet,
	}
	return frame.MarshalBinary()
}
