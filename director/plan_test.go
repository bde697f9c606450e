package director

import (
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/director/ipvs"
	"github.com/lvsd/lvsd/director/netif"
	"github.com/lvsd/lvsd/healthcheck"
	"github.com/lvsd/lvsd/healthcheck/probe"
	"github.com/lvsd/lvsd/iptables"
	"github.com/lvsd/lvsd/vrrp"
)

var update = flag.Bool("update", false, "rewrite the golden files; commit them only if you understand every change")

// relayConfig is the mail relay with two nodes, each director and real server.
func relayConfig() *config.Config {
	vip := netip.MustParseAddr("192.0.2.100")
	service := config.VirtualService{
		Name: "smtp",
		IPVS: ipvs.Service{
			ServiceKey: ipvs.ServiceKey{
				Family: ipvs.IPv4, Protocol: ipvs.TCP, Address: netip.AddrPortFrom(vip, 25),
			},
			Scheduler:   "wlc",
			Granularity: 32,
		},
		Forwarding: ipvs.DirectRoute,
		OnFailure:  config.Quiesce,
	}
	for _, address := range []string{"192.0.2.1:25", "192.0.2.2:25"} {
		server := config.RealServer{Address: netip.MustParseAddrPort(address), Weight: 1, Forwarding: ipvs.DirectRoute}
		server.Checks = []healthcheck.Spec{checkOf(server)}
		service.RealServers = append(service.RealServers, server)
	}
	return &config.Config{
		Global: config.Global{RouterID: "node", Resync: time.Second, LockWait: time.Second},
		VRRP: []config.VRRP{{
			Router: vrrp.Config{
				Name: "relay", Version: 2, VRID: 11, Priority: 100, Interval: time.Second,
				Preempt: true, VIPs: []netip.Addr{vip},
			},
			Interface:          "eth0",
			VIPs:               []config.VIP{{VIP: netif.HostVIP("eth0", vip)}},
			ServeOnBackup:      true,
			Redirect:           config.RedirectServices,
			KeepRedirectOnStop: true,
			GARP:               config.GARP{Count: 5, Delay: 5 * time.Second, Refresh: time.Minute},
		}},
		Services: []config.VirtualService{service},
	}
}

func checkOf(server config.RealServer) healthcheck.Spec {
	return every(time.Second, server.Address)
}

// every is a check of the target at this interval.
func every(interval time.Duration, target netip.AddrPort) healthcheck.Spec {
	return healthcheck.Check{
		Kind: probe.TCP{}, Interval: interval, Timeout: time.Second, Rise: 1, Fall: 1,
	}.Of(target)
}

// allUp is the verdict up for every check of c.
func allUp(c *config.Config) map[healthcheck.Spec]bool {
	up := map[healthcheck.Spec]bool{}
	for _, service := range c.Services {
		for _, server := range service.RealServers {
			for _, check := range server.Checks {
				up[check] = true
			}
		}
	}
	return up
}

// planCase is a state of the relay from which a plan is made.
type planCase struct {
	*Facts
	// up are the verdicts.
	up map[healthcheck.Spec]bool
}

func (p planCase) service() *config.VirtualService { return &p.Config.Services[0] }

// down gives a real server the verdict down.
func (p planCase) down(server int) { delete(p.up, p.service().RealServers[server].Checks[0]) }

func (p planCase) sorry() *config.SorryServer {
	p.service().Sorry = &config.SorryServer{
		Address: netip.MustParseAddrPort("192.0.2.9:25"), Forwarding: ipvs.DirectRoute, Weight: 1,
	}
	return p.service().Sorry
}

// synced turns the synchronisation of connections on.
func (p planCase) synced(daemons config.SyncDaemons) {
	p.Config.Sync = &config.Sync{Instance: "relay", Daemons: daemons, Interface: "eth0", ID: 11}
}

// keeping has established connections survive a switch.
func (p planCase) keeping() {
	p.synced(config.SyncBoth)
	p.Config.VRRP[0].KeepConnections = true
}

// relinquished has the node cease to be MASTER so long ago.
func (p planCase) relinquished(ago time.Duration) {
	p.Relinquished = map[string]time.Time{"relay": p.Now.Add(-ago)}
}

