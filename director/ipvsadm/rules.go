package ipvsadm

import (
	"bufio"
	"io"
	"time"

	"github.com/lvsd/lvsd/director/ipvs"
)

// WriteRules prints the services and their destinations as arguments of ipvsadm
// that make them, as ipvsadm -S does. Like there, thresholds are left out, and
// of the options only Names counts. It wants both in the kernel's order.
func WriteRules(w io.Writer, services []ipvs.ServiceEntry, o Options) error {
	out := bufio.NewWriterSize(w, bufferSize)
	var (
		bySelector order[ipvs.ServiceEntry]
		byAddress  order[ipvs.DestinationEntry]
	)
	for _, s := range bySelector.of(services, false, compareServices) {
		_, _ = out.Write(o.appendServiceRule(out.AvailableBuffer(), &s.Service))
		for _, d := range byAddress.of(s.Destinations, false, compareDestinations) {
			_, _ = out.Write(o.appendDestinationRule(out.AvailableBuffer(), &s.ServiceKey, d))
		}
	}
	return out.Flush()
}

func (o Options) appendServiceRule(b []byte, s *ipvs.Service) []byte {
	b = o.appendSelector(append(b, "-A "...), &s.ServiceKey)
	b = append(append(b, " -s "...), s.Scheduler...)
	if s.Flags&ipvs.Persistent != 0 {
		b = appendUint(append(b, " -p "...), uint64(s.Timeout/time.Second), 0)
		if s.Granularity != s.Family.Bits() {
			b = appendMask(append(b, " -M "...), s.Family, s.Granularity)
		}
	}
	if s.Engine != "" {
		b = append(append(b, " --pe "...), s.Engine...)
	}
	if s.Flags&ipvs.OnePacket != 0 {
		b = append(b, " -o"...)
	}
	if s.Flags&schedulerFlags != 0 {
		b = appendFlagNames(append(b, " -b "...), s.Scheduler, s.Flags)
	}
	return append(b, '\n')
}

func (o Options) appendDestinationRule(b []byte, k *ipvs.ServiceKey, d *ipvs.DestinationEntry) []byte {
	b = o.appendSelector(append(b, "-a "...), k)
	b = o.appendAddressPort(append(b, " -r "...), d.Address, k.Protocol)
	b = append(append(b, ' '), forwardingOption(d.Forwarding)...)
	b = appendInt(append(b, " -w "...), int64(int32(d.Weight)), 0)
	if d.Forwarding == ipvs.Tunnel {
		b = appendTunnelOptions(b, d.Tunnel)
	}
	return append(b, '\n')
}

// appendSelector appends the option that names a service. A mark is printed as
// a signed integer, which ipvsadm does not take back if it is negative.
func (o Options) appendSelector(b []byte, k *ipvs.ServiceKey) []byte {
	if k.Mark != 0 {
		b = appendInt(append(b, "-f "...), int64(int32(k.Mark)), 0)
		if k.Family == ipvs.IPv6 {
			b = append(b, " -6"...)
		}
		return b
	}
	switch k.Protocol {
	case ipvs.TCP:
		b = append(b, "-t "...)
	case ipvs.UDP:
		b = append(b, "-u "...)
	default:
		b = append(b, "--sctp-service "...)
	}
	return o.appendAddressPort(b, k.Address, k.Protocol)
}

// forwardingOption is the option of a forwarding method. ipvsadm has none for a
// destination on this host, which the kernel finds out by itself.
func forwardingOption(f ipvs.Forwarding) string {
	switch f {
	case ipvs.Masquerade:
		return "-m"
	case ipvs.Tunnel:
		return "-i"
	case ipvs.Local, ipvs.DirectRoute:
		return "-g"
	default:
		return "(null)"
	}
}

func appendTunnelOptions(b []byte, t ipvs.TunnelInfo) []byte {
	b = append(b, " --tun-type "...)
	switch t.Type {
	case ipvs.GUE:
		b = appendUint(append(b, "gue --tun-port "...), uint64(t.Port), 0)
	case ipvs.GRE:
		b = append(b, "gre"...)
	default:
		return append(b, "ipip"...)
	}
	return append(append(b, ' '), checksum(t.Flags, "--tun-nocsum", "--tun-csum", "--tun-remcsum")...)
}
