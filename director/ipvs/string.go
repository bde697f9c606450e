package ipvs

import (
	"fmt"
	"strings"
	"time"
)

// Bits is the number of bits of an address of the family: 32 or 128.
func (f Family) Bits() uint8 {
	if f == IPv6 {
		return 128
	}
	return 32
}

// String is "IPv4" or "IPv6".
func (f Family) String() string {
	switch f {
	case IPv4:
		return "IPv4"
	case IPv6:
		return "IPv6"
	default:
		return fmt.Sprintf("family %d", uint16(f))
	}
}

// String is the protocol in lower case ("tcp"), "ip" for the zero Protocol and
// "ip-50" for one that IPVS does not balance.
func (p Protocol) String() string {
	switch p {
	case 0:
		return "ip"
	case TCP:
		return "tcp"
	case UDP:
		return "udp"
	case SCTP:
		return "sctp"
	default:
		return fmt.Sprintf("ip-%d", uint8(p))
	}
}

// String is the method in ipvsadm's words: Masq, Local, Tunnel, Route; and
// Bypass, for which ipvsadm has no word.
func (f Forwarding) String() string {
	switch f {
	case Masquerade:
		return "Masq"
	case Local:
		return "Local"
	case Tunnel:
		return "Tunnel"
	case DirectRoute:
		return "Route"
	case Bypass:
		return "Bypass"
	default:
		return fmt.Sprintf("forwarding %d", uint8(f))
	}
}

// String is "tcp 192.0.2.1:25", "fwmark 7" or "fwmark 7 IPv6".
func (k ServiceKey) String() string {
	switch {
	case k.Mark == 0:
		return fmt.Sprintf("%v %v", k.Protocol, k.Address)
	case k.Family == IPv6:
		return fmt.Sprintf("fwmark %d IPv6", k.Mark)
	default:
		return fmt.Sprintf("fwmark %d", k.Mark)
	}
}

// String is the key followed by what is set, in ipvsadm's words and order:
// "tcp 192.0.2.1:25 wlc persistent 300 mask 24". The mask is a prefix length.
func (s Service) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%v %s", s.ServiceKey, s.Scheduler)
	if flags := s.Flags &^ (Persistent | OnePacket); flags != 0 {
		fmt.Fprintf(&b, " flags %#x", uint32(flags))
	}
	if s.Flags&Persistent != 0 {
		fmt.Fprintf(&b, " persistent %d", s.Timeout/time.Second)
		if s.Granularity != s.Family.Bits() {
			fmt.Fprintf(&b, " mask %d", s.Granularity)
		}
	}
	if s.Engine != "" {
		fmt.Fprintf(&b, " pe %s", s.Engine)
	}
	if s.Flags&OnePacket != 0 {
		b.WriteString(" ops")
	}
	return b.String()
}

// String is the address followed by what is set:
// "192.0.2.11:25 Route weight 1 upper 1000 lower 800".
func (d Destination) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%v %v weight %d", d.Address, d.Forwarding, d.Weight)
	if d.Upper != 0 {
		fmt.Fprintf(&b, " upper %d", d.Upper)
	}
	if d.Lower != 0 {
		fmt.Fprintf(&b, " lower %d", d.Lower)
	}
	if d.Tunnel != (TunnelInfo{}) {
		fmt.Fprintf(&b, " %v", d.Tunnel)
	}
	return b.String()
}

// String is the encapsulation: "ipip", "gue port 6080" or "gre", and the
// checksum flags where set.
func (t TunnelInfo) String() string {
	var b strings.Builder
	switch t.Type {
	case 0:
		b.WriteString("ipip")
	case 1:
		fmt.Fprintf(&b, "gue port %d", t.Port)
	case 2:
		b.WriteString("gre")
	default:
		fmt.Fprintf(&b, "tunnel type %d", t.Type)
	}
	if t.Flags != 0 {
		fmt.Fprintf(&b, " flags %#x", t.Flags)
	}
	return b.String()
}

// String is the version as the kernel writes it: "1.2.1 (size=4096)".
func (i Info) String() string {
	return fmt.Sprintf("%d.%d.%d (size=%d)",
		i.Version>>16&0xff, i.Version>>8&0xff, i.Version&0xff, i.TableSize)
}