// assumed has the node become MASTER so long ago.
func (p planCase) assumed(ago time.Duration) {
	p.Assumed = map[string]time.Time{"relay": p.Now.Add(-ago)}
}

func TestPlan(t *testing.T) {
	second := netip.MustParseAddrPort("192.0.2.2:25")
	for _, test := range []struct {
		name   string
		role   vrrp.Role
		change func(planCase)
	}{
		{"backup", vrrp.Backup, nil},
		{"master", vrrp.Master, nil},
		{"fault", vrrp.Fault, nil},
		{"before-election", vrrp.Initialize, nil},
		{"stopping-master", vrrp.Master, func(p planCase) { p.Stopping = true }},
		{"stopping-without-rule", vrrp.Initialize, func(p planCase) {
			p.Stopping = true
			p.Config.VRRP[0].KeepRedirectOnStop = false
		}},
		{"all-tcp", vrrp.Backup, func(p planCase) { p.Config.VRRP[0].Redirect = config.RedirectAllTCP }},
		{"no-serve-on-backup", vrrp.Backup, func(p planCase) { p.Config.VRRP[0].ServeOnBackup = false }},
		{"one-down-quiesced", vrrp.Master, func(p planCase) { p.down(1) }},
		{"one-down-removed", vrrp.Master, func(p planCase) {
			p.service().OnFailure = config.Remove
			p.down(1)
		}},
		{"all-down-sorry", vrrp.Master, func(p planCase) {
			clear(p.up)
			p.sorry()
		}},
		{"below-quorum-sorry-replaces", vrrp.Master, func(p planCase) {
			p.down(1)
			p.service().Quorum.Weight = 2
			p.sorry().Weight = 7
		}},
		{"below-quorum-sorry-replaces-removed", vrrp.Master, func(p planCase) {
			p.down(1)
			p.service().OnFailure, p.service().Quorum.Weight = config.Remove, 2
			p.sorry()
		}},
		{"below-quorum-sorry-beside", vrrp.Master, func(p planCase) {
			p.down(1)
			p.service().Quorum.Weight = 2
			p.sorry().Mode = config.SorryBeside
		}},
		{"below-quorum-no-sorry", vrrp.Master, func(p planCase) {
			p.down(1)
			p.service().Quorum.Weight = 2
		}},
		{"sorry-inhibited", vrrp.Master, func(p planCase) { p.sorry().Inhibit = true }},
		{"weight-checks", vrrp.Master, func(p planCase) {
			servers := p.service().RealServers
			passing, failing := servers[0].Checks[0], healthcheck.Check{Kind: probe.HTTP{}}.Of(netip.AddrPort{})
			servers[0].WeightChecks = []config.WeightCheck{{Check: passing, Weight: 5}, {Check: failing, Weight: -2}}
			servers[1].WeightChecks = []config.WeightCheck{{Check: passing, Weight: -7}, {Check: failing, Weight: -7}}
		}},
		{"slow-start", vrrp.Master, func(p planCase) {
			servers := p.service().RealServers
			servers[1].Weight = 101
			p.service().SlowStart = time.Minute
			p.Recovered = map[ServerKey]time.Time{
				{p.service().IPVS.ServiceKey, second}: p.Now.Add(-30 * time.Second),
			}
		}},
		{"tunnels", vrrp.Master, func(p planCase) {
			forward(p.service(), ipvs.Tunnel)
			servers := p.service().RealServers
			servers[0].Tunnel = ipvs.TunnelInfo{Type: ipvs.GUE, Port: 6080, Flags: ipvs.TunnelRemoteChecksum}
			servers[1].Tunnel = ipvs.TunnelInfo{Type: ipvs.GRE, Flags: ipvs.TunnelChecksum}
		}},
		{"mixed-methods", vrrp.Master, func(p planCase) {
			servers := p.service().RealServers
			servers[0].Forwarding, servers[1].Forwarding = ipvs.Tunnel, ipvs.Masquerade
		}},
		{"mark-with-snat", vrrp.Master, func(p planCase) {
			p.Config.VRRP[0].ServeOnBackup = false
			vip := p.Config.VRRP[0].VIPs[0].Addr
			p.service().IPVS.ServiceKey = ipvs.ServiceKey{Family: ipvs.IPv4, Mark: 7}
			p.service().Marks = []iptables.Mark{
				{VIP: vip, Protocol: "tcp", First: 80, Last: 80, Mark: 7},
				{VIP: vip, Protocol: "tcp", First: 8000, Last: 8080, Mark: 7},
			}
			forward(p.service(), ipvs.Masquerade)
			p.service().SNAT = &config.SNAT{}
		}},
		{"snat", vrrp.Backup, func(p planCase) {
			forward(p.service(), ipvs.Masquerade)
			p.service().SNAT = &config.SNAT{Source: netip.MustParseAddr("192.0.2.50")}
		}},
		{"timeouts-and-sysctls", vrrp.Backup, func(p planCase) {
			p.Config.IPVS.Timeouts = ipvs.Timeouts{TCP: 2 * time.Hour, UDP: time.Minute}
			p.Config.IPVS.Sysctls = map[string]string{
				"net.ipv4.vs.conn_reuse_mode": "1", "net.ipv4.vs.sloppy_tcp": "1",
			}
			p.Config.Sysctl.Manage = true
		}},
		{"sync-both-backup", vrrp.Backup, func(p planCase) { p.synced(config.SyncBoth) }},
		{"sync-follow-master", vrrp.Master, func(p planCase) { p.synced(config.SyncFollow) }},
		{"sync-follow-backup", vrrp.Backup, func(p planCase) { p.synced(config.SyncFollow) }},
		{"sync-follow-settling", vrrp.Master, func(p planCase) {
			p.synced(config.SyncFollow)
			p.assumed(4 * time.Second)
		}},
		{"sync-follow-lingering", vrrp.Backup, func(p planCase) {
			p.synced(config.SyncFollow)
			p.relinquished(3 * time.Second)
		}},
		{"sync-stopping-lingering", vrrp.Initialize, func(p planCase) {
			p.synced(config.SyncBoth)
			p.Stopping = true
			p.relinquished(3 * time.Second)
		}},
		{"sync-stopping-after-linger", vrrp.Initialize, func(p planCase) {
			p.synced(config.SyncBoth)
			p.Stopping = true
			p.relinquished(4 * time.Second)
		}},
		{"keep-connections-master", vrrp.Master, planCase.keeping},
		{"keep-connections-backup", vrrp.Backup, planCase.keeping},
		{"sync-settling", vrrp.Master, func(p planCase) {
			p.synced(config.SyncBoth)
			p.assumed(4 * time.Second)
		}},
		{"sync-settled", vrrp.Master, func(p planCase) {
			p.synced(config.SyncBoth)
			p.assumed(5 * time.Second)
		}},
		{"sync-settling-backup", vrrp.Backup, func(p planCase) {
			p.synced(config.SyncBoth)
			p.assumed(time.Second)
		}},
		{"sync-settling-stopping", vrrp.Master, func(p planCase) {
			p.synced(config.SyncBoth)
			p.Stopping = true
			p.assumed(time.Second)
		}},
		{"master-without-sync", vrrp.Master, func(p planCase) { p.assumed(time.Second) }},
		{"keep-connections-lingering", vrrp.Backup, func(p planCase) {
			p.keeping()
			p.relinquished(time.Second)
		}},
		{"keep-connections-relaying", vrrp.Backup, func(p planCase) {
			p.keeping()
			p.relinquished(29 * time.Second)
		}},
		{"keep-connections-relayed", vrrp.Backup, func(p planCase) {
			p.keeping()
			p.relinquished(30 * time.Second)
		}},
		{"keep-connections-stopping-lingering", vrrp.Initialize, func(p planCase) {
			p.keeping()
			p.Stopping = true
			p.Sysctls = map[string]string{backupOnly: "0", "net.ipv4.conf.all.arp_ignore": "0"}
			p.relinquished(time.Second)
		}},
		{"keep-connections-stopped", vrrp.Initialize, func(p planCase) {
			p.keeping()
			p.Stopping = true
			p.Sysctls = map[string]string{backupOnly: "0", "net.ipv4.conf.all.arp_ignore": "0"}
		}},
		{"accept-dr", vrrp.Backup, func(p planCase) {
			p.Config.Services, p.Config.VRRP = nil, nil
			p.Config.Accept = []config.Accept{{
				VIPs:       []netip.Addr{netip.MustParseAddr("192.0.2.100"), netip.MustParseAddr("2001:db8::100")},
				Forwarding: ipvs.DirectRoute,
			}}
		}},
		{"accept-tun-stopping", vrrp.Backup, func(p planCase) {
			p.Config.Services, p.Config.VRRP, p.Stopping = nil, nil, true
			p.Config.Accept = []config.Accept{{
				VIPs: []netip.Addr{netip.MustParseAddr("192.0.2.100")}, Forwarding: ipvs.Tunnel,
				Decapsulations: []netif.Decapsulation{
					{Encapsulation: netif.IPIP}, {Encapsulation: netif.GUE, Port: 6080},
				},
			}}
		}},
		{"master-with-routes", vrrp.Master, func(p planCase) { routed(p.Config) }},
		{"backup-with-routes", vrrp.Backup, func(p planCase) { routed(p.Config) }},
		{"backup-ipv6", vrrp.Backup, func(p planCase) {
			vip := netip.MustParseAddr("2001:db8::100")
			p.Config.VRRP[0].VIPs = []config.VIP{{VIP: netif.HostVIP("eth0", vip)}}
			p.service().IPVS.Address = netip.AddrPortFrom(vip, 25)
		}},
		{"no-checks-is-up", vrrp.Master, func(p planCase) {
			clear(p.up)
			p.service().RealServers[0].Checks = nil
		}},
		{"draining", vrrp.Master, func(p planCase) {
			service := p.service()
			service.RealServers = service.RealServers[:1]
			p.Draining = map[ipvs.ServiceKey]map[netip.AddrPort]ipvs.Destination{
				service.IPVS.ServiceKey: {second: {Address: second, Forwarding: ipvs.DirectRoute, Weight: 1}},
			}
		}},
		{"nat-managed-sysctls", vrrp.Master, func(p planCase) {
			p.Config.Sysctl.Manage = true
			p.Config.VRRP[0].ServeOnBackup = false
			forward(p.service(), ipvs.Masquerade)
			p.service().OnFailure = config.Remove
			p.service().IPVS.Flags = ipvs.Persistent
			p.service().IPVS.Timeout = 5 * time.Minute
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := relayConfig()
			up := allUp(c)
			facts := Facts{
				Config: c, Up: upOf(up), Roles: map[string]vrrp.Role{"relay": test.role},
				Now: time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC),
			}
			if test.change != nil {
				test.change(planCase{&facts, up})
			}
			golden(t, filepath.Join("testdata", "plan", test.name+".want"), Plan(facts).String())
		})
	}
}

func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

func TestPlanIsMasterOrRedirectedNeverBoth(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c, up := relayConfig(), map[healthcheck.Spec]bool{}
		facts := Facts{
			Config:   c,
			Up:       upOf(up),
			Roles:    map[string]vrrp.Role{"relay": vrrp.Role(rapid.IntRange(0, 3).Draw(t, "role"))},
			Stopping: rapid.Bool().Draw(t, "stopping"),
		}
		for check := range allUp(c) {
			up[check] = rapid.Bool().Draw(t, "up")
		}
		want := Plan(facts)
		vip := c.VRRP[0].VIPs[0].Addr
		if want.holds(vip) == (len(want.Redirects) > 0) {
			t.Fatalf("held %v and redirected %v", want.VIPs, want.Redirects)
		}
		if master := facts.Roles["relay"] == vrrp.Master && !facts.Stopping; want.holds(vip) != master {
			t.Fatalf("master %v, held %v", master, want.holds(vip))
		}
	})
}

// forward changes the forwarding method of the service and its real servers.
func forward(service *config.VirtualService, method ipvs.Forwarding) {
	service.Forwarding = method
	for i := range service.RealServers {
		service.RealServers[i].Forwarding = method
	}
}
