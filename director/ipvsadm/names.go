package ipvsadm

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/lvsd/lvsd/director/ipvs"
)

// Names finds names for numbers. An empty name says that there is none, and the
// number is printed.
type Names interface {
	Host(a netip.Addr) string
	// Service is the name of a port of TCP, UDP or SCTP.
	Service(port uint16, p ipvs.Protocol) string
}

// nameLength is how much of "host:port" ipvsadm prints.
const nameLength = 59

// appendAddressPort appends "address:port" with "[address]:port" for IPv6, by
// name or number.
func (o Options) appendAddressPort(b []byte, a netip.AddrPort, p ipvs.Protocol) []byte {
	start := len(b)
	if a.Addr().Is4() {
		b = o.appendHost(b, a.Addr())
	} else {
		b = append(o.appendHost(append(b, '['), a.Addr()), ']')
	}
	b = o.appendPort(append(b, ':'), a.Port(), p)
	return cut(b, start, nameLength)
}

func (o Options) appendHost(b []byte, a netip.Addr) []byte {
	if o.Names != nil {
		if name := o.Names.Host(a); name != "" {
			return append(b, name...)
		}
	}
	return appendAddress(b, a)
}

func (o Options) appendPort(b []byte, port uint16, p ipvs.Protocol) []byte {
	if o.Names != nil {
		if name := o.Names.Service(port, p); name != "" {
			return append(b, name...)
		}
	}
	return strconv.AppendUint(b, uint64(port), 10)
}

// appendAddress appends a number as inet_ntop prints it. It differs from netip
// in the addresses ::a.b.c.d, of which only the last 32 bits are set.
func appendAddress(b []byte, a netip.Addr) []byte {
	if w := words(a); a.Is6() && w[0]|w[1]|w[2] == 0 && w[3]>>16 != 0 {
		raw := a.As16()
		return netip.AddrFrom4([4]byte(raw[12:])).AppendTo(append(b, "::"...))
	}
	return a.AppendTo(b)
}

// SystemNames are the names that this host knows: hosts by /etc/hosts and DNS,
// ports by a file in the format of /etc/services. Each is looked up once.
type SystemNames struct {
	ctx      context.Context // of the one listing that the names are for
	lookup   func(ctx context.Context, address string) (names []string, err error)
	hosts    map[netip.Addr]string
	services map[servicePort]string
}

type servicePort struct {
	port     uint16
	protocol string
}

// ServicesFile is where a host keeps the names of ports.
const ServicesFile = "/etc/services"

// NewSystemNames reads the names of ports from services, which has the format of
// ServicesFile. The context bounds the look-ups of hosts; when it ends, further
// hosts have no name.
func NewSystemNames(ctx context.Context, services io.Reader) (*SystemNames, error) {
	ports, err := parseServices(services)
	if err != nil {
		return nil, fmt.Errorf("names of ports: %w", err)
	}
	return &SystemNames{
		ctx:      ctx,
		lookup:   net.DefaultResolver.LookupAddr,
		hosts:    make(map[netip.Addr]string),
		services: ports,
	}, nil
}

// Host is the first name of an address.
func (n *SystemNames) Host(a netip.Addr) string {
	name, known := n.hosts[a]
	if !known {
		if names, err := n.lookup(n.ctx, a.String()); err == nil && len(names) > 0 {
			name = strings.TrimSuffix(names[0], ".")
		}
		n.hosts[a] = name
	}
	return name
}

// Service is the name of a port of TCP, UDP or SCTP.
func (n *SystemNames) Service(port uint16, p ipvs.Protocol) string {
	return n.services[servicePort{port, p.String()}]
}

// parseServices reads lines of name, port/protocol, aliases and comment. The
// first line about a port counts; a line that says nothing is passed over.
func parseServices(r io.Reader) (map[servicePort]string, error) {
	services := make(map[servicePort]string)
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		text, _, _ := strings.Cut(lines.Text(), "#")
		fields := strings.Fields(text)
		if len(fields) < 2 {
			continue
		}
		number, protocol, _ := strings.Cut(fields[1], "/")
		port, err := strconv.ParseUint(number, 10, 16)
		if err != nil {
			continue
		}
		key := servicePort{uint16(port), protocol}
		if _, taken := services[key]; !taken {
			services[key] = fields[0]
		}
	}
	return services, lines.Err()
}
