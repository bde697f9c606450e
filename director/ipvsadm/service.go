package ipvsadm

import (
	"net/netip"
	"strconv"
	"time"

	"github.com/lvsd/lvsd/director/ipvs"
)

const (
	// serviceWidth is where the name of an IPv4 service is cut off,
	// destinationWidth where that of an IPv4 destination is.
	serviceWidth     = 33
	destinationWidth = 28
)

// schedulerFlags are the flags that a scheduler may give a meaning to.
const schedulerFlags = ipvs.Sched1 | ipvs.Sched2 | ipvs.Sched3

// appendService appends the row of a service.
func (o Options) appendService(b []byte, s *ipvs.ServiceEntry) []byte {
	start := len(b)
	b = o.appendServiceName(b, &s.ServiceKey)
	switch o.Columns {
	case Stats:
		b = o.appendCounters(pad(b, start, serviceWidth), &s.Stats)
	case Rate:
		b = o.appendServiceRates(pad(b, start, serviceWidth), &s.Stats)
	default:
		b = appendScheduling(b, &s.Service)
	}
	return append(b, '\n')
}

// appendScheduling appends the scheduler and all flags.
func appendScheduling(b []byte, s *ipvs.Service) []byte {
	b = append(append(b, ' '), s.Scheduler...)
	if s.Flags&schedulerFlags != 0 {
		b = append(appendFlagNames(append(b, " ("...), s.Scheduler, s.Flags), ')')
	}
	if s.Flags&ipvs.Persistent != 0 {
		b = appendUint(append(b, " persistent "...), uint64(s.Timeout/time.Second), 0)
		if s.Granularity != s.Family.Bits() {
			b = appendMask(append(b, " mask "...), s.Family, s.Granularity)
		}
		if s.Engine != "" {
			b = append(append(b, " pe "...), s.Engine...)
		}
	}
	if s.Flags&ipvs.OnePacket != 0 {
		b = append(b, " ops"...)
	}
	return b
}

// appendServiceName appends the first column. A mark is printed as a signed
// integer.
func (o Options) appendServiceName(b []byte, k *ipvs.ServiceKey) []byte {
	if k.Mark != 0 {
		b = appendInt(append(b, "FWM  "...), int64(int32(k.Mark)), 0)
		if k.Family == ipvs.IPv6 {
			b = append(b, " IPv6"...)
		}
		return b
	}
	start := len(b)
	b = appendText(b, serviceProtocol(k.Protocol), 4)
	b = o.appendAddressPort(append(b, ' '), k.Address, k.Protocol)
	if k.Family == ipvs.IPv6 {
		return b
	}
	return cut(b, start, serviceWidth)
}

func serviceProtocol(p ipvs.Protocol) string {
	switch p {
	case ipvs.TCP:
		return "TCP"
	case ipvs.UDP:
		return "UDP"
	case ipvs.SCTP:
		return "SCTP"
	default:
		return "?"
	}
}

// appendFlagNames appends the scheduler flags in the scheduler's own words. sh
// and mh use two of the three; their third has no name.
func appendFlagNames(b []byte, scheduler string, flags ipvs.Flags) []byte {
	var names [3]string
	switch scheduler {
	case "sh":
		names = [3]string{"sh-fallback", "sh-port"}
	case "mh":
		names = [3]string{"mh-fallback", "mh-port"}
	default:
		names = [3]string{"flag-1", "flag-2", "flag-3"}
	}
	start := len(b)
	for i, name := range names {
		if flags&(ipvs.Sched1<<i) == 0 || name == "" {
			continue
		}
		if len(b) > start {
			b = append(b, ',')
		}
		b = append(b, name...)
	}
	return b
}

// appendMask appends a granularity: dotted for IPv4, a prefix length for IPv6.
func appendMask(b []byte, f ipvs.Family, length uint8) []byte {
	if f == ipvs.IPv6 {
		return strconv.AppendUint(b, uint64(length), 10)
	}
	ones := netip.AddrFrom4([4]byte{255, 255, 255, 255})
	return netip.PrefixFrom(ones, int(length)).Masked().Addr().AppendTo(b)
}
