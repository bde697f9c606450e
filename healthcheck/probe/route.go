package probe

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// Route is how the packets of a probe leave this host; the zero value is as any
// packet does. It is comparable.
type Route struct {
	// Source is this end. Without an address the kernel chooses one; port 0 is
	// any, and another one makes probes of one server wait for each other. A
	// ping has no ports: that of Source means nothing to it.
	Source netip.AddrPort
	// Interface is what the packets must leave through (SO_BINDTODEVICE); empty
	// is any.
	Interface string
	// Mark is the firewall mark of the packets (SO_MARK); 0 is none.
	Mark uint32
	// Toward is set where the target is a VIP and the Mark brings the packets to
	// one server behind it: this is that server, on whose way this host's own
	// address becomes the source. Only [Request.Ask] does so.
	Toward netip.Addr
	// Hops is how many routers the packets may pass, one less; 0 is the
	// kernel's default.
	Hops uint8
}

// validate returns every reason why no packet can go to the target by r,
// joined, or nil.
func (r Route) validate(to netip.Addr) error {
	var errs []error
	if len(r.Interface) > 15 {
		errs = append(errs, errors.New("interface name is longer than 15 bytes"))
	}
	from := r.Source.Addr()
	if from.IsValid() && to.IsValid() && family(from) != family(to) {
		errs = append(errs, fmt.Errorf("source %s is %s, the target %s is %s", from, family(from), to, family(to)))
	}
	if from.IsMulticast() {
		errs = append(errs, fmt.Errorf("source %s is a multicast address", from))
	}
	if needsZone(to) && r.Interface == "" {
		errs = append(errs, fmt.Errorf("link-local target %s needs an interface, or a zone as in %s%%eth0", to, to))
	}
	if to.Zone() != "" && r.Interface != "" && to.Zone() != r.Interface {
		errs = append(errs, fmt.Errorf("target %s is not on interface %s", to, r.Interface))
	}
	return errors.Join(errs...)
}

func family(a netip.Addr) string {
	if a.Unmap().Is4() {
		return "IPv4"
	}
	return "IPv6"
}

// needsZone reports whether a says too little: link-local addresses of IPv6 are
// a link's own.
func needsZone(a netip.Addr) bool {
	return a.Is6() && a.IsLinkLocalUnicast() && a.Zone() == ""
}

// String says the route in words for a transcript: " from 192.0.2.9 through
// eth0 with mark 7", or nothing.
func (r Route) String() string {
	var b strings.Builder
	switch {
	case r.Source.Addr().IsValid() && r.Source.Port() != 0:
		fmt.Fprintf(&b, " from %s", r.Source)
	case r.Source.Addr().IsValid():
		fmt.Fprintf(&b, " from %s", r.Source.Addr())
	case r.Source.Port() != 0:
		fmt.Fprintf(&b, " from port %d", r.Source.Port())
	}
	if r.Interface != "" {
		fmt.Fprintf(&b, " through %s", r.Interface)
	}
	if r.Mark != 0 {
		fmt.Fprintf(&b, " with mark %d", r.Mark)
	}
	return b.String()
}
