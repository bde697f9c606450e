package ipvsadm

import (
	"fmt"
	"io"
	"net/netip"
	"strings"
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

func writeService(w io.Writer, s ipvs.Service, o Options) {
	fmt.Fprintf(w, "%s %s", serviceName(s.ServiceKey, o), s.Scheduler)
	if s.Flags&schedulerFlags != 0 {
		fmt.Fprintf(w, " (%s)", strings.Join(flagNames(s.Scheduler, s.Flags), ","))
	}
	if s.Flags&ipvs.Persistent != 0 {
		writePersistence(w, s)
	}
	if s.Flags&ipvs.OnePacket != 0 {
		fmt.Fprint(w, " ops")
	}
	fmt.Fprintln(w)
}

func writePersistence(w io.Writer, s ipvs.Service) {
	fmt.Fprintf(w, " persistent %d", s.Timeout/time.Second)
	if s.Granularity != s.Family.Bits() {
		fmt.Fprintf(w, " mask %s", mask(s.Family, s.Granularity))
	}
	if s.Engine != "" {
		fmt.Fprintf(w, " pe %s", s.Engine)
	}
}

// serviceName is the first column. A mark is printed as a signed integer.
func serviceName(k ipvs.ServiceKey, o Options) string {
	switch {
	case k.Mark != 0 && k.Family == ipvs.IPv6:
		return fmt.Sprintf("FWM  %d IPv6", int32(k.Mark))
	case k.Mark != 0:
		return fmt.Sprintf("FWM  %d", int32(k.Mark))
	}
	name := fmt.Sprintf("%-4s %s", serviceProtocol(k.Protocol), o.addressPort(k.Address, k.Protocol))
	if k.Family == ipvs.IPv6 {
		return name
	}
	return truncated(name, serviceWidth)
}

func serviceProtocol(p ipvs.Protocol) string {
	switch p {
	case ipvs.TCP, ipvs.UDP, ipvs.SCTP:
		return strings.ToUpper(p.String())
	default:
		return "?"
	}
}

// flagNames are the scheduler flags in the scheduler's own words. sh and mh use
// two of the three; their third has no name.
func flagNames(scheduler string, flags ipvs.Flags) []string {
	names := []string{"flag-1", "flag-2", "flag-3"}
	if scheduler == "sh" || scheduler == "mh" {
		names = []string{scheduler + "-fallback", scheduler + "-port"}
	}
	var set []string
	for i, name := range names {
		if flags&(ipvs.Sched1<<i) != 0 {
			set = append(set, name)
		}
	}
	return set
}

// mask is dotted for IPv4 and a prefix length for IPv6.
func mask(f ipvs.Family, length uint8) string {
	if f == ipvs.IPv6 {
		return fmt.Sprint(length)
	}
	ones := netip.AddrFrom4([4]byte{255, 255, 255, 255})
	return netip.PrefixFrom(ones, int(length)).Masked().Addr().String()
}

func truncated(s string, n int) string {
	return s[:min(n, len(s))]
}
