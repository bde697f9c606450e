package probe

import (
	"errors"
	"net/netip"
)

// Route is how the packets of a probe leave this host; the zero value is as any
// packet does. It is comparable.
type Route struct {
	// Source is this end. Without an address the kernel chooses one; port 0 is
	// any, and another one makes probes of one server wait for each other.
	Source netip.AddrPort
	// Interface is what the packets must leave through (SO_BINDTODEVICE); empty
	// is any.
	Interface string
	// Mark is the firewall mark of the packets (SO_MARK); 0 is none.
	Mark uint32
}

func (r Route) validate() error {
	if len(r.Interface) > 15 {
		return errors.New("interface name is longer than 15 bytes")
	}
	return nil
}
