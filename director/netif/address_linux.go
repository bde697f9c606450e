package netif

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Addresses lists the addresses of every interface. An address that is one end
// of a point-to-point link is left out: it is never a VIP.
func (c *Conn) Addresses(ctx context.Context) ([]VIP, error) {
	names, err := c.names(ctx)
	if err != nil {
		return nil, err
	}
	all, err := retryDump(ctx, func() ([]netlink.Addr, error) {
		return c.handle.AddrList(nil, netlink.FAMILY_ALL)
	})
	if err != nil {
		return nil, fmt.Errorf("list addresses: %w", err)
	}
	addresses := make([]VIP, 0, len(all))
	secondaries := map[Address]struct{}{}
	for _, a := range all {
		vip, ok := readVIP(a, names[a.LinkIndex])
		if !ok {
			continue
		}
		addresses = append(addresses, vip)
		if vip.Addr.Is4() && a.Flags&unix.IFA_F_SECONDARY != 0 {
			secondaries[vip.Address] = struct{}{}
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.secondaries = secondaries
	return addresses, nil
}

// readVIP is the address as the configuration would write it: the label that
// the kernel makes of the interface's name is none.
func readVIP(a netlink.Addr, ifname string) (VIP, bool) {
	addr, ok := netip.AddrFromSlice(a.IP)
	if !ok || a.Peer != nil && !a.Peer.IP.Equal(a.IP) {
		return VIP{}, false
	}
	ones, _ := a.Mask.Size()
	vip := VIP{
		Address: Address{Interface: ifname, Addr: addr.Unmap(), Bits: ones},
		Scope:   Scope(a.Scope),
		Label:   a.Label,
	}
	if vip.Label == ifname {
		vip.Label = ""
	}
	if broadcast, ok := netip.AddrFromSlice(a.Broadcast); ok {
		vip.Broadcast = broadcast.Unmap()
	}
	return vip, true
}

// Add puts the address on its interface. That it is there already, with
// whatever scope, label or broadcast, is no error.
//
// An IPv6 address is usable at once, without duplicate address detection: two
// nodes that both were MASTER for a moment would otherwise both have it as
// failed for ever. One of full length is deprecated from the start, as
// keepalived's are, so that the node's own connections do not have as source an
// address that may move away (RFC 6724 section 5, rule 3).
func (c *Conn) Add(v VIP) error {
	if err := c.put(v); err != nil {
		return fmt.Errorf("add %s to %s: %w", v.prefix(), v.Interface, explain(v, err))
	}
	return nil
}

func (c *Conn) put(v VIP) error {
	err := c.onIndex(v.Interface, func(index int) error { return c.handle.AddrAdd(nil, v.netlink(index)) })
	if !errors.Is(err, unix.EEXIST) {
		return err
	}
	if v.Addr.Is4() {
		return nil
	}
	// An interface has an IPv6 address only once, whatever its prefix length.
	all, err := c.Addresses(context.Background())
	if err == nil && !slices.ContainsFunc(all, func(other VIP) bool { return other.Address == v.Address }) {
		err = errors.New("it is there with another prefix length, not as a VIP")
	}
	return err
}

// explain says what the kernel means by an error number that says little.
func explain(v VIP, err error) error {
	switch {
	case v.Addr.Is6() && errors.Is(err, unix.EACCES):
		return fmt.Errorf("IPv6 is disabled there (net.ipv6.conf.%s.disable_ipv6): %w", v.Interface, err)
	case v.Addr.Is4() && errors.Is(err, unix.EINVAL):
		return fmt.Errorf("label too long, or an address of the same subnet there has another scope: %w", err)
	}
	return err
}

// Delete takes the address off its interface. That it, or the interface, is not
// there is no error. Without net.ipv4.conf.*.promote_secondaries the kernel
// deletes with the first address of an IPv4 subnet every other one of that
// subnet; these are put back.
func (c *Conn) Delete(a Address) error {
	if err := c.remove(a); err != nil {
		return fmt.Errorf("delete %s from %s: %w", a.prefix(), a.Interface, err)
	}
	return nil
}

func (c *Conn) remove(a Address) error {
	dependent, err := c.dependents(a)
	if err != nil {
		return err
	}
	err = c.onIndex(a.Interface, func(index int) error {
		return c.handle.AddrDel(nil, VIP{Address: a}.netlink(index))
	})
	switch {
	case errors.Is(err, unix.EADDRNOTAVAIL), errors.Is(err, unix.ENODEV), errors.As(err, &netlink.LinkNotFoundError{}):
		return nil
	case err != nil:
		return err
	}
	return c.putBack(a.Interface, dependent)
}

// dependents returns the other addresses that the kernel may delete with a: the
// secondaries of its subnet, if a is the primary one.
func (c *Conn) dependents(a Address) ([]*netlink.Addr, error) {
	c.mu.Lock()
	_, secondary := c.secondaries[a]
	c.mu.Unlock()
	if secondary || !a.Addr.Is4() || a.Bits == a.Addr.BitLen() {
		return nil, nil
	}
	index, err := c.index(a.Interface)
	if err != nil {
		// It is not there, and so is the address.
		return nil, nil //nolint:nilerr // deleting says what there is to say
	}
	link := &netlink.GenericLink{LinkAttrs: netlink.LinkAttrs{Index: index}}
	all, err := retryDump(context.Background(), func() ([]netlink.Addr, error) {
		return c.handle.AddrList(link, netlink.FAMILY_V4)
	})
	if err != nil {
		return nil, err
	}
	var dependent []*netlink.Addr
	for _, other := range all {
		v, ok := readVIP(other, a.Interface)
		switch {
		case !ok || v.prefix().Masked() != a.prefix().Masked():
		case other.Flags&unix.IFA_F_SECONDARY != 0:
			dependent = append(dependent, &other)
		case v.Address != a:
			return nil, nil // another one is the primary
		}
	}
	return dependent, nil
}

// putBack adds what went with a primary address. Where the kernel promoted the
// first of them instead, all are there still.
func (c *Conn) putBack(ifname string, addresses []*netlink.Addr) error {
	if len(addresses) == 0 {
		return nil
	}
	c.mu.Lock()
	c.secondaries = nil
	c.mu.Unlock()
	var errs []error
	for _, a := range addresses {
		a.Flags &^= unix.IFA_F_SECONDARY | unix.IFA_F_PERMANENT
		if a.Broadcast == nil {
			a.Broadcast = net.IPv4zero
		}
		if err := c.handle.AddrAdd(nil, a); err != nil && !errors.Is(err, unix.EEXIST) {
			errs = append(errs, fmt.Errorf("put %s back on %s: %w", a.IPNet, ifname, err))
		}
	}
	return errors.Join(errs...)
}

// Replace makes of one address another with the same interface and address: of
// another prefix length, scope, label or broadcast. An IPv4 address stays local
// all the time; an IPv6 one is away between two requests to the kernel, which
// takes no second prefix length beside the first.
func (c *Conn) Replace(old Address, v VIP) error {
	if err := c.replace(old, v); err != nil {
		return fmt.Errorf("change %s on %s: %w", v.prefix(), v.Interface, explain(v, err))
	}
	return nil
}

func (c *Conn) replace(old Address, v VIP) error {
	switch {
	case v.Addr.Is6():
		if err := c.remove(old); err != nil {
			return err
		}
		return c.put(v)
	case old.Bits != v.Bits:
		if err := c.put(v); err != nil {
			return err
		}
		return c.remove(old)
	}
	// The kernel changes neither scope nor label nor broadcast of an address
	// that is there.
	standIn, err := c.standIn(v)
	if err != nil {
		return err
	}
	if err = c.remove(old); err == nil {
		err = c.put(v)
	}
	return errors.Join(err, standIn())
}

// standIn puts the address there a second time, with another prefix length and
// without the route of its subnet, and returns what takes that away again.
func (c *Conn) standIn(v VIP) (away func() error, err error) {
	other := VIP{Address: v.Address}
	other.Bits = v.Addr.BitLen()
	if v.Bits == other.Bits {
		other.Bits--
	}
	err = c.onIndex(v.Interface, func(index int) error {
		address := other.netlink(index)
		address.Flags |= unix.IFA_F_NOPREFIXROUTE
		return c.handle.AddrAdd(nil, address)
	})
	switch {
	case errors.Is(err, unix.EEXIST): // somebody's, and to stay
		return func() error { return nil }, nil
	case err != nil:
		return nil, err
	}
	return func() error { return c.remove(other.Address) }, nil
}

func (a Address) prefix() netip.Prefix { return netip.PrefixFrom(a.Addr, a.Bits) }

func (v VIP) netlink(index int) *netlink.Addr {
	address := &netlink.Addr{
		IPNet:     &net.IPNet{IP: v.Addr.AsSlice(), Mask: net.CIDRMask(v.Bits, v.Addr.BitLen())},
		Scope:     int(v.Scope),
		Label:     v.Label,
		Broadcast: net.IPv4zero, // none, where nil would be computed
		LinkIndex: index,
	}
	if v.Broadcast.IsValid() {
		address.Broadcast = v.Broadcast.AsSlice()
	}
	if v.Addr.Is6() {
		address.Flags = unix.IFA_F_NODAD
		if v.Bits == v.Addr.BitLen() {
			address.ValidLft, address.PreferedLft = math.MaxUint32, 0
		}
	}
	return address
}
