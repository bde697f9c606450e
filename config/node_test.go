package config

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestMatching(t *testing.T) {
	for _, tt := range []struct {
		node  string
		names []string
		want  []string
	}{
		{"relay1", []string{"relay2", "relay1"}, []string{"relay1"}},
		{"relay1", []string{"relay", "relay11", "relay1x.example.org"}, nil},
		{"RELAY1.example.org", []string{"relay1.Example.org"}, []string{"relay1.Example.org"}},
		{"relay1", []string{"relay1.example.org", "relay2.example.org"}, []string{"relay1.example.org"}},
		{"relay1.example.org", []string{"relay1"}, []string{"relay1"}},
		{"relay1.example.org", []string{"relay1", "relay1.example.org"}, []string{"relay1.example.org"}},
		{"relay1.a", []string{"relay1.b"}, nil},
		{"relay1", []string{"relay1.b", "relay1.a"}, []string{"relay1.a", "relay1.b"}},
		{"RELAY1", []string{"relay1.example.org"}, []string{"relay1.example.org"}},
		{"", []string{"relay1"}, nil},
	} {
		if got := matching(tt.node, tt.names); !slices.Equal(got, tt.want) {
			t.Errorf("matching(%q, %q) = %q, want %q", tt.node, tt.names, got, tt.want)
		}
	}
}

// TestOverrides changes each key that a node may override, on one node, and
// wants that node to have the new value and another to have the old.
func TestOverrides(t *testing.T) {
	const main = `
[global]
[[vrrp]]
name = "web"
interface = "eth0"
vrid = 20
version = 2
vips = ["192.0.2.80"]
auth = { type = "pass", password = "secret" }
garp = { count = 7 }
notify = { master = ["/bin/true"], environment = { A = "1", B = "2" } }
`
	for _, tt := range []struct {
		override string
		change   func(*Config)
	}{
		{`global.node.relay2.router_id = "x"`, func(c *Config) { c.Global.RouterID = "x" }},
		{`global.node.relay2.resync = "2s"`, func(c *Config) { c.Global.Resync = 2 * time.Second }},
		{`global.node.relay2.lock_wait = "2s"`, func(c *Config) { c.Global.LockWait = 2 * time.Second }},
		{`interface = "eth1"`, func(c *Config) { c.VRRP[0].Interface = "eth1" }},
		{`vrid = 21`, func(c *Config) { c.VRRP[0].Router.VRID = 21 }},
		{`priority = 150`, func(c *Config) { c.VRRP[0].Router.Priority = 150 }},
		{`advert_interval = "2s"`, func(c *Config) { c.VRRP[0].Router.Interval = 2 * time.Second }},
		{`preempt = false`, func(c *Config) { c.VRRP[0].Router.Preempt = false }},
		{`preempt_delay = "2s"`, func(c *Config) { c.VRRP[0].Router.PreemptDelay = 2 * time.Second }},
		{`source = "192.0.2.2"`, func(c *Config) { c.VRRP[0].Router.Source = ip("192.0.2.2") }},
		{`peers = ["192.0.2.1"]`, func(c *Config) { c.VRRP[0].Router.Peers = ips("192.0.2.1") }},
		{
			`peers = ["192.0.2.1", "192.0.2.2"]` + "\n" + `source = "192.0.2.2"`,
			func(c *Config) { c.VRRP[0].Router.Peers, c.VRRP[0].Router.Source = ips("192.0.2.1"), ip("192.0.2.2") },
		},
		{`vips = ["192.0.2.81"]`, func(c *Config) { c.VRRP[0].VIPs, c.VRRP[0].Router.VIPs = ips("192.0.2.81"), ips("192.0.2.81") }},
		{`auth.password = "other"`, func(c *Config) { c.VRRP[0].Router.Password = "other" }},
		{`serve_on_backup = true`, func(c *Config) { c.VRRP[0].ServeOnBackup = true }},
		{`redirect = "all-tcp"`, func(c *Config) { c.VRRP[0].Redirect = RedirectAllTCP }},
		{`keep_redirect_on_stop = false`, func(c *Config) { c.VRRP[0].KeepRedirectOnStop = false }},
		{`garp.delay = "1s"`, func(c *Config) { c.VRRP[0].GARP.Delay = time.Second }},
		{`garp.count = 1`, func(c *Config) { c.VRRP[0].GARP.Count = 1 }},
		{`notify.master = []`, func(c *Config) { c.VRRP[0].Hooks.Master = nil }},
		{`notify.backup = ["/bin/sh", "-c", ""]`, func(c *Config) { c.VRRP[0].Hooks.Backup = []string{"/bin/sh", "-c", ""} }},
		{`notify.timeout = "1s"`, func(c *Config) { c.VRRP[0].Hooks.Timeout = time.Second }},
		{`notify.environment.B = "3"`, func(c *Config) { c.VRRP[0].Hooks.Environment = map[string]string{"A": "1", "B": "3"} }},
	} {
		t.Run(tt.override, func(t *testing.T) {
			doc := main + "[vrrp.node.relay2]\n" + tt.override
			if override, ok := cutGlobal(tt.override); ok {
				doc = main + "[global.node.relay2]\n" + override
			}
			want := parse(t, main, "relay2")
			tt.change(want)
			got := parse(t, doc, "relay2")
			if diff := cmp.Diff(want, got, cmp.Comparer(sameAddr)); diff != "" {
				t.Errorf("relay2 -want +got:\n%s", diff)
			}
			if other := parse(t, doc, "relay3"); !other.Equal(parse(t, main, "relay3")) {
				t.Error("relay3 has the override too")
			}
		})
	}
}
