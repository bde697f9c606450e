package netif

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

const (
	// answerTimeout bounds the wait for the kernel's answer, which the library
	// would wait for without end.
	answerTimeout = 10 * time.Second
	// dumpTries and dumpPause say how often a listing is asked for again that
	// a change has interrupted.
	dumpTries = 20
	dumpPause = 5 * time.Millisecond
)

// Conn speaks rtnetlink in the network namespace of the goroutine that opened
// it. It is safe for concurrent use.
type Conn struct {
	handle *netlink.Handle
	// strict is a handle whose route listings the kernel filters.
	strict *netlink.Handle
	batch  *batch
	gue    *fou

	mu sync.Mutex
	// indexes are the interfaces by name, as the last listing had them: one
	// question to the kernel for a batch of addresses, not one for each.
	indexes map[string]int
	// secondaries are the IPv4 addresses that the last listing found to depend
	// on another one of their subnet.
	secondaries map[Address]struct{}
}

// Open opens a Conn.
func Open() (*Conn, error) {
	c := &Conn{indexes: map[string]int{}}
	if err := c.open(); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// open opens the sockets; what is open after an error is for Close.
func (c *Conn) open() (err error) {
	if c.handle, err = openHandle(); err != nil {
		return err
	}
	if c.strict, err = openHandle(); err != nil {
		return err
	}
	if err := c.strict.SetStrictCheck(true); err != nil {
		return fmt.Errorf("rtnetlink: %w", err)
	}
	if c.batch, err = openBatch(); err != nil {
		return err
	}
	c.gue, err = openFOU()
	return err
}

func openHandle() (*netlink.Handle, error) {
	handle, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("rtnetlink: %w", err)
	}
	if err := handle.SetSocketTimeout(answerTimeout); err != nil {
		handle.Close()
		return nil, fmt.Errorf("rtnetlink: %w", err)
	}
	return handle, nil
}

// Close closes the Conn.
func (c *Conn) Close() {
	for _, handle := range []*netlink.Handle{c.handle, c.strict} {
		if handle != nil {
			handle.Close()
		}
	}
	if c.batch != nil {
		c.batch.close()
	}
	if c.gue != nil {
		c.gue.close()
	}
}

// Up reports whether the interface is up and has a carrier. An interface that
// is not there is an error.
func (c *Conn) Up(name string) (bool, error) {
	link, err := c.handle.LinkByName(name)
	if err != nil {
		return false, fmt.Errorf("interface %s: %w", name, err)
	}
	return link.Attrs().RawFlags&(unix.IFF_UP|unix.IFF_RUNNING) == unix.IFF_UP|unix.IFF_RUNNING, nil
}

// Local reports whether the kernel delivers packets for the address, seen from the
// interface, to this host: whether the host has it. A tentative one it has not. It
// asks for one route, however many addresses there are.
func (c *Conn) Local(ifname string, addr netip.Addr) (bool, error) {
	routes, err := c.handle.RouteGetWithOptions(addr.AsSlice(), &netlink.RouteGetOptions{Oif: ifname})
	switch {
	case errors.Is(err, unix.ENETUNREACH), errors.Is(err, unix.EHOSTUNREACH):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("route to %s on %s: %w", addr, ifname, err)
	}
	return slices.ContainsFunc(routes, func(r netlink.Route) bool { return r.Type == unix.RTN_LOCAL }), nil
}

// names lists the interfaces by index, and remembers them for index.
func (c *Conn) names(ctx context.Context) (map[int]string, error) {
	links, err := retryDump(ctx, c.handle.LinkList)
	if err != nil {
		return nil, fmt.Errorf("list interfaces: %w", err)
	}
	names := make(map[int]string, len(links))
	indexes := make(map[string]int, len(links))
	for _, link := range links {
		attributes := link.Attrs()
		names[attributes.Index], indexes[attributes.Name] = attributes.Name, attributes.Index
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.indexes = indexes
	return names, nil
}

// index returns the interface's index, from the last listing if it was in it.
func (c *Conn) index(name string) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if index, ok := c.indexes[name]; ok {
		return index, nil
	}
	link, err := c.handle.LinkByName(name)
	if err != nil {
		return 0, fmt.Errorf("interface %s: %w", name, err)
	}
	c.indexes[name] = link.Attrs().Index
	return link.Attrs().Index, nil
}

// onIndex calls f with the interface's index. If the kernel does not know that
// index any more, the interface was made anew: it is looked up once more.
func (c *Conn) onIndex(name string, f func(index int) error) error {
	for try := 0; ; try++ {
		index, err := c.index(name)
		if err != nil {
			return err
		}
		err = f(index)
		if try > 0 || !errors.Is(err, unix.ENODEV) {
			return err
		}
		c.mu.Lock()
		delete(c.indexes, name)
		c.mu.Unlock()
	}
}

// retryDump lists again what a change in the kernel interrupted: such a listing
// may lack something.
func retryDump[T any](ctx context.Context, list func() ([]T, error)) ([]T, error) {
	for range dumpTries - 1 {
		all, err := list()
		if !errors.Is(err, netlink.ErrDumpInterrupted) {
			return all, err
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(dumpPause):
		}
	}
	return list()
}
