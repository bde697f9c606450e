package main

import (
	"fmt"
	"net"
	"net/netip"

	"golang.org/x/sys/unix"
)

// networkUp brings lo up, through which IPVS sends to local real servers, and the
// network card, if there is one, with its address.
func networkUp(address netip.Prefix) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("network: socket: %w", err)
	}
	defer unix.Close(fd)
	if err := linkUp(fd, "lo"); err != nil || !address.IsValid() {
		return err
	}
	const card = "eth0"
	mask := net.CIDRMask(address.Bits(), 32)
	if err := setAddress(fd, card, unix.SIOCSIFADDR, address.Addr().AsSlice()); err != nil {
		return fmt.Errorf("%s: set address %s: %w", card, address, err)
	}
	if err := setAddress(fd, card, unix.SIOCSIFNETMASK, mask); err != nil {
		return fmt.Errorf("%s: set mask of %s: %w", card, address, err)
	}
	return linkUp(fd, card)
}

// setAddress makes a request whose argument is an IPv4 address.
func setAddress(fd int, link string, request uint, address []byte) error {
	ifr, err := unix.NewIfreq(link)
	if err != nil {
		return err
	}
	if err := ifr.SetInet4Addr(address); err != nil {
		return err
	}
	return unix.IoctlIfreq(fd, request, ifr)
}

// linkUp brings the interface up.
func linkUp(fd int, link string) error {
	ifr, err := unix.NewIfreq(link)
	if err != nil {
		return fmt.Errorf("%s: %w", link, err)
	}
	ifr.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, ifr); err != nil {
		return fmt.Errorf("%s: bring up: %w", link, err)
	}
	return nil
}
