package director

import (
	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/director/ipvs"
	"github.com/lvsd/lvsd/iptables"
)

func planServices(want State, f Facts) {
	for i := range f.Config.Services {
		service := &f.Config.Services[i]
		if f.serves(service) {
			want.Services[service.IPVS.ServiceKey] = planService(f, *service)
		}
		for _, mark := range service.Marks {
			want.Marks.Add(mark)
		}
		planSNAT(want, service)
	}
}

// serves reports whether the virtual service is to be in the kernel. Its firewall
// rules stand without it too: what they mark or translate is IPVS's.
func (f Facts) serves(s *config.VirtualService) bool {
	state, _ := f.Admin.ofService(s)
	return state != Disabled
}

// planService returns one virtual service as it should be. Of the facts it
// takes only what concerns this service.
//
// What operators want goes before health: a real server that is disabled is not
// there, one that is drained has weight 0 and stays, whatever OnFailure says.
//
// Real servers that are up serve; the others have weight 0 or are not there, as
// OnFailure says. Below the quorum the sorry server comes, and those that are up
// go too, unless it comes beside them. Where there is no sorry server, what is
// left goes on serving.
func planService(f Facts, s config.VirtualService) Service {
	sorry := s.Sorry
	needed := sorry != nil && !f.tally(&s).Quorate
	replaced := needed && sorry.Mode != config.SorryBeside
	draining := f.Draining[s.IPVS.ServiceKey]

	servers := make([]ipvs.Destination, 0, len(s.RealServers)+len(draining)+1)
	for i := range s.RealServers {
		server := &s.RealServers[i]
		if !server.Address.IsValid() {
			continue // a name without an address
		}
		destination := ipvs.Destination{
			Address:    server.Address,
			Forwarding: server.Forwarding,
			Tunnel:     server.Tunnel,
			Upper:      server.Upper,
			Lower:      server.Lower,
		}
		switch admin, _ := f.Admin.of(&s, server.Address); {
		case admin == Disabled:
			continue
		case admin == Drain:
		case !replaced && f.isUp(server):
			destination.Weight = f.weight(&s, server)
		case s.OnFailure == config.Remove:
			continue
		}
		servers = append(servers, destination)
	}
	if needed || sorry != nil && sorry.Inhibit {
		servers = append(servers, sorryDestination(sorry, needed))
	}
	for _, destination := range draining {
		destination.Weight = 0
		servers = append(servers, destination)
	}
	return Service{Service: s.IPVS, RealServers: sortServers(servers)}
}

// sorryDestination is the sorry server, with weight 0 while it is not needed.
func sorryDestination(s *config.SorryServer, needed bool) ipvs.Destination {
	destination := ipvs.Destination{Address: s.Address, Forwarding: s.Forwarding, Tunnel: s.Tunnel}
	if needed {
		destination.Weight = s.Weight
	}
	return destination
}

// planSNAT adds the rules for a service that hides its clients: for one with a
// firewall mark, those of the packets that get the mark.
func planSNAT(want State, s *config.VirtualService) {
	if s.SNAT == nil {
		return
	}
	key := s.IPVS.ServiceKey
	if key.Mark == 0 {
		want.SNATs.Add(iptables.SNAT{
			VIP: key.Address.Addr(), Protocol: key.Protocol.String(), Port: key.Address.Port(),
			Source: s.SNAT.Source,
		})
		return
	}
	for _, mark := range s.Marks {
		rule := iptables.SNAT{VIP: mark.VIP, Protocol: mark.Protocol, Source: s.SNAT.Source}
		if mark.First == mark.Last {
			rule.Port = mark.First
		}
		if rule.Protocol != "" {
			want.SNATs.Add(rule)
			continue
		}
		for _, protocol := range []ipvs.Protocol{ipvs.TCP, ipvs.UDP, ipvs.SCTP} {
			rule.Protocol = protocol.String()
			want.SNATs.Add(rule)
		}
	}
}
