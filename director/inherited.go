package director

import (
	"maps"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/healthcheck"
)

// verdicts are what the weights in the kernel say of c's checks: a predecessor,
// or a check that a reload replaces, set them. A real server that is not there
// tells nothing. One that serves proves that its checks pass, or with AnyCheck
// that one of them does; weight 0 has other reasons than a failure, and counts
// as one only where nothing proves otherwise. What operators have taken out, or
// given weight 0, tells nothing.
func (s State) verdicts(c *config.Config, admin Admin) map[healthcheck.Spec]bool {
	proven, guessed := map[healthcheck.Spec]bool{}, map[healthcheck.Spec]bool{}
	for i := range c.Services {
		service := &c.Services[i]
		present := s.Services[service.IPVS.ServiceKey]
		for j := range service.RealServers {
			server := &service.RealServers[j]
			destination, there := present.realServer(server.Address)
			if !there || admin.silences(service, server) {
				continue
			}
			up := serves(service, server, destination.Weight)
			for _, check := range server.Checks {
				if up && (!server.AnyCheck || len(server.Checks) == 1) {
					proven[check] = true
					continue
				}
				known, seen := guessed[check]
				guessed[check] = up && (known || !seen)
			}
		}
	}
	maps.Copy(guessed, proven)
	return guessed
}

// silences reports whether the real server has weight 0 because somebody wants it so.
func (a Admin) silences(service *config.VirtualService, server *config.RealServer) bool {
	if state, _ := a.of(service, server.Address); state != Enabled {
		return true
	}
	if ordered := a.weight(service, server.Address); ordered != nil {
		return *ordered == 0
	}
	return server.Weight == 0 && !tellsAny(server)
}

// serves reports whether a real server that the kernel has with this weight was
// up. One that is drained by the weight it tells was; where those that are down
// are removed, weight 0 is nothing else.
func serves(service *config.VirtualService, server *config.RealServer, weight int) bool {
	return weight > 0 || service.OnFailure == config.Remove && tellsAny(server)
}

// inherited is ask for whom a predecessor's word that a check is up counts until
// the check has its own.
func inherited(ask func(healthcheck.Spec) healthcheck.Status) func(healthcheck.Spec) healthcheck.Status {
	return func(spec healthcheck.Spec) healthcheck.Status {
		status := ask(spec)
		if status.State == healthcheck.Unknown && status.Up && status.Inherited {
			status.State = healthcheck.Up
		}
		return status
	}
}
