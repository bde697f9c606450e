package director

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/director/ipvs"
	"github.com/lvsd/lvsd/director/netif"
	"github.com/lvsd/lvsd/healthcheck"
	"github.com/lvsd/lvsd/vrrp"
	"github.com/lvsd/lvsd/vrrp/vrrptest"
)

// starting is a Start from the node's files and kernel.
func (n *node) starting() *Start {
	return &Start{Config: n.config, Kernel: n.kernel, Memory: n.memory, Holds: n.holds, OverrideFile: n.overrides}
}

// wantPreview checks that what was foreseen is what was done since.
func (n *node) wantPreview(p Preview) {
	n.t.Helper()
	if diff := cmp.Diff(commandsOf(p.Changes), n.kernel.takeDone()); diff != "" {
		n.t.Errorf("foreseen and done (-foreseen +done):\n%s\n%s", diff, n.log)
	}
}

// previewed makes a preview and checks that it changes nothing.
func (n *node) previewed(preview func(context.Context) (Preview, error)) Preview {
	n.t.Helper()
	files := contents(n.t, filepath.Dir(n.memory.Path))
	before := n.kernel.now()
	n.kernel.takeDone()
	p, err := preview(n.t.Context())
	if err != nil {
		n.t.Fatal(err)
	}
	if done := n.kernel.takeDone(); len(done) > 0 {
		n.t.Errorf("a preview did %q", done)
	}
	if diff := cmp.Diff(before, n.kernel.now(), compareStates); diff != "" {
		n.t.Errorf("a preview changed the kernel (-before +after):\n%s", diff)
	}
	if diff := cmp.Diff(files, contents(n.t, filepath.Dir(n.memory.Path))); diff != "" {
		n.t.Errorf("a preview changed files (-before +after):\n%s", diff)
	}
	return p
}

// contents are the files below a directory.
func contents(t *testing.T, directory string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(directory, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		files[path] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func commandsOf(changes []Change) []string {
	var all []string
	for _, change := range changes {
		all = append(all, change.Command)
	}
	return all
}

// variants are configurations and what stands in the kernel before.
var variants = []struct {
	name   string
	config func(*config.Config)
	kernel func(State)
}{
	{"an empty kernel", func(*config.Config) {}, func(State) {}},
	{"kernel parameters", func(c *config.Config) { c.Sysctl.Manage = true }, func(s State) {
		for _, r := range Requirements(relayConfig()) {
			s.Sysctls[r.Name] = "7"
		}
	}},
	{"checks, and weights of a predecessor", func(c *config.Config) {
		for i := range c.Services[0].RealServers {
			server := &c.Services[0].RealServers[i]
			server.Checks = append(server.Checks, checkOf(*server))
		}
	}, func(s State) {
		c := relayConfig()
		want := Plan(Facts{Config: c, Up: upOf(allUp(c))})
		for key, service := range want.Services {
			s.Services[key] = service
		}
	}},
	{"a VIP and a stray rule that nobody wants", func(*config.Config) {}, func(s State) {
		s.VIPs.Add(relayVIP)
		s.Redirects.Add(relayRule)
	}},
	{"quorum and slow start", func(c *config.Config) {
		c.Services[0].Quorum = config.Quorum{Weight: 2, Hysteresis: 1}
		c.Services[0].SlowStart = time.Minute
		c.Services[0].Sorry = &config.SorryServer{
			Address: netip.MustParseAddrPort("192.0.2.9:25"), Forwarding: ipvs.DirectRoute, Weight: 1,
		}
	}, func(State) {}},
}

// TestPreviewOfAStartIsTheFirstStep: what a Start foresees is what a daemon that
// then starts on the same kernel does before any check has answered.
func TestPreviewOfAStartIsTheFirstStep(t *testing.T) {
	for _, variant := range variants {
		t.Run(variant.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNode(t, vrrptest.New(), 1)
				variant.config(n.config)
				n.kernel.change(variant.kernel)
				p := n.previewed(n.starting().Preview)
				if p.Of != PreviewStart || p.Health != HealthKernel || p.Roles["relay"] != "backup" {
					t.Errorf("preview of %q from %q with roles %v", p.Of, p.Health, p.Roles)
				}
				n.start()
				n.wantPreview(p)
				n.stop(context.Canceled)
			})
		})
	}
}

