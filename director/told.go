package director

import (
	"net/netip"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/healthcheck"
	"github.com/lvsd/lvsd/healthcheck/probe"
)

// tells reports whether a server may tell its weight by the check.
func tells(spec healthcheck.Spec) bool {
	switch kind := spec.Check().Kind.(type) {
	case probe.Script:
		return kind.Dynamic
	case probe.File:
		return true
	}
	return false
}

// toldWeight is the weight that the real server tells, which counts in place of
// the configured one, and the place of the check by which it does: of several
// checks the least counts, of a check that does not pass nothing.
func (f Facts) toldWeight(server *config.RealServer) (least probe.Weight, by int) {
	if f.Told == nil {
		return least, -1
	}
	by = -1
	for i := range server.Checks {
		spec := server.Checks[i]
		if !tells(spec) || !f.passes(spec) {
			continue
		}
		if w := f.Told(spec); w.Known && (!least.Known || w.Value < least.Value) {
			least, by = w, i
		}
	}
	return least, by
}

// baseWeight is the one that the real server tells, or the configured one.
func (f Facts) baseWeight(server *config.RealServer) int {
	if told, _ := f.toldWeight(server); told.Known {
		return told.Value
	}
	return server.Weight
}

// toldBefore are the weights in the kernel of c's real servers that tell theirs:
// what they told a predecessor, or a check that a reload replaces. One that operators
// gave is not told.
func (s State) toldBefore(c *config.Config, admin Admin) map[ServerKey]int {
	weights := map[ServerKey]int{}
	for i := range c.Services {
		service := &c.Services[i]
		for j := range service.RealServers {
			server := &service.RealServers[j]
			if _, ordered := admin.of(service, server.Address); ordered != nil || !tellsAny(server) {
				continue
			}
			if present, there := s.Services[service.IPVS.ServiceKey].realServer(server.Address); there {
				weights[serverKey(service, server.Address)] = present.Weight
			}
		}
	}
	return weights
}

func tellsAny(server *config.RealServer) bool {
	for i := range server.Checks {
		if tells(server.Checks[i]) {
			return true
		}
	}
	return false
}

// keptWeights are those of toldBefore that still stand: the server has not told
// a weight of its own since.
func keptWeights(
	before map[ServerKey]int, services []config.VirtualService, ask func(healthcheck.Spec) healthcheck.Status,
) map[ServerKey]int {
	if len(before) == 0 {
		return nil
	}
	kept := map[ServerKey]int{}
	for i := range services {
		service := &services[i]
		for j := range service.RealServers {
			server := &service.RealServers[j]
			key := serverKey(service, server.Address)
			if weight, known := before[key]; known && awaited(server, ask) {
				kept[key] = weight
			}
		}
	}
	return kept
}

// awaited reports whether a check by which the server may tell its weight has not
// answered.
func awaited(server *config.RealServer, ask func(healthcheck.Spec) healthcheck.Status) bool {
	for i := range server.Checks {
		if tells(server.Checks[i]) && ask(server.Checks[i]).State == healthcheck.Unknown {
			return true
		}
	}
	return false
}

// serverKey is the real server's in the service.
func serverKey(service *config.VirtualService, server netip.AddrPort) ServerKey {
	return ServerKey{service.IPVS.ServiceKey, server}
}
