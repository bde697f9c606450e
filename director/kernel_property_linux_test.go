package director

import (
	"context"
	"fmt"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/director/ipvs"
	"github.com/lvsd/lvsd/director/netif"
	"github.com/lvsd/lvsd/integration/lab"
	"github.com/lvsd/lvsd/iptables"
)

// TestAnyConfigurationOnAnyKernel plans and applies random configurations on a
// real kernel in random states. The first of these are made by other programs,
// with the commands that the operations print as: so these are held to what they
// do, too.
func TestAnyConfigurationOnAnyKernel(t *testing.T) {
	lab.Require(t, lab.NeedNetns, lab.NeedIPVS)
	k := newTestKernel(t)
	start, draws := time.Now(), 0
	defer func() { t.Logf("%d states and configurations", draws) }()
	rapid.Check(t, func(t *rapid.T) {
		if draws >= fewestDraws && time.Since(start) > enoughDraws {
			return
		}
		draws++
		k.T = t
		before, c, earlier := drawKernel(t, "kernel"), drawConfig(t), drawConfig(t)
		facts, owned := drawFacts(t, c), OwnedBy(c)
		if rapid.Bool().Draw(t, "a predecessor") {
			before = Plan(drawFacts(t, earlier))
			k.prepare(earlier)
			owned.Merge(OwnedBy(earlier))
		}
		// Deleting a rule sees to it in any case, which the model does not know.
		before.Conntrack.Add(iptables.Hold{})
		foreign := k.foreign(k.becomes(before, draws <= drawsByCommand), owned)
		k.prepare(c)

		want := Plan(facts)
		k.made.Merge(everythingIn(want))
		ops := Diff(k.read(k.host).State(owned), want)
		k.apply(k.host, ops)
		forgetDevices(owned, want)
		have := k.read(k.host).State(owned)
		mustBe(t, have, want)
		if again := Diff(have, want); len(again) != 0 {
			t.Fatalf("an unchanged kernel needs %v", again)
		}
		if diff := cmp.Diff(foreign, k.foreign(k.read(k.all), owned), compareStates); diff != "" {
			t.Fatalf("what lvsd does not own (-before +after):\n%s\nafter %v", diff, ops)
		}
	})
}

const (
	// drawsByCommand are made by other programs, which takes longer.
	drawsByCommand = 3
	// fewestDraws are made however long that takes, and more until the time is
	// over, or rapid's number of checks is reached.
	fewestDraws = 6
	enoughDraws = 40 * time.Second
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
	// made is all that was there and lvsd's, in any draw.
	made Owned
}

func newTestKernel(t *testing.T) *testKernel {
	t.Helper()
	all := &config.Config{
		VRRP: []config.VRRP{{
			VIPs:          []config.VIP{{VIP: netif.HostVIP("eth0", vipNumber(0))}},
			ServeOnBackup: true, Routes: routesNumber(0), Rules: rulesFor(0),
		}},
		Services: []config.VirtualService{{
			IPVS:  ipvs.Service{ServiceKey: ipvs.ServiceKey{Family: ipvs.IPv4, Mark: 1}, Scheduler: "rr"},
			Marks: marksNumber(0), SNAT: &config.SNAT{},
		}},
		Sync:   &config.Sync{},
		IPVS:   config.IPVS{Timeouts: ipvs.Timeouts{TCP: 1}},
		Accept: []config.Accept{{Decapsulations: tunnels}},
	}
	k := &testKernel{all: hostFor(t, all)}
	host, err := OpenHost()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = host.Close() })
	k.host = host
	// The devices of tunnels come with the first one, and with them their
	// parameters. The rest is surely somebody else's.
	out, err := script(t.Context(), `
modprobe -a ipip fou ip_gre sit
ip address add 192.0.2.7/32 dev eth0
ip route add 198.51.100.0/28 via 203.0.113.7 table 77
ip rule add pref 77 from 192.0.2.7 lookup 77
ipvsadm -A -t 192.0.2.7:25 -s rr
ipvsadm -a -t 192.0.2.7:25 -r 10.0.0.1 -g -w 3
iptables -t nat -A PREROUTING -d 192.0.2.100/32 -p tcp -m tcp --dport 26 -j REDIRECT
iptables -t mangle -A PREROUTING -d 192.0.2.100/32 -m comment --comment lvsd2 -j MARK --set-mark 9
iptables -t nat -A POSTROUTING -o eth1 -j MASQUERADE`)
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return k
}

// script runs commands in the namespace of the thread.
func script(ctx context.Context, text string) (string, error) {
	out, err := exec.CommandContext(ctx, "sh", "-ec", text).CombinedOutput()
	return string(out), err
}

func (k *testKernel) run(text string) string {
	k.Helper()
	out, err := script(k.Context(), text)
	if err != nil {
		k.Fatalf("%v: %s\n%s", err, out, text)
	}
	return out
}

func (k *testKernel) prepare(c *config.Config) {
	k.Helper()
	if err := k.host.Prepare(c); err != nil {
		k.Fatal(err)
	}
}

func (k *testKernel) read(host *Host) Snapshot {
	k.Helper()
	snapshot, err := host.Read(k.Context(), slices.Sorted(maps.Keys(sysctlValues)))
	if err != nil {
		k.Fatal(err)
	}
	return snapshot
}

func (k *testKernel) apply(host *Host, ops []Op) {
	k.Helper()
	if done, err := Apply(k.Context(), host, ops); err != nil || len(done) != len(ops) {
		k.Fatalf("%d of %d operations done: %v", len(done), len(ops), err)
	}
}

// becomes makes s of what an earlier draw left, by other programs or not, and
// returns what is there then.
func (k *testKernel) becomes(s State, byCommand bool) Snapshot {
	k.Helper()
	want := s.Clone()
	clear(want.Strays)
	k.made.Merge(everythingIn(s))
	owned := k.made.Clone()
	have := k.read(k.all).State(owned)
	if byCommand {
		// With an address others of its network may go, which a command for
		// one address does not know.
		k.apply(k.all, Diff(have, NewState()))
		have = k.read(k.all).State(owned)
		var text strings.Builder
		for _, op := range Diff(have, want) {
			fmt.Fprintln(&text, shellCommand(op))
		}
		k.run(text.String())
	} else {
		k.apply(k.all, Diff(have, want))
	}
	forgetDevices(owned, want)
	now := k.read(k.all)
	mustBe(k.T, now.State(owned), want)
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
		return holdCommand("-A", op.Rule)
	case ReleaseConntrack:
		return holdCommand("-D", op.Rule)
	}
	return op.String()
}

// holdCommand quotes the comment, with which the rule ends.
func holdCommand(action string, hold iptables.Hold) string {
	rule, comment, _ := strings.Cut(ruleCommand(action, hold), "--comment ")
	return fmt.Sprintf("%s--comment '%s'", rule, comment)
}

func ruleCommand(action string, rule iptables.Rule) string {
	chain := rule.Chain()
	return fmt.Sprintf("%s -t %s %s %s %s", iptablesCommand(chain.IPv6), chain.Table, action, chain.Name, rule)
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