// TestPreviewKnowsWhatWasOrdered: at a start from the file, also from a damaged one,
// and at a reload.
func TestPreviewKnowsWhatWasOrdered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, vrrptest.New(), 1)
		ordered := orders{Overrides: []Override{{Target: relay1, State: Drain, Node: "node1", At: time.Now().UTC()}}}
		if err := overrideFile(n.overrides).save(ordered); err != nil {
			t.Fatal(err)
		}
		for _, damage := range []string{"", "{"} {
			if damage != "" {
				if err := os.WriteFile(n.overrides, []byte(damage), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			p := n.previewed(n.starting().Preview)
			n.start()
			n.wantPreview(p)
			n.wantWeights(0, 1)
			n.stop(ErrHandOver)
		}
		n.start()
		n.order(Order{Target: relay2, State: Disabled})
		heavier := *n.config
		heavier.Services = slices.Clone(heavier.Services)
		heavier.Services[0].RealServers = slices.Clone(heavier.Services[0].RealServers)
		for i := range heavier.Services[0].RealServers {
			heavier.Services[0].RealServers[i].Weight = 7
		}
		p := n.previewed(func(ctx context.Context) (Preview, error) { return n.director.Preview(ctx, n.kernel, &heavier) })
		if !p.Empty() {
			t.Errorf("foreseen: %q", commandsOf(p.Changes))
		}
		n.stop(context.Canceled)
	})
}

// TestPreviewOfAResumption: where a daemon would go on as MASTER, that is
// foreseen, and only there.
func TestPreviewOfAResumption(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, vrrptest.New(), 1)
		n.start()
		advance(4 * time.Second)
		n.stop(ErrHandOver)
		if p := n.previewed(n.starting().Preview); p.Roles["relay"] != "master" || !p.Empty() {
			t.Errorf("after a hand-over: roles %v, changes %q", p.Roles, commandsOf(p.Changes))
		}
		held := n.starting()
		held.Holds = HoldFile{filepath.Join(t.TempDir(), "holds.json")}
		if err := held.Holds.Save([]string{"relay"}); err != nil {
			t.Fatal(err)
		}
		p := n.previewed(held.Preview)
		if p.Roles["relay"] != "backup" {
			t.Errorf("a held instance would be %s", p.Roles["relay"])
		}
		want := []string{
			"iptables -t nat -I PREROUTING -d 192.0.2.100/32 -p tcp --dport 25 --syn -j REDIRECT",
			"ip address del 192.0.2.100/32 dev eth0",
		}
		if diff := cmp.Diff(want, commandsOf(p.Changes)); diff != "" {
			t.Errorf("a held instance (-want +got):\n%s", diff)
		}
		assumed := n.starting()
		assumed.Roles = map[string]vrrp.Role{"relay": vrrp.Backup}
		if again := n.previewed(assumed.Preview); !slices.Equal(commandsOf(again.Changes), want) {
			t.Errorf("with the role given: %q", commandsOf(again.Changes))
		}
	})
}

// TestPreviewOfAReloadIsTheReload: what a running director foresees of another
// configuration is what it then does, in either role.
func TestPreviewOfAReloadIsTheReload(t *testing.T) {
	other := netip.MustParseAddr("192.0.2.101")
	for _, edit := range []struct {
		name   string
		change func(*config.Config)
		// backup and master tell whether there is something to do in that role.
		backup, master bool
	}{
		{"nothing", func(*config.Config) {}, false, false},
		{"only the name of the node", func(c *config.Config) { c.Global.RouterID = "other" }, false, false},
		{"another weight", func(c *config.Config) { c.Services[0].RealServers[0].Weight = 7 }, true, true},
		{"a real server less", func(c *config.Config) {
			c.Services[0].RealServers = c.Services[0].RealServers[:1]
		}, true, true},
		{"no service", func(c *config.Config) { c.Services = nil }, true, true},
		{"one VIP more", func(c *config.Config) {
			c.VRRP[0].VIPs = append(slices.Clone(c.VRRP[0].VIPs), config.VIP{VIP: netif.HostVIP("eth0", other)})
			c.VRRP[0].Router.VIPs = append(slices.Clone(c.VRRP[0].Router.VIPs), other)
		}, false, true},
		{"no rule", func(c *config.Config) { c.VRRP[0].ServeOnBackup = false }, true, true},
		{"another check", func(c *config.Config) {
			server := &c.Services[0].RealServers[0]
			server.Checks = append(server.Checks, checkOf(*server))
		}, false, false},
	} {
		for _, role := range []vrrp.Role{vrrp.Backup, vrrp.Master} {
			t.Run(fmt.Sprintf("%s as %s", edit.name, role), func(t *testing.T) {
				expected := role == vrrp.Backup && edit.backup || role == vrrp.Master && edit.master
				synctest.Test(t, func(t *testing.T) { previewAndReload(t, edit.change, role, expected) })
			})
		}
	}
}

