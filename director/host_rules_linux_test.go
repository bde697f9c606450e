package director

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/vishvananda/netns"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/director/netif"
	"github.com/lvsd/lvsd/integration/lab"
	"github.com/lvsd/lvsd/iptables"
)

// ruleHost is a namespace of the test's own in which the commands of one backend
// of iptables log their runs.
type ruleHost struct {
	*testing.T
	ns  netns.NsHandle
	log string
}

// onRuleBackends runs f on a fresh ruleHost for each backend.
func onRuleBackends(t *testing.T, f func(h ruleHost, nft bool)) {
	lab.Require(t, lab.NeedNetns)
	for _, backend := range []string{"nft", "legacy"} {
		t.Run(backend, func(t *testing.T) {
			runtime.LockOSThread() // never unlocked: the thread ends with the test
			ns, err := netns.New()
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = ns.Close() })
			directory := t.TempDir()
			h := ruleHost{t, ns, filepath.Join(directory, "log")}
			for _, name := range []string{"iptables", "ip6tables"} {
				path, err := exec.LookPath(name + "-" + backend)
				if err != nil {
					lab.Missing(t, lab.Need("iptables-"+backend), err)
				}
				script := fmt.Sprintf("#!/bin/sh\necho %s \"$@\" >>%s\nexec %s \"$@\"\n", name, h.log, path)
				if err := os.WriteFile(filepath.Join(directory, name), []byte(script), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			t.Setenv("PATH", directory+":"+os.Getenv("PATH"))
			t.Setenv("XTABLES_LOCKFILE", filepath.Join(directory, "lock"))
			f(h, backend == "nft")
		})
	}
}

// runs returns the runs since the last call, without those of the test.
func (h ruleHost) runs() []string {
	h.Helper()
	text, err := os.ReadFile(h.log)
	if err != nil && !os.IsNotExist(err) {
		h.Fatal(err)
	}
	if err := os.WriteFile(h.log, nil, 0o644); err != nil {
		h.Fatal(err)
	}
	return slices.DeleteFunc(strings.Split(strings.TrimSpace(string(text)), "\n"), func(s string) bool { return s == "" })
}

func (h ruleHost) prepare(r *ruleset, c *config.Config) {
	h.Helper()
	c.Global.LockWait = time.Minute
	if err := r.prepare(c); err != nil {
		h.Fatal(err)
	}
}

func (h ruleHost) read(r *ruleset) Snapshot {
	h.Helper()
	var s Snapshot
	if err := r.fill(h.Context(), &s); err != nil {
		h.Fatal(err)
	}
	return s
}

func (h ruleHost) do(r *ruleset, ops ...Op) {
	h.Helper()
	for _, op := range ops {
		if err := r.do(h.Context(), op); err != nil {
			h.Fatalf("%s: %v", op, err)
		}
	}
}

