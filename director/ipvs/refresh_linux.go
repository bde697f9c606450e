package ipvs

import "net/netip"

const (
	// smallTable is how many services Refresh reads completely at once.
	smallTable = 64
	// Of a larger table it reads a part completely each time, and at least
	// minChecked services.
	checkedPart = 32
	minChecked  = 8
)

// Refresh reads the table like Services, but cheaply. Services and their
// counters are read, and of their destinations what Table reads; thresholds,
// tunnels, persistent connections and counters of destinations are taken from
// known, an earlier reading. A service that known lacks, or that has other
// destinations or forwarding methods there, is read completely; so are small
// tables, and of larger ones a thirty-second part each time, another each time.
func (c *Client) Refresh(known []ServiceEntry) ([]ServiceEntry, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	services, err := c.services()
	if err != nil {
		return nil, err
	}
	if len(services) <= smallTable {
		return c.complete(services, make([]bool, len(services)))
	}
	done := c.glance(services)
	recall(services, done, known)
	part := (len(services) + checkedPart - 1) / checkedPart
	for range max(part, minChecked) {
		c.checked = (c.checked + 1) % len(services)
		done[c.checked] = false
	}
	return c.complete(services, done)
}

// recall fills in from an earlier reading what a glance does not tell, and
// takes back done where that is not known.
func recall(services []ServiceEntry, done []bool, known []ServiceEntry) {
	var before map[ServiceKey][]DestinationEntry
	for i := range services {
		if !done[i] {
			continue
		}
		s := &services[i]
		if i < len(known) && known[i].ServiceKey == s.ServiceKey {
			done[i] = recallDestinations(s.Destinations, known[i].Destinations)
			continue
		}
		if before == nil { // the order differs
			before = make(map[ServiceKey][]DestinationEntry, len(known))
			for j := range known {
				before[known[j].ServiceKey] = known[j].Destinations
			}
		}
		old, ok := before[s.ServiceKey]
		done[i] = ok && recallDestinations(s.Destinations, old)
	}
}

// recallDestinations does that for the destinations of one service, and tells
// whether all of them were known.
func recallDestinations(now, known []DestinationEntry) bool {
	var before map[netip.AddrPort]int
	for i := range now {
		d := &now[i]
		if i < len(known) && known[i].Address == d.Address {
			if !d.recall(&known[i]) {
				return false
			}
			continue
		}
		if before == nil { // the order differs
			before = make(map[netip.AddrPort]int, len(known))
			for j := range known {
				before[known[j].Address] = j
			}
		}
		j, ok := before[d.Address]
		if !ok || !d.recall(&known[j]) {
			return false
		}
	}
	return true
}

// recall fills in one destination, unless it is forwarded to otherwise now.
func (d *DestinationEntry) recall(known *DestinationEntry) bool {
	seen := known.Forwarding
	if seen == Bypass {
		seen = Masquerade // as /proc writes it
	}
	if seen != d.Forwarding {
		return false
	}
	glanced := *d
	*d = *known
	d.Weight, d.Active, d.Inactive = glanced.Weight, glanced.Active, glanced.Inactive
	return true
}
