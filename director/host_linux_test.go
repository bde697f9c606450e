package director

import (
	"errors"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/director/ipvs"
	"github.com/lvsd/lvsd/director/netif"
	"github.com/lvsd/lvsd/integration/lab"
	"github.com/lvsd/lvsd/iptables"
)

// universe is all that drawState draws from.
func universe() Owned {
	o := Owned{Services: Set[ipvs.ServiceKey]{}, VIPs: Set[netif.Address]{}}
	for i := range 2 {
		o.Routes = append(append(o.Routes, routesNumber(i)...), sourced(i))
		o.Rules = append(o.Rules, rulesFor(i)...)
		o.Services.Add(ipvs.ServiceKey{
			Family: ipvs.IPv4, Protocol: ipvs.TCP, Address: netip.AddrPortFrom(vipNumber(i), 25),
		})
		for _, device := range []string{"eth0", "eth1"} {
			for _, form := range vipForms {
				o.VIPs.Add(form(netif.HostVIP(device, vipNumber(i))).Address)
			}
		}
	}
	return o
}

// hostInNamespace is a Host in a network namespace of its own, which the test's
// thread is in to its end.
func hostInNamespace(t *testing.T) *Host {
	t.Helper()
	lab.Require(t, lab.NeedNetns, lab.NeedIPVS)
	c := relayConfig()
	c.VRRP[0].Routes = routesNumber(0)
	return hostFor(t, c)
}

// hostFor is a Host that is prepared for c. Its caller says what that requires.
func hostFor(t testing.TB, c *config.Config) *Host {
	t.Helper()
	runtime.LockOSThread() // never unlocked: the thread ends with the test
	ns, err := netns.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ns.Close() })
	pair := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "eth0"}, PeerName: "eth1"}
	if err := netlink.LinkAdd(pair); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"lo", "eth0", "eth1"} {
		link, err := netlink.LinkByName(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := netlink.LinkSetUp(link); err != nil {
			t.Fatal(err)
		}
	}
	host, err := OpenHost()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = host.Close() })
	// With the last address of an interface go all routes over it.
	for number, device := range []string{"eth0", "eth1"} {
		own := netif.HostVIP(device, netip.AddrFrom4([4]byte{203, 0, byte(113 + number), 10}))
		own.Bits = 24
		if err := host.Do(t.Context(), []Op{AddVIP{own}})[0]; err != nil {
			t.Fatal(err)
		}
	}
	if err := host.Prepare(c); err != nil {
		t.Fatal(err)
	}
	return host
}

