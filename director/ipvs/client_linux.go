package ipvs

import (
	"errors"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"github.com/moby/ipvs"
)

// requestTimeout is the deadline of one netlink request. The kernel answers
// within the system call; only loading a scheduler's module takes time.
const requestTimeout = 10 * time.Second

// Client speaks to the IPVS of one network namespace. It is safe for concurrent
// use; requests are made one after the other. Its errors are *OpError.
type Client struct {
	mu      sync.Mutex
	family  uint16
	socket  socket
	library library
}

// Open makes sure that the kernel has IPVS, loading the module if it must and
// can, and that this process may use it. It returns ErrUnavailable,
// ErrPermission or ErrReloaded where that is not so.
//
// The client belongs to the network namespace of the calling thread, and is to
// be used only from threads of that namespace: after a timeout it opens its
// sockets anew.
func Open() (*Client, error) {
	o := operation{name: opOpen}
	family, err := preflight()
	if err != nil {
		return nil, o.failed(err)
	}
	c := &Client{
		family:  family,
		socket:  socket{timeout: requestTimeout},
		library: library{timeout: requestTimeout},
	}
	if _, err := c.Info(); err != nil {
		_ = c.Close()
		return nil, err
	}
	if err := c.library.open(); err != nil {
		_ = c.Close()
		return nil, o.failed(err)
	}
	return c, nil
}

// Close closes the client's sockets. The kernel keeps its services.
func (c *Client) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.socket.close()
	c.library.close()
	return nil
}

// Info reads IPVS's version and the size of its connection table.
func (c *Client) Info() (Info, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	o := operation{name: opInfo}
	answer, err := c.socket.get(c.family, commandGetInfo, nil)
	if err != nil {
		return Info{}, c.failed(o, err)
	}
	info, err := decodeInfo(answer)
	return info, o.failed(err)
}

// Services reads all services with their destinations and counters, in the
// kernel's order. An empty table is no error.
//
// It is not a snapshot: there is one request for the services and one for each
// service's destinations, and a service that is deleted in between has none.
func (c *Client) Services() ([]ServiceEntry, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	o := operation{name: opListServices}
	answers, err := c.socket.dump(c.family, commandGetService, nil)
	if err != nil {
		return nil, c.failed(o, err)
	}
	services := make([]ServiceEntry, len(answers))
	for i, answer := range answers {
		if services[i], err = decodeService(answer); err != nil {
			return nil, o.failed(err)
		}
		if services[i].Destinations, err = c.destinations(services[i].ServiceKey); err != nil {
			return nil, err
		}
	}
	return services, nil
}

func (c *Client) destinations(k ServiceKey) ([]DestinationEntry, error) {
	o := operation{name: opListDestinations, object: k.String()}
	answers, err := c.socket.dump(c.family, commandGetDestination, appendServiceKey(nil, k))
	if err != nil {
		return nil, c.failed(o, err)
	}
	destinations := make([]DestinationEntry, len(answers))
	for i, answer := range answers {
		if destinations[i], err = decodeDestination(answer, k.Family); err != nil {
			return nil, o.failed(err)
		}
	}
	return destinations, nil
}

// AddService adds a service without destinations. It returns ErrExists if the
// key is in use and ErrNoScheduler if the scheduler is not in the kernel.
func (c *Client) AddService(s Service) error {
	return c.changeService(opAddService, s, (*ipvs.Handle).NewService)
}

// UpdateService makes the service with that key like s, keeping its
// destinations and connections. It returns ErrNotExist or ErrNoScheduler.
func (c *Client) UpdateService(s Service) error {
	return c.changeService(opUpdateService, s, (*ipvs.Handle).UpdateService)
}

func (c *Client) changeService(name string, s Service, change func(*ipvs.Handle, *ipvs.Service) error) error {
	o := operation{name: name, object: s.String(), modules: "ip_vs_" + s.Scheduler}
	if s.Engine != "" {
		o.modules = "-a " + o.modules + " ip_vs_pe_" + s.Engine
	}
	if err := s.validate(); err != nil {
		return o.failed(err)
	}
	return c.useLibrary(o, func(h *ipvs.Handle) error { return change(h, libraryService(s)) })
}

