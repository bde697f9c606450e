package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"

	"github.com/lvsd/lvsd/integration/vm/protocol"
)

// guestAddress is what qemu expects the guest's address to be.
var guestAddress = netip.MustParsePrefix("10.0.2.15/24")

var loopback = netip.AddrFrom4([4]byte{127, 0, 0, 1})

// port is the port of this machine's loopback where the program's is reached, and
// the port that the program listens on; 0 is none.
type port uint16

// String is the port as Set takes it.
func (p *port) String() string { return strconv.Itoa(int(*p)) }

// Set reads the flag.
func (p *port) Set(text string) error {
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil || n == 0 {
		return errors.New("want a port, 1..65535")
	}
	*p = port(n)
	return nil
}

// free returns why qemu could not listen on the port: that a qemu does not start is
// taken for a fault of its accelerator.
func (p port) free() error {
	if p == 0 {
		return nil
	}
	l, err := net.Listen("tcp", netip.AddrPortFrom(loopback, uint16(p)).String())
	if err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	return l.Close()
}

// environment tells a program at the address where to listen.
func (p port) environment(at netip.Addr) []string {
	if p == 0 {
		return nil
	}
	return []string{protocol.ListenVariable + "=" + netip.AddrPortFrom(at, uint16(p)).String()}
}

// rule is the forwarding in qemu's words.
func (p port) rule() string {
	return fmt.Sprintf("tcp:%s:%d-%s:%d", loopback, p, guestAddress.Addr(), p)
}
