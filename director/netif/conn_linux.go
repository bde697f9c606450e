package netif

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
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
}

// Open opens a Conn.
func Open() (*Conn, error) {
	handle, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("rtnetlink: %w", err)
	}
	if err := handle.SetSocketTimeout(answerTimeout); err != nil {
		handle.Close()
		return nil, fmt.Errorf("rtnetlink: %w", err)
	}
	return &Conn{handle}, nil
}

// Close closes the Conn.
func (c *Conn) Close() { c.handle.Close() }

// Addresses lists the host addresses of every interface.
func (c *Conn) Addresses(ctx context.Context) ([]Address, error) {
	links, err := retryDump(ctx, c.handle.LinkList)
	if err != nil {
		return nil, fmt.Errorf("list interfaces: %w", err)
	}
	names := make(map[int]string, len(links))
	for _, link := range links {
		names[link.Attrs().Index] = link.Attrs().Name
	}
	all, err := retryDump(ctx, func() ([]netlink.Addr, error) {
		return c.handle.AddrList(nil, netlink.FAMILY_ALL)
	})
	if err != nil {
		return nil, fmt.Errorf("list addresses: %w", err)
	}
	var addresses []Address
	for _, a := range all {
		addr, ok := netip.AddrFromSlice(a.IP)
		if ones, bits := a.Mask.Size(); ok && ones == bits {
			addresses = append(addresses, Address{Interface: names[a.LinkIndex], Addr: addr.Unmap()})
		}
	}
	return addresses, nil
}

// Add puts the address on its interface with scope global. That it is there
// already is no error. An IPv6 address is usable at once, without duplicate
// address detection.
func (c *Conn) Add(a Address) error {
	link, err := c.handle.LinkByName(a.Interface)
	if err != nil {
		return fmt.Errorf("interface %s: %w", a.Interface, err)
	}
	if err := c.handle.AddrAdd(link, a.netlink()); err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("add %s to %s: %w", a.Addr, a.Interface, err)
	}
	return nil
}

// Delete takes the address off its interface. That it, or the interface, is not
// there is no error.
func (c *Conn) Delete(a Address) error {
	link, err := c.handle.LinkByName(a.Interface)
	if errors.As(err, &netlink.LinkNotFoundError{}) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("interface %s: %w", a.Interface, err)
	}
	if err := c.handle.AddrDel(link, a.netlink()); err != nil && !errors.Is(err, unix.EADDRNOTAVAIL) {
		return fmt.Errorf("delete %s from %s: %w", a.Addr, a.Interface, err)
	}
	return nil
}

func (a Address) netlink() *netlink.Addr {
	bits := a.Addr.BitLen()
	address := &netlink.Addr{
		IPNet: &net.IPNet{IP: a.Addr.AsSlice(), Mask: net.CIDRMask(bits, bits)},
		Scope: unix.RT_SCOPE_UNIVERSE,
	}
	if a.Addr.Is6() {
		address.Flags = unix.IFA_F_NODAD
	}
	return address
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
