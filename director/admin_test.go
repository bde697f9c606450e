package director

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/lvsd/lvsd/config"
)

// wanted are the states that the overrides want of the real server, found the slow
// way.
func wanted(overrides []Override, service, server string) []AdminState {
	states := []AdminState{Enabled}
	address := netip.MustParseAddrPort(server).Addr()
	for _, o := range overrides {
		own := o.Target == Target{Service: service, Server: server} || o.Target == Target{Service: service}
		if o.stands(noon) && (own || o.Target.Node != "" && slices.Contains(o.Addresses, address)) {
			states = append(states, o.State)
		}
	}
	return states
}

// TestPlanObeysOverrides: the strictest of what is wanted of a real server is in the
// kernel, whatever its health and whatever else is configured.
func TestPlanObeysOverrides(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := drawConfig(t)
		f := drawFacts(t, c)
		f.Stopping = false
		overrides := setOf(drawOverrides(t)...).list()
		f.Admin = adminOf(setOf(overrides...), noon)
		planned := Plan(f)
		for i := range c.Services {
			s := &c.Services[i]
			twin := func(other config.VirtualService) bool {
				return other.IPVS.ServiceKey == s.IPVS.ServiceKey && other.Name != s.Name
			}
			if slices.ContainsFunc(c.Services, twin) {
				continue // two of one mark, which no file has
			}
			service, there := planned.Services[s.IPVS.ServiceKey]
			o, ordered := setOf(overrides...).standing(Target{Service: s.Name}, noon)
			if disabled := ordered && o.State == Disabled; there == disabled {
				t.Fatalf("%s disabled: %v, in the kernel: %v", s.Name, disabled, there)
			}
			for j := range s.RealServers {
				server := &s.RealServers[j]
				states := wanted(overrides, s.Name, server.Address.String())
				destination, there := service.realServer(server.Address)
				switch {
				case slices.Contains(states, Disabled) && there:
					t.Fatalf("%v is disabled and in %v", server.Address, service)
				case slices.Contains(states, Disabled):
				case slices.Contains(states, Drain) && (!there || destination.Weight != 0):
					t.Fatalf("%v is drained: there %v, %v", server.Address, there, destination)
				}
			}
		}
	})
}

// TestOverrideOfWhatIsNotThere means nothing.
func TestOverrideOfWhatIsNotThere(t *testing.T) {
	c := relayConfig()
	f := Facts{Config: c, Up: upOf(allUp(c))}
	before := Plan(f)
	f.Admin = adminOf(setOf(
		Override{Target: Target{Service: "other"}, State: Disabled, Node: "a", At: noon},
		Override{Target: Target{Service: "smtp", Server: "192.0.2.1:26"}, State: Disabled, Node: "a", At: noon},
		Override{Target: Target{Service: "other", Server: "192.0.2.1:25"}, State: Disabled, Node: "a", At: noon},
		Override{Target: Target{Node: "a"}, Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.9")}, State: Drain, Node: "a", At: noon},
	), noon)
	if diff := cmp.Diff(before, Plan(f), compareStates); diff != "" {
		t.Errorf("(-without +with):\n%s", diff)
	}
}

// TestDrainTakesFromTheQuorum: what is drained does not count, and the sorry server
// comes.
func TestDrainTakesFromTheQuorum(t *testing.T) {
	c := relayConfig()
	c.Services[0].Sorry = &config.SorryServer{Address: netip.MustParseAddrPort("192.0.2.9:25"), Weight: 1}
	for name, test := range map[string]struct {
		override Override
		sorry    bool
	}{
		"one server":    {Override{Target: Target{Service: "smtp", Server: "192.0.2.1:25"}, State: Drain}, false},
		"the service":   {Override{Target: Target{Service: "smtp"}, State: Drain}, true},
		"a node's":      {Override{Target: Target{Node: "a"}, Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")}, State: Drain}, true},
		"its time over": {Override{Target: Target{Service: "smtp"}, State: Drain, Until: noon}, false},
	} {
		t.Run(name, func(t *testing.T) {
			test.override.At, test.override.Node = noon, "a"
			f := Facts{Config: c, Up: upOf(allUp(c)), Admin: adminOf(setOf(test.override), noon)}
			service := planService(f, c.Services[0])
			if _, there := service.realServer(c.Services[0].Sorry.Address); there != test.sorry {
				t.Errorf("sorry server in use: %v, %v", there, service)
			}
		})
	}
}

// TestOrderedWeight stands for the configured and the told one; checks still add to
// it.
func TestOrderedWeight(t *testing.T) {
	c := relayConfig()
	s := &c.Services[0]
	server := &s.RealServers[0]
	weight := 7
	f := Facts{
		Config: c, Up: upOf(allUp(c)), Kept: map[ServerKey]int{serverKey(s, server.Address): 3},
		Admin: adminOf(setOf(Override{
			Target: Target{Service: "smtp", Server: "192.0.2.1:25"}, Weight: &weight, Node: "a", At: noon,
		}), noon),
	}
	if got := f.upWeight(s, server); got != 7 {
		t.Errorf("weight %d, want 7", got)
	}
	server.WeightChecks = []config.WeightCheck{{Check: every(time.Second, server.Address), Weight: 2}}
	if got := f.upWeight(s, server); got != 9 {
		t.Errorf("weight %d, want 7 and the 2 of a check", got)
	}
	if got := f.upWeight(s, &s.RealServers[1]); got != 1 {
		t.Errorf("another's weight is %d", got)
	}
}
