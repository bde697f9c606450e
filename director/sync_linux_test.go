package director

import (
	"net/netip"
	"testing"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/director/netif"
	"github.com/lvsd/lvsd/iptables"
)

// TestRulesetMutes: the rules of a switch are made and read in both families, by
// a few runs of the command however many VIPs there are, and one that a
// predecessor left is found.
func TestRulesetMutes(t *testing.T) {
	onRuleBackends(t, func(h ruleHost, _ bool) {
		c := &config.Config{VRRP: []config.VRRP{{}}, Sync: &config.Sync{}}
		facts := muteFacts(c, 60)
		r := newRuleset()
		h.prepare(r, c)
		want := NewState()
		planMutes(want, facts, &c.VRRP[0])
		h.read(r)
		h.runs()
		h.mute(r, Diff(NewState(), want))
		if runs := len(h.runs()); runs > 4 {
			h.Errorf("%d runs for %d rules in two families", runs, len(want.Mutes))
		}
		successor := newRuleset()
		h.prepare(successor, c)
		h.same("found", SetOf(h.read(successor).Mutes...), want.Mutes)
		h.mute(successor, Diff(want, NewState()))
		h.same("after deleting", h.read(successor), Snapshot{})
	})
}

// muteFacts makes an instance of that many VIPs of each family one that settles.
func muteFacts(c *config.Config, vips int) Facts {
	v4, v6 := vipNumber(0), netip.MustParseAddr("2001:db8::100")
	for range vips {
		for _, vip := range []netip.Addr{v4, v6} {
			c.VRRP[0].VIPs = append(c.VRRP[0].VIPs, config.VIP{VIP: netif.HostVIP("eth0", vip)})
		}
		v4, v6 = v4.Next(), v6.Next()
	}
	return settling(c)
}

// mute carries out operations as Apply gives them to a Host.
func (h ruleHost) mute(r *ruleset, ops []Op) {
	h.Helper()
	for len(ops) > 0 {
		batch := ops[:batchLength(ops)]
		ops = ops[len(batch):]
		if err := r.mute(h.Context(), batch); err != nil {
			h.Fatalf("%s: %v", batch[0], err)
		}
	}
}

// TestRulesetKnowsTheChainsOfMutes: only a configuration with daemons has any.
func TestRulesetKnowsTheChainsOfMutes(t *testing.T) {
	c := &config.Config{VRRP: []config.VRRP{{VIPs: []config.VIP{{VIP: relayVIP}}}}}
	if chains := chainsFor(c); len(chains) != 0 {
		t.Errorf("without daemons: %v", chains)
	}
	c.Sync = &config.Sync{}
	if chains := chainsFor(c); len(chains) != 1 || !chains.Has(iptables.Mute{VIP: relayVIP.Addr}.Chain()) {
		t.Errorf("with daemons: %v", chains)
	}
}