func previewAndReload(t *testing.T, change func(*config.Config), role vrrp.Role, expected bool) {
	n := newNode(t, vrrptest.New(), 1)
	n.start()
	if role == vrrp.Master {
		advance(4 * time.Second)
	}
	c := *n.config
	c.VRRP, c.Services = slices.Clone(c.VRRP), slices.Clone(c.Services)
	for i := range c.Services {
		c.Services[i].RealServers = slices.Clone(c.Services[i].RealServers)
	}
	change(&c)
	p := n.previewed(func(ctx context.Context) (Preview, error) { return n.director.Preview(ctx, n.kernel, &c) })
	want := strings.ToLower(role.String())
	if p.Of != PreviewReload || p.Health != HealthDaemon || p.Roles["relay"] != want {
		t.Errorf("preview of %q from %q with roles %v, want %s", p.Of, p.Health, p.Roles, want)
	}
	if p.Empty() == expected {
		t.Errorf("foreseen: %q", commandsOf(p.Changes))
	}
	if err := n.director.Reload(t.Context(), &c); err != nil {
		t.Fatal(err)
	}
	synctest.Wait()
	n.wantPreview(p)
	n.stop(context.Canceled)
}

// TestPreviewSeesWhatSomebodyElseChanged: exactly that is foreseen; where it is
// to be reported only, it is told as drift.
func TestPreviewSeesWhatSomebodyElseChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, vrrptest.New(), 1)
		n.config.Global.Resync = time.Hour
		n.start()
		key := n.config.Services[0].IPVS.ServiceKey
		gone := n.config.Services[0].RealServers[0].Address
		n.kernel.change(func(s State) { DeleteRealServer{key, gone}.applyTo(s) })

		want := []string{"ipvsadm -a -t 192.0.2.100:25 -r 192.0.2.1:25 -g -w 1"}
		foresee := func(c *config.Config) Preview {
			return n.previewed(func(ctx context.Context) (Preview, error) { return n.director.Preview(ctx, n.kernel, c) })
		}
		if p := foresee(n.config); !slices.Equal(commandsOf(p.Changes), want) || p.Summary != (Summary{Add: 1}) {
			t.Errorf("foreseen: %q, %+v", commandsOf(p.Changes), p.Summary)
		}
		report := *n.config
		report.Global.OnDrift = config.Report
		if p := foresee(&report); !p.Empty() || !slices.Equal(commandsOf(p.Drift), want) {
			t.Errorf("with on_drift = report: changes %q, drift %q", commandsOf(p.Changes), commandsOf(p.Drift))
		}
		n.stop(context.Canceled)
	})
}

// TestPreviewKnowsWhatTheDirectorKnows: the verdicts of checks count, not the
// weights that somebody else gave; a weight that rises is where it is; and within
// the hysteresis a quorum is what it was.
func TestPreviewKnowsWhatTheDirectorKnows(t *testing.T) {
	c := relayConfig()
	service := &c.Services[0]
	service.SlowStart = time.Hour
	service.Quorum = config.Quorum{Weight: 190, Hysteresis: 20}
	service.Sorry = &config.SorryServer{
		Address: netip.MustParseAddrPort("192.0.2.9:25"), Forwarding: ipvs.DirectRoute, Weight: 1,
	}
	down := config.RealServer{Address: netip.MustParseAddrPort("192.0.2.3:25"), Forwarding: ipvs.DirectRoute}
	down.Checks = []healthcheck.Spec{checkOf(down)}
	service.RealServers = append(service.RealServers, down)
	for i := range service.RealServers {
		service.RealServers[i].Weight = 100
	}
	kernel := newModel()
	want := Plan(Facts{Config: c, Roles: map[string]vrrp.Role{}})
	kernel.state = want
	d := New(Options{
		Config: c, Kernel: kernel, Network: kernel, Log: slog.New(slog.DiscardHandler),
	})
	if err := d.pool.Update(specs(c)); err != nil {
		t.Fatal(err)
	}
	for _, spec := range specs(c)[:2] {
		if err := d.pool.Seed(spec, true); err != nil {
			t.Fatal(err)
		}
	}
	d.recovered[ServerKey{Service: service.IPVS.ServiceKey, Address: service.RealServers[0].Address}] = time.Now()
	d.recallQuorums(map[string]bool{service.Name: true})
	ctx, cancel := context.WithCancel(t.Context())
	defer begin(ctx, func(context.Context) { (<-d.questions)() })()
	defer cancel()
	p, err := d.Preview(ctx, kernel, c)
	if err != nil {
		t.Fatal(err)
	}
	edits := []string{
		"ipvsadm -e -t 192.0.2.100:25 -r 192.0.2.1:25 -g -w 1",
		"ipvsadm -e -t 192.0.2.100:25 -r 192.0.2.2:25 -g -w 100",
		"ipvsadm -d -t 192.0.2.100:25 -r 192.0.2.9:25",
	}
	if diff := cmp.Diff(edits, commandsOf(p.Changes)); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
}

