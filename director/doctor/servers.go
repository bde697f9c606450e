package doctor

import (
	"fmt"
	"net/netip"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/director"
	"github.com/lvsd/lvsd/director/ipvs"
)

// target is a real server or sorry server, as packets to it are sent.
type target struct {
	service    *config.VirtualService
	address    netip.AddrPort
	forwarding ipvs.Forwarding
	tunnel     ipvs.TunnelInfo
}

// targets are those of all services, in file order.
func targets(c *config.Config) []target {
	var all []target
	for i := range c.Services {
		service := &c.Services[i]
		for _, s := range service.RealServers {
			if s.Address.Addr().IsValid() {
				all = append(all, target{service, s.Address, s.Forwarding, s.Tunnel})
			}
		}
		if sorry := service.Sorry; sorry != nil {
			all = append(all, target{service, sorry.Address, sorry.Forwarding, sorry.Tunnel})
		}
	}
	return all
}

// findServers tells of real servers that packets do not reach in the way that
// their forwarding method takes.
func findServers(c *Case) []Finding {
	var found []Finding
	for _, t := range targets(c.Config) {
		addr := t.address.Addr()
		route, known := c.Routes[addr]
		if !known || route.Local {
			continue
		}
		subject := fmt.Sprintf("real server %s", addr)
		switch {
		case route.Missing:
			found = append(found, Finding{
				ID: "server-unroutable", Severity: Error, Subject: subject, What: "this node has no route to it",
				Breaks: fmt.Sprintf("virtual service %s cannot use it", t.service.Name),
				Mend:   fmt.Sprintf("ip route add %s dev %s", netip.PrefixFrom(addr, addr.BitLen()), firstInterface(c.Config)),
			})
		case t.forwarding == ipvs.DirectRoute && route.Gateway.IsValid():
			found = append(found, Finding{
				ID: "dr-routed", Severity: Error, Subject: subject,
				What:   fmt.Sprintf("forwarding is dr, and the route to it goes through the gateway %s", route.Gateway),
				Breaks: "dr changes only the link address: the gateway gets packets to the VIP and sends them back here",
				Mend:   reload, Edit: "forwarding = \"tun\" for this real server",
			})
		case !route.Gateway.IsValid():
			found = append(found, findNeighbour(c, t, route, subject)...)
		}
	}
	return found
}

// findNeighbour tells of a real server on the link that does not answer, or of
// two that do.
func findNeighbour(c *Case, t target, route Route, subject string) []Finding {
	macs, asked := c.answersTo(Place{route.Interface, t.address.Addr()})
	switch {
	case !asked || len(macs) == 1:
		return nil
	case len(macs) == 0:
		return []Finding{{
			ID: "server-silent", Severity: Warning, Subject: subject,
			What:   fmt.Sprintf("nobody answers for its address on %s", route.Interface),
			Breaks: fmt.Sprintf("virtual service %s cannot use it", t.service.Name),
		}}
	default:
		return []Finding{{
			ID: "server-duplicate", Severity: Error, Subject: subject,
			What:   fmt.Sprintf("several hosts answer for its address on %s: %s", route.Interface, macList(macs)),
			Breaks: "connections go to the one or to the other",
			Mend:   fmt.Sprintf("ip address del %s dev %s", t.address.Addr(), route.Interface), On: "the one that is not meant",
		}}
	}
}

// firstInterface is the one that an operator most likely means.
func firstInterface(c *config.Config) string {
	if len(c.VRRP) > 0 {
		return c.VRRP[0].Interface
	}
	return "eth0"
}

// findRoutes tells of answers that leave on another interface than clients'
// packets came in on.
func findRoutes(c *Case) []Finding {
	var found []Finding
	seen := director.Set[string]{}
	for _, family := range []netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()} {
		back, known := c.Routes[family]
		if !known {
			continue
		}
		for _, name := range clientInterfaces(c.Config, family.Is6()) {
			subject := "interface " + name
			switch {
			case back.Missing && !seen.Has(subject):
				found = append(found, Finding{
					ID: "default-route-missing", Severity: Note, Subject: subject,
					What:   fmt.Sprintf("this node has no default route of %s", familyName(family)),
					Breaks: "clients on other networks get no answers from this node, and with nat none through it",
				})
			case back.Interface != name && !back.Missing:
				found = append(found, Finding{
					ID: "route-asymmetric", Severity: Note, Subject: subject,
					What: fmt.Sprintf("clients come in there, and the default route of %s goes through %s",
						familyName(family), back.Interface),
					Breaks: "a firewall on the way sees one half of each connection that this node answers, or passes with nat, and may end it",
					Mend:   fmt.Sprintf("ip -%d route replace default via GATEWAY dev %s", familyDigit(family), name),
				})
			}
			seen.Add(subject)
		}
	}
	return found
}

func familyName(a netip.Addr) string {
	if a.Is6() {
		return "IPv6"
	}
	return "IPv4"
}

func familyDigit(a netip.Addr) int {
	if a.Is6() {
		return 6
	}
	return 4
}
