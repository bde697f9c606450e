package director

import (
	"fmt"
	"maps"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"pgregory.net/rapid"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/director/ipvs"
	"github.com/lvsd/lvsd/director/netif"
	"github.com/lvsd/lvsd/integration/lab"
	"github.com/lvsd/lvsd/iptables"
	"github.com/lvsd/lvsd/sysctl"
)

// TestAnyConfigurationOnAnyKernel plans and applies random configurations on
// real kernels in random states. Those are made by other programs, with the
// commands that the operations print as: so these are held to what they do, too.
func TestAnyConfigurationOnAnyKernel(t *testing.T) {
	lab.Require(t, lab.NeedNetns, lab.NeedIPVS)
	runtime.LockOSThread() // never unlocked: the thread ends with the test
	start, kernels := time.Now(), 0
	defer func() { t.Logf("%d kernels", kernels) }()
	rapid.Check(t, func(t *rapid.T) {
		// Each starts dozens of programs, which some machines do slowly.
		if kernels >= fewestKernels && time.Since(start) > enoughKernels {
			return
		}
		kernels++
		k := newTestKernel(t)
		defer k.remove()
		before, c, earlier := drawKernel(t, "kernel"), drawConfig(t), drawConfig(t)
		facts, owned := drawFacts(t, c), OwnedBy(c)
		if rapid.Bool().Draw(t, "a predecessor") {
			before = Plan(drawFacts(t, earlier))
			k.prepare(earlier)
			owned.Merge(OwnedBy(earlier))
		}
		// Deleting a rule sees to it in any case, which the model does not know.
		before.Conntrack.Add(Hold{})
		k.becomesForeign()
		foreign := k.foreign(k.becomes(before), owned)
		k.prepare(c)

		want := Plan(facts)
		ops := Diff(k.read().State(owned), want)
		if done, err := Apply(t.Context(), k.host, ops); err != nil || len(done) != len(ops) {
			t.Fatalf("%d of %d operations done: %v", len(done), len(ops), err)
		}
		forgetDevices(owned, want)
		have := k.read().State(owned)
		mustBe(t, have, want)
		if again := Diff(have, want); len(again) != 0 {
			t.Fatalf("an unchanged kernel needs %v", again)
		}
		if diff := cmp.Diff(foreign, k.foreign(k.everything(), owned), compareStates); diff != "" {
			t.Fatalf("what lvsd does not own (-before +after):\n%s\nafter %v", diff, ops)
		}
	})
}

const (
	// fewestKernels are tried however long that takes, and more until the time
	// is over, or rapid's number of checks is reached.
	fewestKernels = 10
	enoughKernels = 2 * time.Minute
)

// forgetDevices makes o forget what comes out of a device that stays for another
// tunnel, as a director does when all has been done.
func forgetDevices(o Owned, want State) {
	for tunnel := range o.Decapsulations {
		for wanted := range want.Decapsulations {
			if tunnel.Encapsulation != netif.GUE && !want.Decapsulations.Has(tunnel) && wanted.Device() == tunnel.Device() {
				delete(o.Decapsulations, tunnel)
			}
		}
	}
}

// testKernel is a network namespace of its own, which the test's thread is in.
type testKernel struct {
	*rapid.T
	// host is what is tested, all another one that looks at everything.
	host, all *Host
	ns, old   netns.NsHandle
}

func newTestKernel(t *rapid.T) *testKernel {
	k := &testKernel{T: t}
	var err error
	if k.old, err = netns.Get(); err == nil {
		k.ns, err = netns.New()
	}
	if err != nil {
		t.Fatal(err)
	}
	err = netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "eth0"}, PeerName: "eth1"})
	if err != nil {
		t.Fatal(err)
	}
	// With the last address of an interface go all routes over it. The devices
	// of tunnels come with the first one, and with them their parameters.
	k.run(`
for device in lo eth0 eth1; do ip link set $device up; done
ip address add 203.0.113.10/24 dev eth0
ip address add 203.0.114.10/24 dev eth1
modprobe -a ipip fou ip_gre sit`)
	if k.host, err = OpenHost(); err != nil {
		t.Fatal(err)
	}
	return k
}