// TestPreviewKnowsHostNames: what a predecessor found stands while the name
// server is away.
func TestPreviewKnowsHostNames(t *testing.T) {
	n := newNode(t, vrrptest.New(), 1)
	server := &n.config.Services[0].RealServers[0]
	server.Host, server.Address = "mx.example", netip.AddrPortFrom(netip.Addr{}, 25)
	hosts := map[string][]netip.Addr{"mx.example": {netip.MustParseAddr("192.0.2.77")}}
	if err := n.memory.Save(Memory{Hosts: hosts}); err != nil {
		t.Fatal(err)
	}
	start := n.starting()
	start.Lookup = func(context.Context, string) ([]netip.Addr, error) { return nil, errInjected }
	p := n.previewed(start.Preview)
	if want := "ipvsadm -a -t 192.0.2.100:25 -r 192.0.2.77:25 -g -w 1"; !slices.Contains(commandsOf(p.Changes), want) {
		t.Errorf("no %q in %q", want, commandsOf(p.Changes))
	}
}

// TestPreviewLeavesOthersAlone: what is not lvsd's is told and not touched, and a
// parameter that nobody manages is told too.
func TestPreviewLeavesOthersAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, vrrptest.New(), 1)
		foreign := ipvs.Service{ServiceKey: ipvs.ServiceKey{Family: ipvs.IPv4, Mark: 9}, Scheduler: "rr", Granularity: 32}
		n.kernel.foreign = []ipvs.ServiceEntry{{Service: foreign}}
		n.kernel.state.Sysctls["net.ipv4.vs.expire_nodest_conn"] = "0"
		p := n.previewed(n.starting().Preview)
		if !slices.Equal(p.Foreign, []string{"virtual service " + foreign.ServiceKey.String()}) {
			t.Errorf("foreign %q", p.Foreign)
		}
		wrong := func(p Preview) bool {
			return slices.ContainsFunc(p.Sysctls, func(s SysctlStatus) bool {
				return s.Name == "net.ipv4.vs.expire_nodest_conn" && s.Have == "0" && s.Want == "1"
			})
		}
		if !wrong(p) {
			t.Errorf("parameters %+v", p.Sysctls)
		}
		n.config.Sysctl.Manage = true
		if p := n.previewed(n.starting().Preview); wrong(p) || p.Summary.Change != 1 {
			t.Errorf("managed: parameters %+v, summary %+v", p.Sysctls, p.Summary)
		}
	})
}