func (h ruleHost) same(what string, got, want any) {
	h.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty(), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		h.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func relayOnly() *config.Config { return relayOf(someRedirect.VIP) }

func relayOf(vips ...netip.Addr) *config.Config {
	relay := config.VRRP{ServeOnBackup: true}
	for _, vip := range vips {
		relay.VIPs = append(relay.VIPs, config.VIP{VIP: netif.HostVIP("eth0", vip)})
	}
	return &config.Config{VRRP: []config.VRRP{relay}}
}

var (
	someRedirect = iptables.Redirect{VIP: vipNumber(0), Protocol: "tcp", Port: 25, NewOnly: true}
	someMark     = iptables.Mark{VIP: vipNumber(0), Protocol: "tcp", First: 80, Last: 90, Mark: 7}
	someIPv6Mark = iptables.Mark{VIP: netip.MustParseAddr("2001:db8::100"), Mark: 8}

	someIPv6Redirect = iptables.Redirect{VIP: someIPv6Mark.VIP, Protocol: "tcp", Port: 25, NewOnly: true}
)

// marking is a configuration with marks in both families.
func marking() *config.Config {
	return &config.Config{Services: []config.VirtualService{{Marks: []iptables.Mark{someMark, someIPv6Mark}}}}
}

// TestRulesetRunsNothingUnneeded: a host without iptables can do what needs no
// rules.
func TestRulesetRunsNothingUnneeded(t *testing.T) {
	onRuleBackends(t, func(h ruleHost, _ bool) {
		r := newRuleset()
		h.prepare(r, &config.Config{VRRP: []config.VRRP{{}}, Services: []config.VirtualService{{}}})
		h.same("read", h.read(r), Snapshot{})
		h.same("runs", h.runs(), []string(nil))
		if err := r.do(h.Context(), AddMark{someMark}); err == nil {
			h.Error("rules that were not prepared were changed")
		}
	})
}

// TestRulesetKnowsItsChains: a service has rules in the family of its VIPs, which
// for a firewall mark are those of the rules that give it.
func TestRulesetKnowsItsChains(t *testing.T) {
	vip4, vip6 := vipNumber(0), netip.MustParseAddr("2001:db8::100")
	address := config.VirtualService{SNAT: &config.SNAT{}}
	address.IPVS.Address = netip.AddrPortFrom(vip6, 25)
	marked := config.VirtualService{SNAT: &config.SNAT{}, Marks: []iptables.Mark{{VIP: vip4, Mark: 7}}}
	for _, tt := range []struct {
		config *config.Config
		want   Set[iptables.Chain]
	}{
		{&config.Config{VRRP: []config.VRRP{{}}}, nil},
		{relayOf(vip4), SetOf(iptables.Redirect{VIP: vip4}.Chain(), iptables.Hold{}.Chain())},
		{relayOf(vip6), SetOf(iptables.Redirect{VIP: vip6}.Chain(), iptables.Hold{IPv6: true}.Chain())},
		{marking(), SetOf(iptables.Mark{VIP: vip4}.Chain(), iptables.Mark{VIP: vip6}.Chain())},
		{&config.Config{Services: []config.VirtualService{address}}, SetOf(iptables.SNAT{VIP: vip6}.Chain())},
		{
			&config.Config{Services: []config.VirtualService{marked}},
			SetOf(iptables.Mark{VIP: vip4}.Chain(), iptables.SNAT{VIP: vip4}.Chain()),
		},
	} {
		if diff := cmp.Diff(tt.want, chainsFor(tt.config), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}

// TestRulesetDoesAndReads: what is done is read at once, in both families.
func TestRulesetDoesAndReads(t *testing.T) {
	onRuleBackends(t, func(h ruleHost, _ bool) {
		r := newRuleset()
		c := marking()
		c.VRRP = relayOf(someRedirect.VIP, someIPv6Redirect.VIP).VRRP
		h.prepare(r, c)
		h.same("at first", h.read(r), Snapshot{})
		hold, hold6 := iptables.Hold{}, iptables.Hold{IPv6: true}
		h.do(r, AddRedirect{someRedirect}, AddRedirect{someIPv6Redirect}, AddMark{someMark}, AddMark{someIPv6Mark}, HoldConntrack{hold}, HoldConntrack{hold6})
		h.same("after adding", h.read(r), Snapshot{
			Redirects: []iptables.Redirect{someRedirect, someIPv6Redirect}, Marks: []iptables.Mark{someMark, someIPv6Mark},
			Holds: []iptables.Hold{hold, hold6},
		})
		h.do(r, DeleteRedirect{someRedirect}, DeleteRedirect{someIPv6Redirect}, DeleteMark{someMark}, DeleteMark{someIPv6Mark},
			ReleaseConntrack{hold}, ReleaseConntrack{hold6})
		h.same("after deleting", h.read(r), Snapshot{})
	})
}

// TestRulesetFindsWhatIsLeft: rules that a configuration needs no more are read
// until they are gone, and then their family is left alone.
func TestRulesetFindsWhatIsLeft(t *testing.T) {
	onRuleBackends(t, func(h ruleHost, _ bool) {
		r := newRuleset()
		h.prepare(r, marking())
		h.do(r, AddMark{someIPv6Mark})
		h.prepare(r, relayOnly())
		h.same("left", h.read(r), Snapshot{Marks: []iptables.Mark{someIPv6Mark}})
		h.do(r, DeleteMark{someIPv6Mark})
		h.same("after deleting", h.read(r), Snapshot{})
		h.runs()
		h.same("again", h.read(r), Snapshot{})
		for _, run := range h.runs() {
			if strings.HasPrefix(run, "ip6tables") || strings.Contains(run, "mangle") && !strings.Contains(run, "FORWARD") {
				h.Errorf("%q is run although nothing is left", run)
			}
		}
	})
}

// TestRulesetFindsPredecessors: what another process left is found by one that
// needs other rules.
func TestRulesetFindsPredecessors(t *testing.T) {
	onRuleBackends(t, func(h ruleHost, _ bool) {
		before := newRuleset()
		h.prepare(before, marking())
		h.do(before, AddMark{someMark}, AddMark{someIPv6Mark})
		r := newRuleset()
		h.prepare(r, relayOnly())
		h.same("left", h.read(r), Snapshot{Marks: []iptables.Mark{someMark, someIPv6Mark}})
	})
}

// TestRulesetStrays: a copy, and a tagged rule of another form, are deleted by
// the command that they are named by.
func TestRulesetStrays(t *testing.T) {
	onRuleBackends(t, func(h ruleHost, _ bool) {
		r := newRuleset()
		h.prepare(r, marking())
		h.do(r, AddMark{someMark})
		add := "-t mangle -A PREROUTING -d 192.0.2.100/32 -p tcp -m tcp --dport 80:90 -m comment --comment lvsd -j MARK --set-xmark 0x7/0xffffffff"
		h.command("iptables", add)
		other := "-t mangle -A PREROUTING -d 2001:db8::/64 -m comment --comment lvsd -j ACCEPT"
		h.command("ip6tables", other)
		h.command("iptables", "-t mangle -A PREROUTING -s 198.51.100.2/32 -m comment --comment lvsd2 -j ACCEPT")
		r.changed()
		s := h.read(r)
		h.same("strays", s.Strays, []string{
			"iptables " + strings.Replace(add, "-A", "-D", 1), "ip6tables " + strings.Replace(other, "-A", "-D", 1),
		})
		for i, stray := range s.Strays {
			h.do(r, DeleteStray{stray})
			h.same("left", h.read(r).Strays, s.Strays[i+1:])
		}
		h.same("after deleting", h.read(r), Snapshot{Marks: []iptables.Mark{someMark}})
		h.command("iptables", "-t mangle -C PREROUTING -s 198.51.100.2/32 -m comment --comment lvsd2 -j ACCEPT")
	})
}

func (h ruleHost) command(name, arguments string) {
	h.Helper()
	if out, err := exec.CommandContext(h.Context(), name, strings.Fields(arguments)...).CombinedOutput(); err != nil {
		h.Fatalf("%s %s: %v: %s", name, arguments, err, out)
	}
}

// TestRulesetListsAfterEvents: with events nothing is run until a rule changes,
// and then at once; without them each reading runs the command.
func TestRulesetListsAfterEvents(t *testing.T) {
	onRuleBackends(t, func(h ruleHost, nft bool) {
		r := newRuleset()
		calls := make(chan struct{}, 1000)
		ctx, cancel := context.WithCancel(h.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			runtime.LockOSThread()
			if err := netns.Set(h.ns); err != nil {
				panic(err)
			}
			r.watch(ctx, func() { calls <- struct{}{} })
		}()
		defer func() { cancel(); <-ended }()
		h.prepare(r, relayOnly())
		h.do(r, AddRedirect{someRedirect})
		want := Snapshot{Redirects: []iptables.Redirect{someRedirect}}
		if !nft {
			for range 3 {
				h.runs()
				h.same("read", h.read(r), want)
				if len(h.runs()) == 0 {
					h.Fatal("nothing was listed, and no event would tell")
				}
			}
			return
		}
		h.await("quiet", func() bool {
			h.read(r)
			h.runs()
			h.same("read", h.read(r), want)
			return len(h.runs()) == 0
		})
		for len(calls) > 0 {
			<-calls
		}
		h.command("iptables", "-t nat -F PREROUTING")
		select {
		case <-calls:
		case <-time.After(time.Minute):
			h.Fatal("a flush was not told")
		}
		h.same("after a flush", h.read(r), Snapshot{})
		// Without an event it is looked for all the same, now and then.
		h.await("quiet again", func() bool { h.read(r); h.runs(); h.read(r); return len(h.runs()) == 0 })
		r.listedAt = r.listedAt.Add(-2 * listInterval)
		h.read(r)
		if len(h.runs()) == 0 {
			h.Error("nothing was listed for longer than listInterval")
		}
	})
}

// TestRulesetKnowsItsOwnChanges: an own change is read although its event has not
// come yet.
func TestRulesetKnowsItsOwnChanges(t *testing.T) {
	onRuleBackends(t, func(h ruleHost, _ bool) {
		r := newRuleset()
		h.prepare(r, relayOnly())
		r.hearing.Store(true) // and no event ever comes
		h.same("at first", h.read(r), Snapshot{})
		h.do(r, AddRedirect{someRedirect})
		h.same("after adding", h.read(r), Snapshot{Redirects: []iptables.Redirect{someRedirect}})
	})
}

// await waits for a condition.
func (h ruleHost) await(what string, holds func() bool) {
	h.Helper()
	for deadline := time.Now().Add(time.Minute); !holds(); {
		if time.Now().After(deadline) {
			h.Fatalf("not %s after a minute", what)
		}
		<-time.After(10 * time.Millisecond)
	}
}
