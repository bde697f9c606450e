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
	return healthcheck.Spec{
		Kind: healthcheck.TCP, Target: server.Address,
		Interval: time.Second, Timeout: time.Second, Rise: 1, Fall: 1,
	}
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

func TestPlan(t *testing.T) {
	second := netip.MustParseAddrPort("192.0.2.2:25")
	for _, test := range []struct {
		name   string
		role   vrrp.Role
		change func(*Facts)
	}{
		{"backup", vrrp.Backup, nil},
		{"master", vrrp.Master, nil},
		{"fault", vrrp.Fault, nil},
		{"before-election", vrrp.Initialize, nil},
		{"stopping-master", vrrp.Master, func(f *Facts) { f.Stopping = true }},
		{"stopping-without-rule", vrrp.Initialize, func(f *Facts) {
			f.Stopping = true
			f.Config.VRRP[0].KeepRedirectOnStop = false
		}},
		{"all-tcp", vrrp.Backup, func(f *Facts) { f.Config.VRRP[0].Redirect = config.RedirectAllTCP }},
		{"no-serve-on-backup", vrrp.Backup, func(f *Facts) { f.Config.VRRP[0].ServeOnBackup = false }},
		{"one-down-quiesced", vrrp.Master, func(f *Facts) {
			delete(f.Up, f.Config.Services[0].RealServers[1].Checks[0])
		}},
		{"one-down-removed", vrrp.Master, func(f *Facts) {
			f.Config.Services[0].OnFailure = config.Remove
			delete(f.Up, f.Config.Services[0].RealServers[1].Checks[0])
		}},
		{"all-down-sorry", vrrp.Master, func(f *Facts) {
			clear(f.Up)
			f.Config.Services[0].Sorry = &config.SorryServer{
				Address: netip.MustParseAddrPort("192.0.2.9:25"), Forwarding: ipvs.DirectRoute,
			}
		}},
		{"master-with-routes", vrrp.Master, func(f *Facts) { routed(f.Config) }},
		{"backup-with-routes", vrrp.Backup, func(f *Facts) { routed(f.Config) }},
		{"no-checks-is-up", vrrp.Master, func(f *Facts) {
			clear(f.Up)
			f.Config.Services[0].RealServers[0].Checks = nil
		}},
		{"draining", vrrp.Master, func(f *Facts) {
			service := &f.Config.Services[0]
			service.RealServers = service.RealServers[:1]
			f.Draining = map[ipvs.ServiceKey]map[netip.AddrPort]ipvs.Destination{
				service.IPVS.ServiceKey: {second: {Address: second, Forwarding: ipvs.DirectRoute, Weight: 1}},
			}
		}},
		{"nat-managed-sysctls", vrrp.Master, func(f *Facts) {
			f.Config.Sysctl.Manage = true
			f.Config.VRRP[0].ServeOnBackup = false
			forward(&f.Config.Services[0], ipvs.Masquerade)
			f.Config.Services[0].OnFailure = config.Remove
			f.Config.Services[0].IPVS.Flags = ipvs.Persistent
			f.Config.Services[0].IPVS.Timeout = 5 * time.Minute
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := relayConfig()
			facts := Facts{Config: c, Up: allUp(c), Roles: map[string]vrrp.Role{"relay": test.role}}
			if test.change != nil {
				test.change(&facts)
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
		c := relayConfig()
		facts := Facts{
			Config:   c,
			Up:       map[healthcheck.Spec]bool{},
			Roles:    map[string]vrrp.Role{"relay": vrrp.Role(rapid.IntRange(0, 3).Draw(t, "role"))},
			Stopping: rapid.Bool().Draw(t, "stopping"),
		}
		for check := range allUp(c) {
			facts.Up[check] = rapid.Bool().Draw(t, "up")
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
