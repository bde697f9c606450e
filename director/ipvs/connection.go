package ipvs

import (
	"bufio"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// ConnectionsFile is where the kernel lists the connections of the network
// namespace of the reader. There is no netlink command for it.
const ConnectionsFile = "/proc/net/ip_vs_conn"

// Connection is one entry of the kernel's connection table. A persistence
// template is an entry too: its client port is zero.
type Connection struct {
	// Protocol is zero for the templates of a service selected by a mark; their
	// Virtual is the mark, written as an address.
	Protocol    Protocol
	Client      netip.AddrPort
	Virtual     netip.AddrPort
	Destination netip.AddrPort
	// State is the kernel's word: ESTABLISHED, FIN_WAIT, UDP, NONE.
	State string
	// Expires is the time left, in whole seconds.
	Expires time.Duration
	// Engine and EngineData are set for entries of a persistence engine.
	Engine, EngineData string
}

// connectionColumns are the columns that every line has: protocol, three times
// address and port, state, expiry.
const connectionColumns = 9

// Connections reads the table in the format of ConnectionsFile, one entry at a
// time and in the kernel's order, which has no meaning. It ends with the first
// error, which names the line.
func Connections(r io.Reader) iter.Seq2[Connection, error] {
	return func(yield func(Connection, error) bool) {
		lines := bufio.NewScanner(r)
		for n := 1; lines.Scan(); n++ {
			if n == 1 {
				continue // the header
			}
			c, err := parseConnection(lines.Text())
			if err != nil {
				yield(Connection{}, fmt.Errorf("connection table line %d: %w", n, err))
				return
			}
			if !yield(c, nil) {
				return
			}
		}
		if err := lines.Err(); err != nil {
			yield(Connection{}, fmt.Errorf("connection table: %w", err))
		}
	}
}

func parseConnection(line string) (Connection, error) {
	f := strings.Fields(line)
	if len(f) < connectionColumns {
		return Connection{}, fmt.Errorf("%d columns, want at least %d", len(f), connectionColumns)
	}
	var c Connection
	var errs [5]error
	c.Protocol, errs[0] = parseProtocol(f[0])
	c.Client, errs[1] = parseAddressPort(f[1], f[2])
	c.Virtual, errs[2] = parseAddressPort(f[3], f[4])
	c.Destination, errs[3] = parseAddressPort(f[5], f[6])
	c.State = f[7]
	c.Expires, errs[4] = parseExpiry(f[8])
	if err := errors.Join(errs[:]...); err != nil {
		return Connection{}, err
	}
	if len(f) > connectionColumns {
		c.Engine = f[connectionColumns]
		c.EngineData = strings.Join(f[connectionColumns+1:], " ")
	}
	return c, nil
}

// parseProtocol reads the kernel's name of a protocol (ip_vs_proto_name).
func parseProtocol(s string) (Protocol, error) {
	switch s {
	case "TCP":
		return TCP, nil
	case "UDP":
		return UDP, nil
	case "SCTP":
		return SCTP, nil
	case "IP":
		return 0, nil
	case "ICMP":
		return 1, nil
	case "ICMPv6":
		return 58, nil
	}
	if number, ok := strings.CutPrefix(s, "IP_"); ok {
		if n, err := strconv.ParseUint(number, 10, 8); err == nil {
			return Protocol(n), nil
		}
	}
	return 0, fmt.Errorf("protocol %q", s)
}

// parseAddressPort reads an address, IPv4 as eight hexadecimal digits, IPv6
// with colons, and a port as four hexadecimal digits.
func parseAddressPort(address, port string) (netip.AddrPort, error) {
	p, err := strconv.ParseUint(port, 16, 16)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("port %q", port)
	}
	if strings.Contains(address, ":") {
		a, err := netip.ParseAddr(address)
		if err != nil || a.Zone() != "" {
			return netip.AddrPort{}, fmt.Errorf("address %q", address)
		}
		return netip.AddrPortFrom(a, uint16(p)), nil
	}
	b, err := hex.DecodeString(address)
	if err != nil || len(b) != 4 {
		return netip.AddrPort{}, fmt.Errorf("address %q", address)
	}
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte(b)), uint16(p)), nil
}

func parseExpiry(s string) (time.Duration, error) {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("expiry %q", s)
	}
	return time.Duration(n) * time.Second, nil
}