func readState(t *testing.T, host *Host) State {
	t.Helper()
	snapshot, err := host.Read(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return snapshot.State(universe())
}

// TestHostBehavesAsTheModel applies the same operations to a real kernel and to
// the model, from one random state to the next, and compares after each pass.
func TestHostBehavesAsTheModel(t *testing.T) {
	behavesAsTheModel(t, hostInNamespace(t), func(seed int) State {
		want := rapid.Custom(func(t *rapid.T) State { return drawState(t, "want") }).Example(seed)
		// Plan wants it wherever there are rules; deleting a rule sees to it in
		// any case, which the model does not know.
		want.Conntrack.Add(iptables.Hold{})
		return want
	})
}

// TestHostRoutesAsTheModel is the same for what needs nothing but a network: VIPs,
// virtual routes and virtual rules.
func TestHostRoutesAsTheModel(t *testing.T) {
	lab.Require(t, lab.NeedNetns)
	c := &config.Config{VRRP: relayConfig().VRRP}
	c.VRRP[0].ServeOnBackup = false
	c.VRRP[0].Routes = routesNumber(0)
	behavesAsTheModel(t, hostFor(t, c), func(seed int) State {
		drawn := rapid.Custom(func(t *rapid.T) State { return drawState(t, "want") }).Example(seed)
		want := NewState()
		want.VIPs, want.Routes, want.Rules = drawn.VIPs, drawn.Routes, drawn.Rules
		return want
	})
}

func behavesAsTheModel(t *testing.T, host *Host, states func(seed int) State) {
	t.Helper()
	for seed := range 12 {
		want := states(seed)
		have := readState(t, host)
		ops := Diff(have, want)
		done, err := Apply(t.Context(), host, ops)
		if err != nil || len(done) != len(ops) {
			t.Fatalf("state %d: %d of %d operations done: %v", seed, len(done), len(ops), err)
		}
		for _, op := range ops {
			have = have.With(op)
		}
		now := readState(t, host)
		if diff := cmp.Diff(have, now, compareStates); diff != "" {
			t.Fatalf("state %d: the kernel is not as the model (-model +kernel):\n%s\nafter %v", seed, diff, ops)
		}
		if again := Diff(now, want); len(again) > 0 {
			t.Fatalf("state %d: an unchanged kernel needs %v", seed, again)
		}
	}
}

// TestHostMakesWhatOthersMadeAlready: what changed between reading and doing is
// no error.
func TestHostMakesWhatOthersMadeAlready(t *testing.T) {
	host := hostInNamespace(t)
	want := rapid.Custom(func(t *rapid.T) State {
		for {
			if s := drawState(t, "want"); len(s.Services) == 2 && len(s.VIPs) > 0 && len(s.Redirects) > 0 {
				return s
			}
		}
	}).Example(1)
	for _, pass := range []struct{ have, want State }{{NewState(), want}, {want, NewState()}} {
		for range 2 {
			if _, err := Apply(t.Context(), host, Diff(pass.have, pass.want)); err != nil {
				t.Fatal(err)
			}
		}
		if diff := cmp.Diff(pass.want, readState(t, host), compareStates); diff != "" {
			t.Fatalf("(-want +got):\n%s", diff)
		}
	}
}

// TestHostGetsRidOfStrays: copies of a tagged rule, and tagged rules of a form
// that is not lvsd's, go; others stay.
func TestHostGetsRidOfStrays(t *testing.T) {
	host := hostInNamespace(t)
	rule := iptables.Redirect{VIP: vipNumber(0), Protocol: "tcp", Port: 25, NewOnly: true}
	want := NewState()
	want.Redirects.Add(rule)
	if _, err := Apply(t.Context(), host, Diff(NewState(), want)); err != nil {
		t.Fatal(err)
	}
	table := []string{"-t", "nat", "-A", "PREROUTING"}
	command(t, append(table, "-d", "192.0.2.100/32", "-p", "tcp", "-m", "tcp", "--dport", "25", "--syn",
		"-m", "comment", "--comment", "lvsd", "-j", "REDIRECT")...)
	command(t, append(table, "-s", "198.51.100.1/32", "-m", "comment", "--comment", "lvsd", "-j", "ACCEPT")...)
	command(t, append(table, "-s", "198.51.100.2/32", "-m", "comment", "--comment", "not lvsd's", "-j", "ACCEPT")...)
	have := readState(t, host)
	if len(have.Strays) != 2 {
		t.Fatalf("strays %v, want two", have.Strays)
	}
	if _, err := Apply(t.Context(), host, Diff(have, want)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, readState(t, host), compareStates); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	command(t, "-t", "nat", "-C", "PREROUTING", "-s", "198.51.100.2/32",
		"-m", "comment", "--comment", "not lvsd's", "-j", "ACCEPT")
}

// TestHostGoesOnWithoutTheXtablesLock: while somebody else keeps the lock, a new
// MASTER gets its VIP; the rule follows when the lock is free.
func TestHostGoesOnWithoutTheXtablesLock(t *testing.T) {
	lab.Require(t, lab.NeedNetns, lab.NeedIPVS)
	// The nf_tables backend has no lock.
	directory := t.TempDir()
	if err := os.Symlink("/usr/sbin/xtables-legacy-multi", filepath.Join(directory, "iptables")); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", directory+":"+os.Getenv("PATH"))
	lockPath := filepath.Join(directory, "lock")
	t.Setenv("XTABLES_LOCKFILE", lockPath)
	host := hostInNamespace(t)
	backup, master := NewState(), NewState()
	backup.Redirects.Add(iptables.Redirect{VIP: vipNumber(0), Protocol: "tcp", Port: 25, NewOnly: true})
	backup.Conntrack.Add(iptables.Hold{})
	master.VIPs.Add(netif.HostVIP("eth0", vipNumber(0)))
	master.Conntrack.Add(iptables.Hold{})
	if _, err := Apply(t.Context(), host, Diff(NewState(), backup)); err != nil {
		t.Fatal(err)
	}
	readState(t, host)

	lock, err := os.OpenFile(lockPath, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	have := readState(t, host)
	if diff := cmp.Diff(backup, have, compareStates); diff != "" {
		t.Fatalf("read without the lock (-want +got):\n%s", diff)
	}
	if _, err := Apply(t.Context(), host, Diff(have, master)); !errors.Is(err, iptables.ErrLocked) {
		t.Errorf("apply without the lock: %v", err)
	}
	if !readState(t, host).holds(vipNumber(0)) {
		t.Error("the VIP waited for the lock")
	}
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Apply(t.Context(), host, Diff(readState(t, host), master)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(master, readState(t, host), compareStates); diff != "" {
		t.Errorf("with the lock free (-want +got):\n%s", diff)
	}
}

// TestHostSetsSysctls reads, sets and restores a real kernel parameter.
func TestHostSetsSysctls(t *testing.T) {
	host := hostInNamespace(t)
	const name = "net.ipv4.vs.expire_nodest_conn"
	for _, value := range []string{"1", "0"} {
		if err := host.Do(t.Context(), []Op{SetSysctl{name, value}})[0]; err != nil {
			t.Fatal(err)
		}
		snapshot, err := host.Read(t.Context(), []string{name, "net.ipv4.absent"})
		if err != nil {
			t.Fatal(err)
		}
		if snapshot.Sysctls[name] != value || snapshot.Sysctls["net.ipv4.absent"] != "" {
			t.Errorf("sysctls %v, want %s", snapshot.Sysctls, value)
		}
	}
}

// TestHostPreparesOnlyWhatIsUsed: a pair that only moves addresses needs no
// IPVS, and says so when it is asked for services after all.
func TestHostPreparesOnlyWhatIsUsed(t *testing.T) {
	host, err := OpenHost()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = host.Close() }()
	c := &config.Config{VRRP: relayConfig().VRRP}
	c.VRRP[0].ServeOnBackup = false
	if err := host.Prepare(c); err != nil {
		t.Fatal(err)
	}
	if _, err := host.Read(t.Context(), nil); err != nil {
		t.Errorf("read: %v", err)
	}
	if err := host.Do(t.Context(), []Op{DeleteService{}})[0]; err == nil {
		t.Error("a table that was not opened was changed")
	}
}

// command runs iptables in the namespace of the test's thread.
func command(t *testing.T, arguments ...string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), "iptables", arguments...).CombinedOutput(); err != nil {
		t.Fatalf("iptables %v: %v: %s", arguments, err, out)
	}
}