// DeleteService deletes a service and its destinations. It returns ErrNotExist
// if there is none.
func (c *Client) DeleteService(k ServiceKey) error {
	o := operation{name: opDeleteService, object: k.String()}
	if err := k.validate(); err != nil {
		return o.failed(err)
	}
	return c.useLibrary(o, func(h *ipvs.Handle) error {
		return h.DelService(libraryService(Service{ServiceKey: k}))
	})
}

// AddDestination adds a destination to a service. It returns ErrExists, or
// ErrNotExist if there is no such service. A destination that was deleted less
// than two minutes ago comes back with its counters and connections.
func (c *Client) AddDestination(k ServiceKey, d Destination) error {
	return c.changeDestination(opAddDestination, commandAddDestination, k, d)
}

// UpdateDestination makes the destination with that address like d, keeping its
// connections. It returns ErrNotExist if there is no such service or
// destination.
func (c *Client) UpdateDestination(k ServiceKey, d Destination) error {
	return c.changeDestination(opUpdateDestination, commandUpdateDestination, k, d)
}

func (c *Client) changeDestination(name string, command uint8, k ServiceKey, d Destination) error {
	o := operation{name: name, object: k.String() + " -> " + d.String()}
	if err := errors.Join(k.validate(), d.validate()); err != nil {
		return o.failed(err)
	}
	return c.do(o, command, appendDestination(appendServiceKey(nil, k), d))
}

// DeleteDestination deletes a destination of a service. It returns ErrNotExist
// if there is no such service or destination. Packets of its connections are
// dropped from then on; weight 0 is the gentle way.
func (c *Client) DeleteDestination(k ServiceKey, address netip.AddrPort) error {
	o := operation{name: opDeleteDestination, object: k.String() + " -> " + address.String()}
	if err := errors.Join(k.validate(), validateAddress(address.Addr())); err != nil {
		return o.failed(err)
	}
	return c.do(o, commandDeleteDestination, appendDestinationKey(appendServiceKey(nil, k), address))
}

// Zero sets the counters of a service and its destinations to zero. It returns
// ErrNotExist if there is no such service.
func (c *Client) Zero(k ServiceKey) error {
	o := operation{name: opZero, object: k.String()}
	if err := k.validate(); err != nil {
		return o.failed(err)
	}
	return c.do(o, commandZero, appendServiceKey(nil, k))
}

// ZeroAll sets all counters to zero.
func (c *Client) ZeroAll() error {
	return c.do(operation{name: opZero}, commandZero, nil)
}

// Timeouts reads how long idle connections are kept.
func (c *Client) Timeouts() (Timeouts, error) {
	var t Timeouts
	err := c.useLibrary(operation{name: opTimeouts}, func(h *ipvs.Handle) error {
		config, err := h.GetConfig()
		if err != nil {
			return err
		}
		t = Timeouts{TCP: config.TimeoutTCP, TCPFin: config.TimeoutTCPFin, UDP: config.TimeoutUDP}
		return nil
	})
	return t, err
}

// SetTimeouts sets how long idle connections are kept, in whole seconds; a zero
// leaves that value as it is.
func (c *Client) SetTimeouts(t Timeouts) error {
	o := operation{name: opSetTimeouts}
	if err := t.validate(); err != nil {
		return o.failed(err)
	}
	return c.useLibrary(o, func(h *ipvs.Handle) error {
		return h.SetConfig(&ipvs.Config{TimeoutTCP: t.TCP, TimeoutTCPFin: t.TCPFin, TimeoutUDP: t.UDP})
	})
}

// Flush deletes all services, whoever made them.
func (c *Client) Flush() error {
	return c.useLibrary(operation{name: opFlush}, (*ipvs.Handle).Flush)
}

// do makes one changing request of our own.
func (c *Client) do(o operation, command uint8, body []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.failed(o, c.socket.do(c.family, command, body))
}

// useLibrary makes one request through moby/ipvs.
func (c *Client) useLibrary(o operation, f func(*ipvs.Handle) error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.failed(o, c.library.call(f))
}

// failed wraps the error of a request. ENOENT is also what a number of the
// netlink family gives that is no longer IPVS's, so it is looked up again.
func (c *Client) failed(o operation, err error) error {
	if errors.Is(err, syscall.ENOENT) {
		switch family, lookup := lookupFamily(familyName); {
		case lookup != nil:
			err = lookup
		case family != c.family:
			err = ErrReloaded
		}
	}
	return o.failed(err)
}
