package director

import (
	"net/netip"
	"time"

	"github.com/lvsd/lvsd/config"
)

// Admin is what operators want of the real servers and services, by the overrides
// that are in force: one look-up for each, however many there are. It is never
// changed. The zero Admin wants everything as configuration and health have it.
//
// Of a real server the strictest of its own override, its service's and its node's
// decides: what one operator disables or drains, another does not enable by an order
// for something larger or smaller.
type Admin struct {
	servers  map[adminServer]*Override
	services map[string]*Override
	nodes    map[netip.Addr]*Override
	// until is when the first of them ends; zero is never.
	until time.Time
}

type adminServer struct {
	service string
	address netip.AddrPort
}

// adminOf is what the overrides want that are in force now.
func adminOf(set overrideSet, now time.Time) Admin {
	a := Admin{
		servers: map[adminServer]*Override{}, services: map[string]*Override{}, nodes: map[netip.Addr]*Override{},
	}
	for _, o := range set.inForce(now) {
		a.until = sooner(a.until, o.Until)
		switch t := o.Target; {
		case t.Node != "":
			for _, address := range o.Addresses {
				if known := a.nodes[address]; known == nil || o.strictness() > known.strictness() {
					a.nodes[address] = &o
				}
			}
		case t.Server != "":
			if address, err := netip.ParseAddrPort(t.Server); err == nil {
				a.servers[adminServer{t.Service, address}] = &o
			}
		default:
			a.services[t.Service] = &o
		}
	}
	return a
}

// empty reports whether nothing is wanted, which is how it is most of the time.
func (a Admin) empty() bool { return len(a.servers)+len(a.services)+len(a.nodes) == 0 }

// of is what is wanted of the real server, and the override that decides; of several
// that want the same it is the nearest. It is nil if nothing is ordered.
func (a Admin) of(service *config.VirtualService, address netip.AddrPort) (AdminState, *Override) {
	if a.empty() {
		return Enabled, nil
	}
	decides := a.servers[adminServer{service.Name, address}]
	for _, wider := range []*Override{a.services[service.Name], a.nodes[address.Addr()]} {
		if wider.strictness() > decides.strictness() {
			decides = wider
		}
	}
	return decides.state(), decides
}

// ofService is what is wanted of the virtual service, and by which override.
func (a Admin) ofService(service *config.VirtualService) (AdminState, *Override) {
	o := a.services[service.Name]
	return o.state(), o
}

// weight is the one that is ordered of the real server; nil is none.
func (a Admin) weight(service *config.VirtualService, address netip.AddrPort) *int {
	if len(a.servers) == 0 {
		return nil
	}
	if o := a.servers[adminServer{service.Name, address}]; o != nil {
		return o.Weight
	}
	return nil
}

// state is what the override, which may be nil, wants its target to be.
func (o *Override) state() AdminState {
	if o == nil || o.State == "" {
		return Enabled
	}
	return o.State
}

// strictness orders states by how much they take away.
func (o *Override) strictness() int {
	switch o.state() {
	case Disabled:
		return 2
	case Drain:
		return 1
	}
	return 0
}

// differs reports whether any real server of the service is wanted otherwise by b, or
// the service itself.
func (a Admin) differs(b Admin, service *config.VirtualService) bool {
	was, _ := a.ofService(service)
	if is, _ := b.ofService(service); is != was {
		return true
	}
	for i := range service.RealServers {
		address := service.RealServers[i].Address
		was, _ := a.of(service, address)
		is, _ := b.of(service, address)
		if is != was || !sameWeight(a.weight(service, address), b.weight(service, address)) {
			return true
		}
	}
	return false
}

func sameWeight(a, b *int) bool { return a == b || a != nil && b != nil && *a == *b }
