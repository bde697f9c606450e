package doctor

import (
	"fmt"

	"github.com/lvsd/lvsd/director/ipvs"
)

const (
	// clientMTU is the greatest packet that a client on Ethernet sends.
	clientMTU = 1500
	// The headers, in bytes.
	ipv4Header, ipv6Header, tcpHeader, udpHeader = 20, 40, 20, 8
	gueHeader, greHeader, greChecksum            = 4, 4, 4
	// gueRemoteChecksum is the private flags and the option of GUE.
	gueRemoteChecksum = 8
)

// findTunnels tells of full packets of clients that do not fit into a tunnel.
func findTunnels(c *Case) []Finding {
	var found []Finding
	for _, t := range targets(c.Config) {
		route, known := c.Routes[t.address.Addr()]
		if t.forwarding != ipvs.Tunnel || !known || route.MTU == 0 || route.Local || route.Missing {
			continue
		}
		inner := route.MTU - overhead(t)
		if inner >= clientMTU {
			continue
		}
		found = append(found, Finding{
			ID: "tunnel-mtu", Severity: Note, Subject: fmt.Sprintf("real server %s of %s", t.address.Addr(), t.service.Name),
			What: fmt.Sprintf("packets of more than %d bytes do not fit into its tunnel: MTU %d on %s, less %d around them",
				inner, route.MTU, route.Interface, overhead(t)),
			Breaks: "where ICMP \"fragmentation needed\" is filtered, uploads of clients hang; downloads do not",
			Mend:   clampMSS(t, inner), On: "the real server",
		})
	}
	return found
}

// overhead is what a tunnel puts around each packet, in bytes.
func overhead(t target) int {
	bytes := ipv4Header
	if t.address.Addr().Is6() {
		bytes = ipv6Header
	}
	switch t.tunnel.Type {
	case ipvs.GUE:
		bytes += udpHeader + gueHeader
		if t.tunnel.Flags&ipvs.TunnelRemoteChecksum != 0 {
			bytes += gueRemoteChecksum
		}
	case ipvs.GRE:
		bytes += greHeader
		if t.tunnel.Flags&ipvs.TunnelChecksum != 0 {
			bytes += greChecksum
		}
	}
	return bytes
}

// clampMSS makes clients send segments that fit: the real server's answer to a
// connection request says how long they may be.
func clampMSS(t target, inner int) string {
	command, mss := "iptables", inner-ipv4Header-tcpHeader
	if t.service.IPVS.Family == ipvs.IPv6 {
		command, mss = "ip6tables", inner-ipv6Header-tcpHeader
	}
	from := ""
	if address := t.service.IPVS.Address; address.IsValid() {
		from = " -s " + address.Addr().String()
	}
	return fmt.Sprintf("%s -t mangle -A OUTPUT%s -p tcp --tcp-flags SYN,RST SYN -j TCPMSS --set-mss %d", command, from, mss)
}