// remove leaves the namespace, with which all that is in it goes.
func (k *testKernel) remove() {
	err := netns.Set(k.old)
	for _, ns := range []netns.NsHandle{k.ns, k.old} {
		_ = ns.Close()
	}
	for _, host := range []*Host{k.host, k.all} {
		if host != nil {
			_ = host.Close()
		}
	}
	if err != nil {
		k.Fatal(err)
	}
}

// run runs a script in the namespace.
func (k *testKernel) run(script string) string {
	k.Helper()
	out, err := exec.CommandContext(k.Context(), "sh", "-ec", script).CombinedOutput()
	if err != nil {
		k.Fatalf("%v: %s\n%s", err, out, script)
	}
	return string(out)
}

func (k *testKernel) prepare(c *config.Config) {
	k.Helper()
	if err := k.host.Prepare(c); err != nil {
		k.Fatal(err)
	}
}

func (k *testKernel) read() Snapshot {
	k.Helper()
	return k.readBy(k.host)
}

func (k *testKernel) readBy(host *Host) Snapshot {
	k.Helper()
	snapshot, err := host.Read(k.Context(), slices.Sorted(maps.Keys(sysctlValues)))
	if err != nil {
		k.Fatal(err)
	}
	return snapshot
}

// becomes adds a state to a kernel that has nothing of lvsd's, with the commands
// that its operations print as, which must do what they say. It returns what is
// there then.
func (k *testKernel) becomes(s State) Snapshot {
	k.Helper()
	have, want := NewState(), s.Clone()
	clear(want.Strays)
	var err error
	if have.Sysctls, err = (sysctl.Tree{}).GetAll(slices.Sorted(maps.Keys(want.Sysctls))); err != nil {
		k.Fatal(err)
	}
	var script strings.Builder
	for _, op := range Diff(have, want) {
		fmt.Fprintln(&script, shellCommand(op))
	}
	k.run(script.String())
	now := k.everything()
	mustBe(k.T, now.State(everythingIn(s)), want)
	if len(s.Strays) > 0 {
		k.run("iptables -t nat -A PREROUTING -s 198.51.100.2/32 -m comment --comment lvsd -j RETURN")
	}
	return now
}

// shellCommand is what the operation prints as, with the tag that this leaves out.
func shellCommand(op Op) string {
	switch op := op.(type) {
	case AddRedirect:
		return ruleCommand("-A", op.Rule)
	case DeleteRedirect:
		return ruleCommand("-D", op.Rule)
	case AddMark:
		return ruleCommand("-A", op.Rule)
	case DeleteMark:
		return ruleCommand("-D", op.Rule)
	case AddSNAT:
		return ruleCommand("-A", op.Rule)
	case DeleteSNAT:
		return ruleCommand("-D", op.Rule)
	case AddMute:
		return ruleCommand("-A", op.Rule)
	case DeleteMute:
		return ruleCommand("-D", op.Rule)
	case HoldConntrack:
		return holdCommand("-A")
	case ReleaseConntrack:
		return holdCommand("-D")
	}
	return op.String()
}

// holdCommand quotes the comment, with which the rule ends.
func holdCommand(action string) string {
	rule, comment, _ := strings.Cut(ruleCommand(action, iptables.Hold{}), "--comment ")
	return fmt.Sprintf("%s--comment '%s'", rule, comment)
}

func ruleCommand(action string, rule iptables.Rule) string {
	chain := rule.Chain()
	return fmt.Sprintf("iptables -t %s %s %s %s", chain.Table, action, chain.Name, rule)
}

// everything reads all that one can read.
func (k *testKernel) everything() Snapshot {
	k.Helper()
	if k.all == nil {
		k.openAll()
	}
	return k.readBy(k.all)
}

