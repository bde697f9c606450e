package config

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/lvsd/lvsd/director/netif"
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
	const someHash = "$2b$05$JoJF9f5R5l5rT1g1lwP1EO2rLkbzT3nUFgT1ZJ4VnVg7SBPm1hdO6"
	const main = `
[global]
[metrics]
[web]
[alerts]
[reload]
[sync]
instance = "web"
[[vrrp]]
name = "web"
interface = "eth0"
vrid = 20
version = 2
vips = ["192.0.2.80"]
auth = { type = "pass", password = "secret" }
garp = { count = 7 }
notify = { master = ["/bin/true"], environment = { A = "1", B = "2" } }
route = [{ destination = "default", gateway = "192.0.2.254" }]
rule = [{ from = "192.0.2.0/24", table = 100, priority = 1 }]
#override
[[vrrp]]
name = "other"
interface = "eth9"
vrid = 1
vips = ["192.0.2.90"]
[[sync_group]]
name = "both"
instances = ["web", "other"]
[[tracker]]
name = "drain"
type = "file"
file = "/run/drain"
`
	for _, tt := range []struct {
		override string
		change   func(*Config)
	}{
		{`global.node.relay2.router_id = "x"`, func(c *Config) { c.Global.RouterID = "x" }},
		{`global.node.relay2.resync = "2s"`, func(c *Config) { c.Global.Resync = 2 * time.Second }},
		{`global.node.relay2.script_user = "nobody"`, func(c *Config) {
			c.Global.ScriptUser = "nobody"
			c.VRRP[0].Hooks.User, c.VRRP[1].Hooks.User, c.Groups[0].Hooks.User = "nobody", "nobody", "nobody"
		}},
		{`global.node.relay2.on_drift = "report"`, func(c *Config) { c.Global.OnDrift = Report }},
		{`metrics.node.relay2.listen = "off"`, func(c *Config) { c.Metrics.Listen = netip.AddrPort{} }},
		{`metrics.node.relay2.keepalived_names = true`, func(c *Config) { c.Metrics.KeepalivedNames = true }},
		{`metrics.node.relay2.allow = ["192.0.2.0/24"]`, func(c *Config) { c.Metrics.Allow = prefixes("192.0.2.0/24") }},
		{`web.node.relay2.listen = "[::]:80"`, func(c *Config) { c.Web.Listen = netip.MustParseAddrPort("[::]:80") }},
		{`web.node.relay2.allow = ["2001:db8::/32"]`, func(c *Config) { c.Web.Allow = prefixes("2001:db8::/32") }},
		{`web.node.relay2.users.bob = "` + someHash + `"`, func(c *Config) { c.Web.Users = map[string]Secret{"bob": someHash} }},
		{
			`web.node.relay2.admin = true` + "\n" + `node.relay2.users.bob = "` + someHash + `"`,
			func(c *Config) { c.Web.Admin, c.Web.Users = true, map[string]Secret{"bob": someHash} },
		},
		{
			`web.node.relay2.certificate = "/a"` + "\n" + `node.relay2.key = "/b"`,
			func(c *Config) { c.Web.Certificate, c.Web.Key = "/a", "/b" },
		},
		{
			`web.node.relay2.listen = "192.0.2.2:80"` + "\n" + `node.relay2.insecure = true` + "\n" + `node.relay2.users.bob = "` + someHash + `"`,
			func(c *Config) {
				c.Web.Listen, c.Web.Users = netip.MustParseAddrPort("192.0.2.2:80"), map[string]Secret{"bob": someHash}
			},
		},
		{`alerts.node.relay2.fifo = "/run/fifo"`, func(c *Config) { c.Alerts.FIFO = "/run/fifo" }},
		{
			`alerts.node.relay2.webhook = [{ url = "http://192.0.2.9/" }]`,
			func(c *Config) {
				c.Alerts.Webhooks = []WebhookAlert{{URL: "http://192.0.2.9/", Digest: time.Second, PerHour: 600}}
			},
		},
		{
			`alerts.node.relay2.mail = [{ server = "[2001:db8::25]", tls = "tls", from = "a@b.org", to = ["c@d.org"], events = ["*", "node.*"] }]`,
			func(c *Config) {
				c.Alerts.Mail = []MailAlert{{
					Server: "[2001:db8::25]:465", TLS: "tls", From: "a@b.org", To: []string{"c@d.org"},
					Events: []string{"*", "node.*"}, Digest: 10 * time.Second, PerHour: 30,
				}}
			},
		},
		{`reload.node.relay2.watch = true`, func(c *Config) { c.Reload.Watch = true }},
		{`reload.node.relay2.settle_within = "1s"`, func(c *Config) { c.Reload.SettleWithin = time.Second }},
		{`sync.node.relay2.instance = "other"`, func(c *Config) { c.Sync.Instance, c.Sync.Interface, c.Sync.ID = "other", "eth9", 1 }},
		{`sync.node.relay2.daemons = "follow"`, func(c *Config) { c.Sync.Daemons = SyncFollow }},
		{`sync.node.relay2.interface = "eth3"`, func(c *Config) { c.Sync.Interface = "eth3" }},
		{`sync.node.relay2.id = 7`, func(c *Config) { c.Sync.ID = 7 }},
		{`sync.node.relay2.max_length = 1000`, func(c *Config) { c.Sync.MaxLen = 1000 }},
		{`sync.node.relay2.group = "224.0.0.82"`, func(c *Config) { c.Sync.Group = ip("224.0.0.82") }},
		{`sync.node.relay2.port = 8849`, func(c *Config) { c.Sync.Port = 8849 }},
		{`sync.node.relay2.ttl = 2`, func(c *Config) { c.Sync.TTL = 2 }},
		{`keep_connections = true` + "\n" + `serve_on_backup = true`, func(c *Config) { c.VRRP[0].KeepConnections, c.VRRP[0].ServeOnBackup = true, true }},
		{`global.node.relay2.lock_wait = "2s"`, func(c *Config) { c.Global.LockWait = 2 * time.Second }},
		{`interface = "eth1"`, func(c *Config) {
			c.Sync.Interface = "eth1"
			c.VRRP[0].Interface, c.VRRP[0].VIPs[0].Interface = "eth1", "eth1"
		}},
		{`vrid = 21`, func(c *Config) { c.VRRP[0].Router.VRID, c.Sync.ID = 21, 21 }},
		{`priority = 150`, func(c *Config) { c.VRRP[0].Router.Priority = 150 }},
		{`advert_interval = "2s"`, func(c *Config) { c.VRRP[0].Router.Interval = 2 * time.Second }},
		{`preempt = false`, func(c *Config) { c.VRRP[0].Router.Preempt = false }},
		{`preempt_delay = "2s"`, func(c *Config) { c.VRRP[0].Router.PreemptDelay = 2 * time.Second }},
		{`source = "192.0.2.2"`, func(c *Config) { c.VRRP[0].Router.Source = ip("192.0.2.2") }},
		{`peers = ["192.0.2.1"]`, func(c *Config) { c.VRRP[0].Router.Peers, c.VRRP[0].Router.MinTTL = ips("192.0.2.1"), 255 }},
		{
			`peers = ["192.0.2.1"]` + "\n" + `min_ttl = 254` + "\n" + `check_source = false`,
			func(c *Config) {
				c.VRRP[0].Router.Peers, c.VRRP[0].Router.MinTTL, c.VRRP[0].Router.AnySource = ips("192.0.2.1"), 254, true
			},
		},
		{
			`peers = ["192.0.2.1", "192.0.2.2"]` + "\n" + `source = "192.0.2.2"`,
			func(c *Config) {
				c.VRRP[0].Router.Peers, c.VRRP[0].Router.Source, c.VRRP[0].Router.MinTTL = ips("192.0.2.1"), ip("192.0.2.2"), 255
			},
		},
		{`vips = ["192.0.2.81"]`, func(c *Config) {
			c.VRRP[0].VIPs, c.VRRP[0].Router.VIPs = []VIP{{VIP: netif.HostVIP("eth0", ip("192.0.2.81"))}}, ips("192.0.2.81")
		}},
		{`auth.password = "other"`, func(c *Config) { c.VRRP[0].Router.Password = "other" }},
		{`excluded_vips = ["2001:db8::80"]`, func(c *Config) {
			c.VRRP[0].VIPs = append(c.VRRP[0].VIPs, VIP{VIP: netif.HostVIP("eth0", ip("2001:db8::80")), Excluded: true})
		}},
		{`multicast_group = "224.0.0.19"`, func(c *Config) { c.VRRP[0].Router.Group = ip("224.0.0.19") }},
		{`settle = "0s"`, func(c *Config) { c.VRRP[0].Router.Settle = 0 }},
		{`link_down_delay = "1s"`, func(c *Config) { c.VRRP[0].Router.LinkDownDelay = time.Second }},
		{`track = ["drain"]`, func(c *Config) { c.VRRP[0].Track = []Tracked{{Tracker: "drain", Weight: 1}} }},
		{`track = [{ tracker = "drain", weight = -2, reverse = true }]`, func(c *Config) {
			c.VRRP[0].Track = []Tracked{{Tracker: "drain", Weight: -2, Reverse: true}}
		}},
		{`route = []`, func(c *Config) { c.VRRP[0].Routes = nil }},
		{`route = [{ destination = "192.0.2.0/24", type = "blackhole" }]`, func(c *Config) {
			c.VRRP[0].Routes = []netif.Route{{Destination: netip.MustParsePrefix("192.0.2.0/24"), Type: netif.Blackhole, Table: 254}}
		}},
		{`rule = []`, func(c *Config) { c.VRRP[0].Rules = nil }},
		{`sync_group.node.relay2.notify.stop = ["/bin/true"]`, func(c *Config) { c.Groups[0].Hooks.Stop = []string{"/bin/true"} }},
		{`sync_group.node.relay2.instances = ["other", "web"]`, func(c *Config) { c.Groups[0].Instances = []string{"other", "web"} }},
		{`tracker.node.relay2.file = "/tmp/drain"`, func(c *Config) { c.Trackers[0].Spec.File.Path = "/tmp/drain" }},
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
			doc := strings.Replace(main, "#override", "[vrrp.node.relay2]\n"+tt.override, 1)
			if table, override, elsewhere := strings.Cut(tt.override, ".node.relay2."); elsewhere {
				override = "\nnode.relay2." + override + "\n"
				doc = strings.NewReplacer("["+table+"]\n", "["+table+"]"+override, "[["+table+"]]\n", "[["+table+"]]"+override).Replace(main)
			}
			want := parse(t, main, "relay2")
			tt.change(want)
			got := parse(t, doc, "relay2")
			want.Hash = got.Hash
			if diff := cmp.Diff(want, got, cmp.Comparer(sameAddr), cmp.Comparer(samePrefix), cmpopts.EquateComparable(netip.AddrPort{})); diff != "" {
				t.Errorf("relay2 -want +got:\n%s", diff)
			}
			if other := parse(t, doc, "relay3"); !other.Equal(parse(t, main, "relay3")) {
				t.Error("relay3 has the override too")
			}
		})
	}
}

func prefixes(text string) []netip.Prefix { return []netip.Prefix{netip.MustParsePrefix(text)} }
