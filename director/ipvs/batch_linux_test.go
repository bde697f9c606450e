package ipvs

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/lvsd/lvsd/integration/lab"
)

// numbered is the service with that number, out of many.
func numbered(i int) Service {
	return entry(Service{ServiceKey: key(TCP, fmt.Sprintf("192.0.2.%d:%d", i/1000, 1000+i%1000))}).Service
}

// TestKernelBatch makes 5000 changes at once, every seventh of which fails.
func TestKernelBatch(t *testing.T) {
	c := openInNamespace(t)
	const n = 5000
	var changes []Change
	var want []ServiceEntry
	for i := range n / 2 {
		e := entry(numbered(i), Destination{Forwarding: DirectRoute, Weight: i % 100})
		want = append(want, e)
		changes = append(changes,
			Change{Command: AddService, Service: e.Service},
			Change{Command: AddDestination, Service: e.Service, Destination: e.Destinations[0].Destination})
	}
	absent, nosuch := numbered(n), numbered(n)
	nosuch.Scheduler = "nosuch"
	faults := []struct {
		change Change
		err    error
	}{
		{want[0].change(AddService), ErrExists},
		{Change{Command: DeleteService, Service: absent}, ErrNotExist},
		{Change{Command: AddService, Service: nosuch}, ErrNoScheduler},
		{Change{Command: AddService}, ErrInvalid},
	}
	fails := map[int]error{}
	for i := 7; i < n; i += 7 {
		fault := faults[i%len(faults)]
		if fault.err == ErrNoScheduler && i > n/20 {
			continue // for each the kernel runs modprobe
		}
		changes, fails[i] = slices.Insert(changes, i, fault.change), fault.err
	}
	for i, err := range c.Change(changes) {
		if !errors.Is(err, fails[i]) || (err == nil) != (fails[i] == nil) {
			t.Fatalf("change %d, %v: error %v, want %v", i, changes[i].Command, err, fails[i])
		}
	}
	wantTable(t, c, want...)
	for i, e := range want {
		changes[i] = e.change(DeleteService)
	}
	fatal(t, errors.Join(c.Change(changes[:len(want)])...))
	wantTable(t, c)
}

func (e ServiceEntry) change(c Command) Change { return Change{Command: c, Service: e.Service} }