// openAll opens a Host for a configuration that has a bit of everything.
func (k *testKernel) openAll() {
	k.Helper()
	var err error
	if k.all, err = OpenHost(); err != nil {
		k.Fatal(err)
	}
	service := config.VirtualService{IPVS: ipvs.Service{ServiceKey: ipvs.ServiceKey{Family: ipvs.IPv4, Mark: 1}, Scheduler: "rr"}}
	service.Marks, service.SNAT = marksNumber(0), &config.SNAT{}
	err = k.all.Prepare(&config.Config{
		VRRP: []config.VRRP{{
			VIPs:          []config.VIP{{VIP: netif.HostVIP("eth0", vipNumber(0))}},
			ServeOnBackup: true, Routes: routesNumber(0), Rules: rulesFor(0),
		}},
		Services: []config.VirtualService{service},
		Sync:     &config.Sync{},
		IPVS:     config.IPVS{Timeouts: ipvs.Timeouts{TCP: 1}},
		Accept:   []config.Accept{{Decapsulations: tunnels}},
	})
	if err != nil {
		k.Fatal(err)
	}
}

// everythingIn owns all that is in a state.
func everythingIn(s State) Owned {
	o := Owned{
		Services: Set[ipvs.ServiceKey]{}, VIPs: Set[netif.Address]{}, Daemons: true,
		Timeouts: SetOf(TimeoutTCP, TimeoutTCPFin, TimeoutUDP), Decapsulations: maps.Clone(s.Decapsulations),
		Routes: slices.Collect(maps.Keys(s.Routes)), Rules: slices.Collect(maps.Keys(s.Rules)),
	}
	for key := range s.Services {
		o.Services.Add(key)
	}
	for vip := range s.VIPs {
		o.VIPs.Add(vip.Address)
	}
	return o
}

// becomesForeign adds what is surely nobody's but somebody else's.
func (k *testKernel) becomesForeign() {
	k.Helper()
	k.run(`
ip address add 192.0.2.7/32 dev eth0
ip route add 198.51.100.0/28 via 203.0.113.7 table 77
ip rule add pref 77 from 192.0.2.7 lookup 77
ipvsadm -A -t 192.0.2.7:25 -s rr
ipvsadm -a -t 192.0.2.7:25 -r 10.0.0.1 -g -w 3
iptables -t nat -A PREROUTING -d 192.0.2.100/32 -p tcp -m tcp --dport 26 -j REDIRECT
iptables -t mangle -A PREROUTING -d 192.0.2.100/32 -m comment --comment lvsd2 -j MARK --set-mark 9
iptables -t nat -A POSTROUTING -o eth1 -j MASQUERADE`)
}

// bystanders is what others have in the kernel.
type bystanders struct {
	State
	// Rest is what no State has: firewall rules, routes and routing rules.
	Rest string
}

// foreign is what the kernel, which was just read, has beside o. What comes out of a device or a port
// that o has a tunnel at is not: it comes and goes with them.
func (k *testKernel) foreign(snapshot Snapshot, o Owned) bystanders {
	k.Helper()
	foreign := foreignTo(snapshot.State(everythingOf(snapshot)), o)
	for tunnel := range foreign.Decapsulations {
		for own := range o.Decapsulations {
			if own.Device() == tunnel.Device() || own.Port == tunnel.Port && own.Port != 0 {
				delete(foreign.Decapsulations, tunnel)
			}
		}
	}
	maps.DeleteFunc(foreign.VIPs, func(v netif.VIP, _ struct{}) bool { return v.Addr.Is6() }) // the kernel's own
	return bystanders{foreign, k.run(`
ip route show table 77
ip rule show pref 77
for table in nat mangle filter; do iptables -t $table -S | grep -vE -e '--comment "?lvsd[ :]'; done`)}
}

// everythingOf owns all that was read.
func everythingOf(s Snapshot) Owned {
	o := everythingIn(NewState())
	for i := range s.Services {
		o.Services.Add(s.Services[i].ServiceKey)
	}
	for _, address := range s.Addresses {
		o.VIPs.Add(address.Address)
	}
	o.Decapsulations = SetOf(s.Decapsulations...)
	return o
}
