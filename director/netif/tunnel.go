package netif

// Encapsulation is how packets to a real server are wrapped.
type Encapsulation string

// The encapsulations of IPVS.
const (
	IPIP Encapsulation = "ipip"
	GRE  Encapsulation = "gre"
	GUE  Encapsulation = "gue"
)

// Decapsulation makes this host, a real server, take packets out of the tunnels
// of its directors: the kernel's fallback device for the encapsulation is up,
// and for GUE the port is listened on. It is comparable.
type Decapsulation struct {
	Encapsulation Encapsulation
	// OuterIPv6 and InnerIPv6 are the families around and inside the tunnel.
	OuterIPv6, InnerIPv6 bool
	// Port is the UDP port of GUE, else 0.
	Port uint16
}

// Device is the kernel's fallback device: "tunl0", "sit0", "ip6tnl0", "gre0" or
// "ip6gre0".
func (d Decapsulation) Device() string {
	switch {
	case d.Encapsulation == GRE && d.OuterIPv6:
		return "ip6gre0"
	case d.Encapsulation == GRE:
		return "gre0"
	case d.OuterIPv6:
		return "ip6tnl0"
	case d.InnerIPv6:
		return "sit0"
	default:
		return "tunl0"
	}
}
