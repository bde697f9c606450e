package ipvs

import (
	"fmt"
	"os"
	"slices"
)

// tableFile is where the kernel lists the services and destinations of the
// network namespace of the calling thread. /proc/net is that of the process's
// first thread.
const tableFile = "/proc/thread-self/net/ip_vs"

// Services reads all services with their destinations and counters, in the
// kernel's order. An empty table is no error.
//
// It is not a snapshot: there is one request for the services and one for each
// service's destinations, and a service that is deleted in between has none.
// What somebody else adds or deletes meanwhile may hide an entry from the
// listing or have it listed twice.
func (c *Client) Services() ([]ServiceEntry, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	services, err := c.services()
	if err != nil {
		return nil, err
	}
	return c.complete(services, make([]bool, len(services)))
}

// Table reads all services like Services, but of the destinations only what
// /proc/net/ip_vs tells: address, forwarding method, weight, active and inactive
// connections. Thresholds, tunnels, persistent connections and counters of
// destinations are zero, and Bypass is read as Masquerade. That is read a page
// at a time, and not with two system calls for each service. Only of a mark that
// has a service of each family, which /proc does not tell apart, are the
// destinations read completely.
func (c *Client) Table() ([]ServiceEntry, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	services, err := c.services()
	if err != nil {
		return nil, err
	}
	return c.complete(services, c.glance(services))
}

// services reads all services without their destinations.
func (c *Client) services() ([]ServiceEntry, error) {
	var services []ServiceEntry
	err := c.dump(commandGetService, nil, func() { services = services[:0] }, func(answer []byte) error {
		s, err := decodeService(answer, c.names)
		services = append(services, s)
		return err
	})
	if err != nil {
		return nil, operation{name: opListServices}.failed(err)
	}
	return services, nil
}

// complete reads the destinations of the services of which they are not done.
func (c *Client) complete(services []ServiceEntry, done []bool) ([]ServiceEntry, error) {
	for i := range services {
		if done[i] {
			continue
		}
		var err error
		if services[i].Destinations, err = c.destinations(services[i].ServiceKey); err != nil {
			return nil, err
		}
	}
	return services, nil
}

func (c *Client) destinations(k ServiceKey) ([]DestinationEntry, error) {
	err := c.dump(commandGetDestination,
		func(b []byte) []byte { return appendServiceKey(b, k) },
		func() { c.scratch = c.scratch[:0] },
		func(answer []byte) error {
			d, err := decodeDestination(answer, k.Family)
			c.scratch = append(c.scratch, d)
			return err
		})
	if err != nil {
		return nil, operation{name: opListDestinations, object: k.String()}.failed(err)
	}
	return slices.Clone(c.scratch), nil
}

// glance reads destinations from tableFile and returns of which services it
// did. Those of the rest are to be asked for: where /proc is not there or says
// what is not understood, that is all of them.
func (c *Client) glance(services []ServiceEntry) (done []bool) {
	done = make([]bool, len(services))
	f, err := os.Open(tableFile)
	if err != nil {
		return done
	}
	defer f.Close()
	if err := c.glanceAt(tableLines(f), services, done); err != nil {
		clear(done)
	}
	return done
}

// glanceAt gives the destinations in the lines to their services.
func (c *Client) glanceAt(lines lines, services []ServiceEntry, done []bool) error {
	index := newServiceIndex(services)
	current := -1
	c.scratch = c.scratch[:0]
	finish := func() {
		if current >= 0 {
			services[current].Destinations, done[current] = slices.Clone(c.scratch), true
		}
		c.scratch = c.scratch[:0]
	}
	for line, err := range lines {
		switch {
		case err != nil:
			return fmt.Errorf("%s: %w", tableFile, err)
		case line.service:
			finish()
			current = index.find(line.key)
		case current >= 0:
			c.scratch = append(c.scratch, line.destination)
		}
	}
	finish()
	return nil
}