// TestKernelRace has ipvsadm delete and add the same services and destinations
// meanwhile. Each change either is made or finds what the other has done.
func TestKernelRace(t *testing.T) {
	c := openInNamespace(t)
	lab.Require(t, lab.NeedIPVS)
	e := entry(Service{ServiceKey: key(TCP, "192.0.2.1:25")}, Destination{Forwarding: DirectRoute, Weight: 1})
	ctx, stop := context.WithCancel(t.Context())
	rival := exec.CommandContext(ctx, "/bin/sh", "-c", `
		echo begins
		while :; do
			ipvsadm -D -t 192.0.2.1:25
			ipvsadm -A -t 192.0.2.1:25 -s rr
			ipvsadm -a -t 192.0.2.1:25 -r 192.0.2.11:25 -g
		done`)
	begins, err := rival.StdoutPipe()
	fatal(t, err)
	fatal(t, rival.Start())
	defer func() {
		stop()
		_ = rival.Wait()
	}()
	_, err = begins.Read(make([]byte, 1))
	fatal(t, err)
	d := e.Destinations[0].Destination
	var batch []Change
	for range 50 {
		batch = append(batch, e.change(AddService), Change{Command: AddDestination, Service: e.Service, Destination: d},
			Change{Command: UpdateDestination, Service: e.Service, Destination: d},
			Change{Command: DeleteDestination, Service: e.Service, Destination: d}, e.change(DeleteService))
	}
	for range 20 {
		for i, err := range c.Change(batch) {
			if err != nil && !errors.Is(err, ErrExists) && !errors.Is(err, ErrNotExist) {
				t.Fatalf("%v: %v", batch[i].Command, err)
			}
		}
		if _, err := c.Services(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestKernelDaemons starts and stops daemons, and reads them back itself and
// with ipvsadm.
func TestKernelDaemons(t *testing.T) {
	c := openInNamespace(t)
	lab.Require(t, lab.NeedIPVS)
	run(t, "ip", "link", "set", "lo", "multicast", "on")
	master := Daemon{State: DaemonMaster, Interface: "lo", ID: 51}
	backup := Daemon{State: DaemonBackup, Interface: "lo", ID: 0, MaxLen: 1200, Port: 9000, TTL: 3}
	backup.Group = netip.MustParseAddr("224.0.0.99")
	fatal(t, c.StartDaemon(master))
	fatal(t, c.StartDaemon(backup))
	if err := c.StartDaemon(master); !errors.Is(err, ErrExists) {
		t.Errorf("start twice: error %v, want ErrExists", err)
	}
	daemons, err := c.Daemons()
	fatal(t, err)
	master.Group, master.Port, master.TTL = netip.MustParseAddr("224.0.0.81"), 8848, 1
	for i, want := range []Daemon{master, backup} {
		if i >= len(daemons) {
			t.Fatalf("daemons %v", daemons)
		}
		if want.MaxLen == 0 {
			want.MaxLen = daemons[i].MaxLen
		}
		if daemons[i] != want || daemons[i].MaxLen == 0 {
			t.Errorf("daemon %v, want %v", daemons[i], want)
		}
	}
	says := run(t, "ipvsadm", "-Ln", "--daemon")
	for _, want := range []string{
		"master sync daemon (mcast=lo, syncid=51, maxlen=", "group=224.0.0.81, port=8848, ttl=1)",
		"backup sync daemon (mcast=lo, syncid=0, maxlen=1200, group=224.0.0.99, port=9000, ttl=3)",
	} {
		if !strings.Contains(says, want) {
			t.Errorf("ipvsadm says %q, want %q", says, want)
		}
	}

	e := entry(Service{ServiceKey: key(TCP, "192.0.2.1:25")})
	mixed := Destination{Address: key(TCP, "[2001:db8::b]:25").Address, Forwarding: Tunnel, Weight: 1}
	write(t, c, e)
	if err := one(c, AddDestination, e.Service, mixed); !errors.Is(err, ErrInvalid) ||
		!strings.Contains(err.Error(), "synchronisation daemon runs") {
		t.Errorf("mixed families beside a daemon: error %v", err)
	}
	fatal(t, c.StopDaemon(DaemonMaster))
	fatal(t, c.StopDaemon(DaemonBackup))
	if err := c.StopDaemon(DaemonBackup); !errors.Is(err, ErrNotExist) {
		t.Errorf("stop twice: error %v, want ErrNotExist", err)
	}
	if daemons, err := c.Daemons(); err != nil || len(daemons) != 0 {
		t.Errorf("daemons %v, error %v, want none", daemons, err)
	}
	fatal(t, one(c, AddDestination, e.Service, mixed))
	if err := c.StartDaemon(master); !errors.Is(err, ErrInvalid) {
		t.Errorf("daemon beside mixed families: error %v, want ErrInvalid", err)
	}
	fatal(t, c.Flush())
	if err := c.StartDaemon(Daemon{State: DaemonMaster, Interface: "nosuch"}); !errors.Is(err, unix.ENODEV) {
		t.Errorf("no such interface: error %v, want ENODEV", err)
	}
}

// run runs a program in the namespace of the test's thread.
func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v: %s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// TestKernelMissing finds what is there, and what is not.
func TestKernelMissing(t *testing.T) {
	need(t, "ipvs")
	all := Needs{
		Schedulers: []string{"rr", "wlc", "none"}, Engines: []string{"sip", ""},
		Protocols: []Protocol{TCP, UDP, SCTP}, Families: []Family{IPv4, IPv6}, Tunnels: []TunnelType{IPIP, GUE, GRE},
	}
	missing, err := Missing(all)
	fatal(t, err)
	if len(missing) != 0 {
		t.Errorf("missing %v, want nothing", missing)
	}
	missing, err = Missing(Needs{Schedulers: []string{"rr", "nosuch"}, Engines: []string{"noengine"}, Protocols: []Protocol{TCP}})
	fatal(t, err)
	var says []string
	for _, m := range missing {
		says = append(says, m.Error())
	}
	want := []string{
		"scheduler nosuch is not in the kernel; load it: modprobe ip_vs_nosuch",
		"persistence engine noengine is not in the kernel; load it: modprobe ip_vs_pe_noengine",
	}
	if !slices.Equal(says, want) {
		t.Errorf("missing %q, want %q", says, want)
	}
}

// The thread comes back from the scratch namespace, whose services go: the first
// thread of a process could not end instead.
func TestScratchIsLeft(t *testing.T) {
	need(t, "ipvs")
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	where := func() string {
		link, err := os.Readlink("/proc/thread-self/ns/net")
		fatal(t, err)
		return link
	}
	before, inside := where(), ""
	want := errors.New("as f says")
	err := inScratch(func() error {
		inside = where()
		return want
	})
	if err != want || inside == before || where() != before {
		t.Errorf("error %v, namespace %s, inside %s, after %s", err, before, inside, where())
	}
}
