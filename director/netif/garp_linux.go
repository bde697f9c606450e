package netif

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/mdlayher/arp"
	"github.com/mdlayher/ethernet"
	"github.com/mdlayher/packet"
)

// Announce sends gratuitous ARP for the address, count times, which teaches
// every neighbour that it is at this interface's hardware address (RFC 5798
// section 6.4.1, RFC 826).
func Announce(a Address, count int) error {
	iface, err := net.InterfaceByName(a.Interface)
	if err != nil {
		return fmt.Errorf("announce %s: %w", a.Addr, err)
	}
	frame, err := gratuitousARP(iface.HardwareAddr, a.Addr)
	if err != nil {
		return fmt.Errorf("announce %s on %s: %w", a.Addr, a.Interface, err)
	}
	// Protocol 0 receives nothing: the socket only sends.
	conn, err := packet.Listen(iface, packet.Raw, 0, nil)
	if err != nil {
		return fmt.Errorf("announce %s on %s: %w", a.Addr, a.Interface, err)
	}
	for range count {
		if _, err = conn.WriteTo(frame, &packet.Addr{HardwareAddr: ethernet.Broadcast}); err != nil {
			break
		}
	}
	if err := errors.Join(err, conn.Close()); err != nil {
		return fmt.Errorf("announce %s on %s: %w", a.Addr, a.Interface, err)
	}
	return nil
}

// gratuitousARP is the frame: a request for the address from the address, to
// everybody. The target hardware address is broadcast, as keepalived sends it.
func gratuitousARP(hardware net.HardwareAddr, addr netip.Addr) ([]byte, error) {
	request, err := arp.NewPacket(arp.OperationRequest, hardware, addr, ethernet.Broadcast, addr)
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
