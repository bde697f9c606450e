package director

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/director/ipvs"
	"github.com/lvsd/lvsd/director/netif"
)

// always are the parameters that are set whether or not lvsd manages others.
func always(c *config.Config) map[string]string {
	values := map[string]string{}
	for _, r := range Requirements(c) {
		if r.Always {
			values[r.Name] = r.Value
		}
	}
	return values
}

func TestRequirementsThatAreAlwaysSet(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*config.Config)
		want   map[string]string
	}{
		{"none", func(*config.Config) {}, map[string]string{}},
		{"the file's word goes first", func(c *config.Config) {
			c.Sync = &config.Sync{Instance: "relay"}
			c.IPVS.Sysctls = map[string]string{"net.ipv4.vs.sync_threshold": "3 10"}
		}, map[string]string{"net.ipv4.vs.sync_threshold": "3 10", "net.ipv4.vs.sync_refresh_period": "10"}},
		{"snat", func(c *config.Config) {
			forward(&c.Services[0], ipvs.Masquerade)
			c.Services[0].SNAT = &config.SNAT{}
		}, map[string]string{"net.ipv4.vs.conntrack": "1"}},
		{"IPv6 only on lo", func(c *config.Config) {
			c.Accept = []config.Accept{{VIPs: []netip.Addr{netip.MustParseAddr("2001:db8::1")}}}
		}, map[string]string{}},
		{"tunnels", func(c *config.Config) {
			c.Accept = []config.Accept{{
				VIPs:           []netip.Addr{relayVIP.Addr},
				Decapsulations: []netif.Decapsulation{{Encapsulation: netif.GRE}, {Encapsulation: netif.GUE, Port: 1}},
			}}
		}, map[string]string{
			"net.ipv4.conf.all.arp_ignore": "1", "net.ipv4.conf.all.arp_announce": "2",
			"net.ipv4.conf.all.rp_filter": "0", "net.ipv4.conf.gre0.rp_filter": "0", "net.ipv4.conf.tunl0.rp_filter": "0",
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := relayConfig()
			test.change(c)
			if diff := cmp.Diff(test.want, always(c)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestSetSysctlsNamesWhatPlanSets(t *testing.T) {
	c := relayConfig()
	c.VRRP[0].KeepConnections = true
	c.Sync = &config.Sync{Instance: "relay"}
	names := setSysctls(c)
	for name := range Plan(Facts{Config: c}).Sysctls {
		if !names.Has(name) {
			t.Errorf("%s is set and its old value not kept", name)
		}
	}
	if names.Has("net.ipv4.vs.expire_nodest_conn") {
		t.Error("names what is only reported")
	}
	c.Sysctl.Manage = true
	if !setSysctls(c).Has("net.ipv4.vs.expire_nodest_conn") {
		t.Error("does not name what is managed")
	}
}