// TestApplyOnce: what was foreseen is done, nothing is left, and a daemon that
// starts later owns what was made and restores what was replaced.
func TestApplyOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const parameter = "net.ipv4.vs.expire_nodest_conn"
		n := newNode(t, vrrptest.New(), 1)
		n.config.Sysctl.Manage = true
		n.kernel.state.Sysctls[parameter] = "0"
		start := n.starting()
		p := n.previewed(start.Preview)
		left, err := start.Apply(t.Context(), p)
		if err != nil || !left.Empty() || left.Summary != (Summary{}) {
			t.Fatalf("left %q, %v", commandsOf(left.Changes), err)
		}
		n.wantPreview(p)
		if again := n.previewed(n.starting().Preview); !again.Empty() {
			t.Errorf("a second plan: %q", commandsOf(again.Changes))
		}

		// The service is not in the file any more: a later plan knows that it is
		// lvsd's.
		n.config.Services = nil
		want := []string{
			"ipvsadm -D -t 192.0.2.100:25",
		}
		p = n.previewed(n.starting().Preview)
		if got := commandsOf(p.Changes); !slices.Contains(got, want[0]) {
			t.Errorf("without the service: %q", got)
		}
		if len(p.Foreign) > 0 {
			t.Errorf("foreign: %q", p.Foreign)
		}
		start = n.starting()
		if p, err = start.Preview(t.Context()); err != nil {
			t.Fatal(err)
		}
		if left, err := start.Apply(t.Context(), p); err != nil || !left.Empty() {
			t.Fatalf("left %q, %v", commandsOf(left.Changes), err)
		}
		// Whoever makes such a service now, it is not lvsd's any more.
		service := relayConfig().Services[0].IPVS
		n.kernel.change(func(s State) { AddService{service}.applyTo(s) })
		if p := n.previewed(n.starting().Preview); !p.Empty() || len(p.Foreign) != 1 {
			t.Errorf("somebody else's service: changes %q, foreign %q", commandsOf(p.Changes), p.Foreign)
		}

		n.start()
		n.stop(context.Canceled)
		if now := n.kernel.now().Sysctls[parameter]; now != "0" {
			t.Errorf("after a clean stop %s is %s", parameter, now)
		}
	})
}

// TestApplyOnceTellsWhatFailed: what succeeded is done, the rest is left.
func TestApplyOnceTellsWhatFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, vrrptest.New(), 1)
		n.kernel.fail = func(op Op) error {
			if _, ok := op.(AddRedirect); ok {
				return errInjected
			}
			return nil
		}
		start := n.starting()
		p := n.previewed(start.Preview)
		left, err := start.Apply(t.Context(), p)
		if err == nil || !strings.Contains(err.Error(), errInjected.Error()) {
			t.Errorf("error %v", err)
		}
		want := []string{"iptables -t nat -I PREROUTING -d 192.0.2.100/32 -p tcp --dport 25 --syn -j REDIRECT"}
		if diff := cmp.Diff(want, commandsOf(left.Changes)); diff != "" {
			t.Errorf("left (-want +got):\n%s", diff)
		}
		if _, err := n.starting().Apply(t.Context(), p); err == nil {
			t.Error("what another planned was applied")
		}
	})
}

// TestPreviewByHealth carries checks out against real sockets: one server
// answers, the other refuses.
func TestPreviewByHealth(t *testing.T) {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	closed, err := net.Listen("tcp4", "127.0.0.2:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	c := relayConfig()
	for i, address := range []net.Addr{listener.Addr(), closed.Addr()} {
		server := &c.Services[0].RealServers[i]
		server.Address = netip.MustParseAddrPort(address.String())
		patient := checkOf(*server).Check()
		patient.Timeout = time.Minute
		server.Checks[0] = patient.Of(server.Address)
	}
	for _, test := range []struct {
		health     Health
		weights    [2]int
		unanswered int
	}{
		{HealthKernel, [2]int{0, 0}, 2},
		{HealthUp, [2]int{1, 1}, 0},
		{HealthProbe, [2]int{1, 0}, 0},
	} {
		directory := t.TempDir()
		start := Start{
			Config: c, Kernel: newModel(), Health: test.health,
			Memory: MemoryFile{filepath.Join(directory, "state.json")},
			Holds:  HoldFile{filepath.Join(directory, "holds.json")},
		}
		p, err := start.Preview(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if p.Health != test.health || p.Unanswered != test.unanswered {
			t.Errorf("%s: health %s, %d unanswered, want %d", test.health, p.Health, p.Unanswered, test.unanswered)
		}
		for i, weight := range test.weights {
			want := fmt.Sprintf("ipvsadm -a -t 192.0.2.100:25 -r %s -g -w %d", c.Services[0].RealServers[i].Address, weight)
			if !slices.Contains(commandsOf(p.Changes), want) {
				t.Errorf("%s: no %q in %q", test.health, want, commandsOf(p.Changes))
			}
		}
	}
}

// TestPreviewOfAnUnpreparedKernel: what would keep a daemon from starting is the
// error.
func TestPreviewOfAnUnpreparedKernel(t *testing.T) {
	n := newNode(t, vrrptest.New(), 1)
	n.kernel.unprepared = errInjected
	if _, err := n.starting().Preview(t.Context()); err == nil || !strings.Contains(err.Error(), errInjected.Error()) {
		t.Errorf("error %v", err)
	}
}
