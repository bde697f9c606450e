package director

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/lvsd/lvsd/director/ipvs"
)

func keyArguments(k ipvs.ServiceKey) string {
	if k.Mark != 0 {
		if k.Family == ipvs.IPv6 {
			return fmt.Sprintf("-f %d -6", k.Mark)
		}
		return fmt.Sprintf("-f %d", k.Mark)
	}
	switch k.Protocol {
	case ipvs.UDP:
		return "-u " + k.Address.String()
	case ipvs.SCTP:
		return "--sctp-service " + k.Address.String()
	default:
		return "-t " + k.Address.String()
	}
}

func serviceArguments(s ipvs.Service) string {
	arguments := keyArguments(s.ServiceKey) + " -s " + s.Scheduler
	if s.Flags&ipvs.Persistent != 0 {
		arguments += fmt.Sprintf(" -p %d", int(s.Timeout.Seconds()))
		if s.Granularity != maxGranularity(s.Family) {
			arguments += " -M " + granularityArgument(s)
		}
	}
	if s.Engine != "" {
		arguments += " --pe " + s.Engine
	}
	if s.Flags&ipvs.OnePacket != 0 {
		arguments += " -o"
	}
	var flags []string
	for i, flag := range []ipvs.Flags{ipvs.Sched1, ipvs.Sched2, ipvs.Sched3} {
		if s.Flags&flag != 0 {
			flags = append(flags, fmt.Sprintf("flag-%d", i+1))
		}
	}
	if len(flags) > 0 {
		arguments += " -b " + strings.Join(flags, ",")
	}
	return arguments
}

// granularityArgument is a mask for IPv4 and a prefix length for IPv6.
func granularityArgument(s ipvs.Service) string {
	if s.Family == ipvs.IPv6 {
		return fmt.Sprint(s.Granularity)
	}
	mask := ^uint32(0) << (32 - s.Granularity)
	return netip.AddrFrom4([4]byte{byte(mask >> 24), byte(mask >> 16), byte(mask >> 8), byte(mask)}).String()
}

func maxGranularity(f ipvs.Family) uint8 {
	if f == ipvs.IPv6 {
		return 128
	}
	return 32
}

func serverArguments(k ipvs.ServiceKey, d ipvs.Destination) string {
	arguments := fmt.Sprintf("%s -r %s %s -w %d", keyArguments(k), d.Address, methodArguments(d), d.Weight)
	if d.Upper != 0 || d.Lower != 0 {
		arguments += fmt.Sprintf(" -x %d -y %d", d.Upper, d.Lower)
	}
	return arguments
}

// methodArguments are the forwarding method and, of a tunnel that is not plain
// IP in IP, how packets are wrapped.
func methodArguments(d ipvs.Destination) string {
	switch {
	case d.Forwarding == ipvs.Masquerade:
		return "-m"
	case d.Forwarding != ipvs.Tunnel:
		return "-g"
	case d.Tunnel.Type == ipvs.GUE:
		return fmt.Sprintf("-i --tun-type gue --tun-port %d %s", d.Tunnel.Port, checksumArgument(d.Tunnel))
	case d.Tunnel.Type == ipvs.GRE:
		return "-i --tun-type gre " + checksumArgument(d.Tunnel)
	default:
		return "-i"
	}
}

func checksumArgument(t ipvs.TunnelInfo) string {
	switch {
	case t.Flags&ipvs.TunnelRemoteChecksum != 0:
		return "--tun-remcsum"
	case t.Flags&ipvs.TunnelChecksum != 0:
		return "--tun-csum"
	default:
		return "--tun-nocsum"
	}
}
