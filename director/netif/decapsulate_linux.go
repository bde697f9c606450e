package netif

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// fallbackModules are the modules that bring each fallback device.
var fallbackModules = map[string]string{
	"tunl0": "ipip", "sit0": "sit", "ip6tnl0": "ip6_tunnel", "gre0": "ip_gre", "ip6gre0": "ip6_gre",
}

// Decapsulations lists the tunnels that this host takes packets out of, whoever
// made it do so.
func (c *Conn) Decapsulations(ctx context.Context) ([]Decapsulation, error) {
	links, err := retryDump(ctx, c.handle.LinkList)
	if err != nil {
		return nil, fmt.Errorf("list interfaces: %w", err)
	}
	var all []Decapsulation
	for _, link := range links {
		if link.Attrs().RawFlags&unix.IFF_UP != 0 {
			all = append(all, decapsulatedBy(link)...)
		}
	}
	ports, err := c.gue.list()
	if err != nil {
		return nil, err
	}
	for _, port := range ports {
		for _, ipip := range all {
			if ipip.Encapsulation == IPIP && ipip.OuterIPv6 == port.ipv6 {
				all = append(all, Decapsulation{GUE, ipip.OuterIPv6, ipip.InnerIPv6, port.number})
			}
		}
	}
	return all, nil
}

// decapsulatedBy returns what the device takes packets out of while it is up.
func decapsulatedBy(link netlink.Link) []Decapsulation {
	var all []Decapsulation
	for _, encapsulation := range []Encapsulation{IPIP, GRE} {
		for _, families := range [][2]bool{{false, false}, {false, true}, {true, false}, {true, true}} {
			d := Decapsulation{Encapsulation: encapsulation, OuterIPv6: families[0], InnerIPv6: families[1]}
			if d.Device() == link.Attrs().Name && d.accepted(link) {
				all = append(all, d)
			}
		}
	}
	return all
}

// accepted reports whether the device takes packets of the inner family:
// ip6tnl0 may be for one of the two only.
func (d Decapsulation) accepted(link netlink.Link) bool {
	tunnel, ok := link.(*netlink.Ip6tnl)
	if !ok || tunnel.Proto == anyProtocol {
		return true
	}
	if d.InnerIPv6 {
		return tunnel.Proto == unix.IPPROTO_IPV6
	}
	return tunnel.Proto == unix.IPPROTO_IPIP
}

// AddDecapsulation makes this host take packets out of a tunnel, and loads the
// module for it where that is allowed. What somebody else has set up already is
// used. An ip6tnl0 for one inner family is changed to take both.
func (c *Conn) AddDecapsulation(ctx context.Context, d Decapsulation) error {
	if d.Encapsulation == GUE {
		if err := c.gue.add(ctx, guePort{d.OuterIPv6, d.Port}); err != nil {
			return err
		}
	}
	link, err := c.fallback(d.Device())
	if err != nil {
		return err
	}
	if !d.accepted(link) {
		if err := acceptBothFamilies(d.Device()); err != nil {
			return fmt.Errorf("change %s to accept both IPv4 and IPv6: %w", d.Device(), err)
		}
	}
	if err := c.handle.LinkSetUp(link); err != nil {
		return fmt.Errorf("set %s up: %w", d.Device(), err)
	}
	return nil
}

// fallback returns the fallback device. To ask for it by ioctl makes the kernel
// load its module (netdevice(7)).
func (c *Conn) fallback(device string) (netlink.Link, error) {
	link, err := c.handle.LinkByName(device)
	if errors.As(err, &netlink.LinkNotFoundError{}) {
		if _, err = askLink(device); err == nil {
			link, err = c.handle.LinkByName(device)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("interface %s, which the module %s brings (modprobe %[2]s): %w",
			device, fallbackModules[device], err)
	}
	return link, nil
}

// DeleteDecapsulation undoes AddDecapsulation: a port is closed and, unless
// deviceStays, the device set down. That either is not there is no error. A port
// is closed for both inner families.
func (c *Conn) DeleteDecapsulation(d Decapsulation, deviceStays bool) error {
	if d.Encapsulation == GUE {
		if err := c.gue.remove(guePort{d.OuterIPv6, d.Port}); err != nil {
			return err
		}
	}
	if deviceStays {
		return nil
	}
	link, err := c.handle.LinkByName(d.Device())
	if errors.As(err, &netlink.LinkNotFoundError{}) {
		return nil
	}
	if err == nil {
		err = c.handle.LinkSetDown(link)
	}
	if err != nil {
		return fmt.Errorf("set %s down: %w", d.Device(), err)
	}
	return nil
}

// add listens on a port. That GUE is listened for there already is no error.
func (f *fou) add(ctx context.Context, port guePort) error {
	err := f.change(ctx, fouAdd, port)
	if errors.Is(err, unix.EADDRINUSE) || errors.Is(err, unix.EALREADY) {
		if ports, listErr := f.list(); listErr == nil && slices.Contains(ports, port) {
			return nil
		}
	}
	if err != nil {
		return fmt.Errorf("listen for GUE on port %d: %w", port.number, err)
	}
	return nil
}

// remove listens no longer.
func (f *fou) remove(port guePort) error {
	ports, err := f.list()
	if err != nil || !slices.Contains(ports, port) {
		return err
	}
	if err := f.change(context.Background(), fouDelete, port); err != nil {
		return fmt.Errorf("close GUE port %d: %w", port.number, err)
	}
	return nil
}
