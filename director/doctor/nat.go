package doctor

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/director/ipvs"
)

// findNAT tells of answers of real servers that do not come back through this
// node, now or after a failover.
func findNAT(c *Case) []Finding {
	var found []Finding
	for _, t := range targets(c.Config) {
		route, known := c.Routes[t.address.Addr()]
		if t.forwarding != ipvs.Masquerade || t.service.SNAT != nil || known && route.Local {
			continue
		}
		network, own, ok := c.network(t.address.Addr())
		if !ok {
			continue // behind a router: the way back is that router's
		}
		gateway, apart := floatingGateway(c.Config, t.service, network)
		through := own.Addr
		if gateway.IsValid() {
			through = gateway
		}
		found = append(found, sameNetwork(t, network, through))
		switch {
		case !gateway.IsValid():
			found = append(found, fixedGateway(c.Config, t, network))
		case apart != nil:
			found = append(found, gatewayApart(t, gateway, apart))
		}
	}
	return found
}

// sameNetwork is for clients that are neighbours of the real servers.
func sameNetwork(t target, network netip.Prefix, through netip.Addr) Finding {
	f := Finding{
		ID: "nat-same-network", Severity: Note, Subject: fmt.Sprintf("virtual service %s, network %s", t.service.Name, network),
		What: "clients in the real servers' own network get answers directly, from the real server's address",
		Breaks: "their connections are reset; clients elsewhere are served. " +
			"snat = true in [[virtual_service]] serves both, but hides clients' addresses",
		Mend: fmt.Sprintf("ip route add CLIENT/%d via %s", network.Addr().BitLen(), through), On: "each real server, for each such client",
	}
	if vip := t.service.IPVS.Address; vip.IsValid() && network.Contains(vip.Addr()) {
		f.Severity = Warning
		f.What = "the VIP is in the real servers' network too: " + f.What
	}
	return f
}

// floatingGateway is a VIP in the real servers' network, which they can have as
// their gateway. One that moves with the service's VIP is preferred; apart are the
// two instances where there is none such.
func floatingGateway(c *config.Config, service *config.VirtualService, network netip.Prefix) (gateway netip.Addr, apart []string) {
	holder := holderOf(c, service.IPVS.Address)
	for _, v := range c.VRRP {
		for _, vip := range v.VIPs {
			if !network.Contains(vip.Addr) {
				continue
			}
			if holder == "" || moveTogether(c, holder, v.Router.Name) {
				return vip.Addr, nil
			}
			gateway, apart = vip.Addr, []string{holder, v.Router.Name}
		}
	}
	return gateway, apart
}

// holderOf is the instance that has the service's VIP; empty if none does.
func holderOf(c *config.Config, address netip.AddrPort) string {
	for _, v := range c.VRRP {
		for _, vip := range v.VIPs {
			if vip.Addr == address.Addr() {
				return v.Router.Name
			}
		}
	}
	return ""
}

func moveTogether(c *config.Config, a, b string) bool {
	return a == b || slices.ContainsFunc(c.Groups, func(g config.SyncGroup) bool {
		return slices.Contains(g.Instances, a) && slices.Contains(g.Instances, b)
	})
}

func fixedGateway(c *config.Config, t target, network netip.Prefix) Finding {
	f := Finding{
		ID: "nat-gateway-fixed", Severity: Warning, Subject: fmt.Sprintf("virtual service %s, network %s", t.service.Name, network),
		What:   "no instance has a VIP in the real servers' network",
		Breaks: "their gateway is an address of one director: when another is MASTER, answers miss it",
	}
	holder := holderOf(c, t.service.IPVS.Address)
	if holder == "" {
		f.Severity = Note // without VRRP here, nothing moves
		return f
	}
	f.Edit = fmt.Sprintf("a VIP of %s, their gateway from then on, in the vips of instance %s", network, holder)
	f.Mend, f.On = reload, "every director"
	return f
}

func gatewayApart(t target, gateway netip.Addr, apart []string) Finding {
	return Finding{
		ID: "nat-gateway-apart", Severity: Warning, Subject: fmt.Sprintf("virtual service %s", t.service.Name),
		What: fmt.Sprintf("its VIP belongs to instance %s and the real servers' gateway %s to instance %s, which no sync group joins",
			apart[0], gateway, apart[1]),
		Breaks: "when one of them moves alone, answers miss the director that the connection came through",
		Mend:   reload, On: "every director",
		Edit: fmt.Sprintf("[[sync_group]] with instances = [%q, %q]", apart[0], apart[1]),
	}
}
