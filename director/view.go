package director

import (
	"net/netip"
	"slices"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/director/ipvs"
	"github.com/lvsd/lvsd/director/netif"
)

// view is what the loop knows of the kernel. Only the loop changes it, with
// Director.seen locked; so the loop reads it without.
//
// The tables are large: real servers of a service are never changed in place,
// so that have and expected share them where they agree.
type view struct {
	// have is lvsd's part of the kernel: as it was last read, with what was done
	// since. expected is how lvsd left it.
	have, expected State
	// left tells that there is an expected State: the first one was applied.
	left bool
	// snapshot is the last reading, for what is counted.
	snapshot Snapshot
	// drifted are the services that differ from expected and stay so.
	drifted Set[ipvs.ServiceKey]
	// draining are the real servers that no configuration names any more.
	draining map[ipvs.ServiceKey]map[netip.AddrPort]ipvs.Destination
}

func newView() view {
	return view{have: NewState(), expected: NewState(), drifted: Set[ipvs.ServiceKey]{}}
}

// see takes a reading in and returns the services that are not as they were
// taken to be. Where nothing differs it keeps what it has: thousands of services
// are compared every second.
func (d *Director) see(s Snapshot, owned Owned) Set[ipvs.ServiceKey] {
	known := d.view.have.Services
	differ := map[ipvs.ServiceKey]*ipvs.ServiceEntry{}
	count := 0
	for i := range s.Services {
		entry := &s.Services[i]
		if !owned.Services.Has(entry.ServiceKey) {
			continue
		}
		service, ok := known[entry.ServiceKey]
		if ok {
			count++
		}
		if !ok || !service.is(entry) {
			differ[entry.ServiceKey] = entry
		}
	}
	if count < len(known) {
		for key := range gone(known, s.Services, owned) {
			differ[key] = nil
		}
	}
	others := s
	others.Services, owned.Services = nil, nil
	have := others.State(owned)

	d.seen.Lock()
	defer d.seen.Unlock()
	for key, entry := range differ {
		if entry == nil {
			delete(known, key)
		} else {
			known[key] = serviceOf(entry)
		}
	}
	have.Services = known
	d.view.have, d.view.snapshot = have, s
	return SetOf(allKeys(differ)...)
}

// gone are the known services that a reading does not have.
func gone(known map[ipvs.ServiceKey]Service, read []ipvs.ServiceEntry, owned Owned) Set[ipvs.ServiceKey] {
	missing := Set[ipvs.ServiceKey]{}
	for key := range known {
		missing.Add(key)
	}
	for i := range read {
		if key := read[i].ServiceKey; owned.Services.Has(key) {
			delete(missing, key)
		}
	}
	return missing
}

// is reports whether the kernel has the service just so.
func (s Service) is(e *ipvs.ServiceEntry) bool {
	if s.Service != e.Service || len(s.RealServers) != len(e.Destinations) {
		return false
	}
	for i := range e.Destinations {
		destination := &e.Destinations[i].Destination
		// The kernel lists first what was added last.
		if s.RealServers[len(s.RealServers)-1-i] == *destination {
			continue
		}
		if known, ok := s.realServer(destination.Address); !ok || known != *destination {
			return false
		}
	}
	return true
}

// renamed are the VIPs that lvsd had put on an interface and that a reading has on
// another one, where they were not before: the interface has another name now, and
// they are lvsd's own still.
func (v *view) renamed(s Snapshot, owned Owned) Set[netif.Address] {
	now := addressesOf(s)
	var gone []netif.VIP
	for vip := range v.have.VIPs {
		if !now.Has(vip.Address) {
			gone = append(gone, vip)
		}
	}
	if len(gone) == 0 {
		return nil // as at most readings
	}
	before, renamed := addressesOf(v.snapshot), Set[netif.Address]{}
	for _, vip := range gone {
		for address := range now {
			if address.Addr == vip.Addr && address.Bits == vip.Bits && !before.Has(address) && !owned.VIPs.Has(address) {
				renamed.Add(address)
			}
		}
	}
	return renamed
}

func addressesOf(s Snapshot) Set[netif.Address] {
	all := make(Set[netif.Address], len(s.Addresses))
	for _, address := range s.Addresses {
		all.Add(address.Address)
	}
	return all
}

// only is the State with no other services than these.
func (s State) only(keys Set[ipvs.ServiceKey]) State {
	all := s.Services
	s.Services = make(map[ipvs.ServiceKey]Service, len(keys))
	for key := range keys {
		if service, ok := all[key]; ok {
			s.Services[key] = service
		}
	}
	return s
}

// did enters in have what was done.
func (d *Director) did(done []Op) {
	if len(done) == 0 {
		return
	}
	d.seen.Lock()
	defer d.seen.Unlock()
	own := Set[ipvs.ServiceKey]{}
	for _, op := range done {
		if key, ok := serviceKeyOf(op); ok && !own.Has(key) {
			own.Add(key)
			if service, there := d.view.have.Services[key]; there {
				service.RealServers = slices.Clone(service.RealServers)
				d.view.have.Services[key] = service
			}
		}
		op.applyTo(d.view.have)
	}
}

// leave records that the kernel was left as want has it: all of it, or with keys
// only these services. What the kernel has just so shares memory with that.
func (d *Director) leave(want State, keys Set[ipvs.ServiceKey]) {
	d.seen.Lock()
	defer d.seen.Unlock()
	v := &d.view
	v.left = true
	if keys == nil {
		v.expected = want
		for key, service := range want.Services {
			v.share(key, service)
		}
		return
	}
	services := v.expected.Services
	v.expected = want
	v.expected.Services = services
	for key := range keys {
		service, ok := want.Services[key]
		if !ok {
			delete(services, key)
			continue
		}
		services[key] = service
		v.share(key, service)
	}
}

func (v *view) share(key ipvs.ServiceKey, service Service) {
	if have, ok := v.have.Services[key]; ok && have.equal(service) {
		v.have.Services[key] = service
	}
}

// serviceKeyOf is the service that an operation changes, or whose real server.
func serviceKeyOf(op Op) (ipvs.ServiceKey, bool) {
	switch op := op.(type) {
	case AddService:
		return op.Service.ServiceKey, true
	case EditService:
		return op.Service.ServiceKey, true
	case DeleteService:
		return op.Key, true
	case AddRealServer:
		return op.Key, true
	case EditRealServer:
		return op.Key, true
	case DeleteRealServer:
		return op.Key, true
	}
	return ipvs.ServiceKey{}, false
}

func allKeys[K comparable, V any](m map[K]V) []K {
	keys := make([]K, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	return keys
}

// drained returns the real servers of these services that are to be drained.
func drained(s Snapshot, c *config.Config, keys Set[ipvs.ServiceKey]) map[ipvs.ServiceKey]map[netip.AddrPort]ipvs.Destination {
	part := Snapshot{}
	for i := range s.Services {
		if keys.Has(s.Services[i].ServiceKey) {
			part.Services = append(part.Services, s.Services[i])
		}
	}
	return part.Draining(c)
}
