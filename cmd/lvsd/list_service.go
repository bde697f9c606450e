package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lvsd/lvsd/director/ipvs"
)

// serviceSelection is the one service that the command line asks for. It is
// text until all options are read: names are looked up only then.
type serviceSelection struct {
	option   string // that selected it, or empty
	protocol ipvs.Protocol
	text     string
	ipv6     bool // of a mark
}

func (s *serviceSelection) addFlags(command *cobra.Command) {
	flags := command.Flags()
	for _, option := range []struct {
		name, short string
		protocol    ipvs.Protocol
		usage       string
	}{
		{"tcp-service", "t", ipvs.TCP, "print only the TCP service `host[:port]`"},
		{"udp-service", "u", ipvs.UDP, "print only the UDP service `host[:port]`"},
		{"sctp-service", "", ipvs.SCTP, "print only the SCTP service `host[:port]`"},
		{"fwmark-service", "f", 0, "print only the service of the firewall `mark`"},
	} {
		flags.VarP(serviceFlag{s, option.name, option.protocol}, option.name, option.short, option.usage)
	}
	flags.BoolVarP(&s.ipv6, "ipv6", "6", false, "the firewall mark is that of an IPv6 service")
}

// serviceFlag is one of the options that fill a selection.
type serviceFlag struct {
	selection *serviceSelection
	option    string
	protocol  ipvs.Protocol
}

func (f serviceFlag) String() string { return "" }
func (f serviceFlag) Type() string   { return "service" }

func (f serviceFlag) Set(text string) error {
	if f.selection.option != "" {
		return fmt.Errorf("only one service can be selected, and --%s did", f.selection.option)
	}
	f.selection.option, f.selection.protocol, f.selection.text = f.option, f.protocol, text
	return nil
}

// key is the selected service, if any.
func (s *serviceSelection) key(ctx context.Context) (key ipvs.ServiceKey, selected bool, err error) {
	switch {
	case s.option == "":
		return key, false, nil
	case s.option == "fwmark-service":
		key, err = s.mark()
	default:
		key, err = s.address(ctx)
	}
	if err != nil {
		return key, true, usageError{fmt.Errorf("--%s %q: %w", s.option, s.text, err)}
	}
	return key, true, nil
}

func (s *serviceSelection) mark() (ipvs.ServiceKey, error) {
	mark, err := strconv.ParseUint(s.text, 10, 32)
	if err != nil || mark == 0 {
		return ipvs.ServiceKey{}, errors.New("a firewall mark is a number from 1 to 4294967295")
	}
	key := ipvs.ServiceKey{Family: ipvs.IPv4, Mark: uint32(mark)}
	if s.ipv6 {
		key.Family = ipvs.IPv6
	}
	return key, nil
}

func (s *serviceSelection) address(ctx context.Context) (ipvs.ServiceKey, error) {
	host, port, err := splitService(s.text)
	if err != nil {
		return ipvs.ServiceKey{}, err
	}
	address, err := lookupHost(ctx, host)
	if err != nil {
		return ipvs.ServiceKey{}, err
	}
	number, err := lookupPort(ctx, s.protocol, port)
	if err != nil {
		return ipvs.ServiceKey{}, err
	}
	key := ipvs.ServiceKey{Family: ipvs.IPv4, Protocol: s.protocol, Address: netip.AddrPortFrom(address, number)}
	if address.Is6() {
		key.Family = ipvs.IPv6
	}
	return key, nil
}

// splitService splits "host:port" or "[address]:port"; without a port it is 0.
func splitService(text string) (host, port string, err error) {
	if _, err := netip.ParseAddr(text); err == nil || !strings.Contains(text, ":") {
		return text, "0", nil
	}
	if strings.HasSuffix(text, "]") {
		text += ":0"
	}
	host, port, err = net.SplitHostPort(text)
	if err != nil {
		return "", "", errors.New("want host:port, or [address]:port for IPv6")
	}
	return host, port, nil
}

// lookupHost finds the address of a host. Like ipvsadm's, names are of IPv4.
func lookupHost(ctx context.Context, host string) (netip.Addr, error) {
	if address, err := netip.ParseAddr(host); err == nil {
		return address.Unmap(), nil
	}
	addresses, err := net.DefaultResolver.LookupNetIP(ctx, "ip4", host)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("address of %s: %w", host, err)
	}
	return addresses[0].Unmap(), nil
}

// lookupPort finds a port by number or name.
func lookupPort(ctx context.Context, p ipvs.Protocol, port string) (uint16, error) {
	if number, err := strconv.ParseUint(port, 10, 16); err == nil {
		return uint16(number), nil
	}
	network := p.String()
	if p == ipvs.SCTP {
		return 0, errors.New("the port of an SCTP service is a number from 0 to 65535")
	}
	number, err := net.DefaultResolver.LookupPort(ctx, network, port)
	if err != nil {
		return 0, fmt.Errorf("port %q is neither a number from 0 to 65535 nor a name of %s", port, network)
	}
	return uint16(number), nil
}
