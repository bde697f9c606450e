package ipvs

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/lvsd/lvsd/integration/lab"
)

// These tests speak to a real kernel, as root, each in a network namespace of
// its own.

// need skips a test where something is missing, and fails it where
// LVSD_TEST_REQUIRE, a list separated by commas, promised that it is there.
func need(t *testing.T, feature string) {
	t.Helper()
	c := newClient(dial)
	err := c.find()
	c.socket.close()
	switch feature {
	case "ipvs":
		if err == nil && os.Geteuid() != 0 {
			err = errors.New("not root")
		}
		if err != nil {
			lab.Missing(t, lab.Need(feature), err)
		}
	case "no-ipvs":
		if !errors.Is(err, ErrUnavailable) {
			lab.Missing(t, lab.Need(feature), errors.New("the kernel has IPVS"))
		}
	}
}

// inNamespace moves the test into a new network namespace with lo up. Subtests
// run on other threads, outside it.
func inNamespace(t *testing.T) {
	t.Helper()
	runtime.LockOSThread()
	before, err := netns.Get()
	fatal(t, err)
	inside, err := netns.New()
	fatal(t, err)
	t.Cleanup(func() {
		if err := errors.Join(netns.Set(before), before.Close(), inside.Close()); err != nil {
			t.Error(err)
		}
		runtime.UnlockOSThread()
	})
	lo, err := netlink.LinkByName("lo")
	fatal(t, err)
	fatal(t, netlink.LinkSetUp(lo))
}

func openInNamespace(t *testing.T) *Client {
	t.Helper()
	need(t, "ipvs")
	inNamespace(t)
	c, err := Open()
	fatal(t, err)
	t.Cleanup(func() { fatal(t, c.Close()) })
	return c
}

// wantTable reads the table back and compares it with what was written, in any
// order and without counters.
func wantTable(t *testing.T, c *Client, want ...ServiceEntry) {
	t.Helper()
	got, err := c.Services()
	fatal(t, err)
	for i := range got {
		got[i].Stats = Stats{}
		for j := range got[i].Destinations {
			got[i].Destinations[j].Stats = Stats{}
		}
	}
	diff := cmp.Diff(want, got,
		cmpopts.EquateComparable(netip.AddrPort{}), cmpopts.EquateEmpty(),
		cmpopts.SortSlices(func(a, b ServiceEntry) bool { return a.String() < b.String() }),
		cmpopts.SortSlices(func(a, b DestinationEntry) bool { return a.String() < b.String() }))
	if diff != "" {
		t.Errorf("(-written +read)\n%s", diff)
	}
}

// write adds services and their destinations.
func write(t *testing.T, c *Client, entries ...ServiceEntry) {
	t.Helper()
	var changes []Change
	for _, e := range entries {
		changes = append(changes, Change{Command: AddService, Service: e.Service})
		for _, d := range e.Destinations {
			changes = append(changes, Change{Command: AddDestination, Service: e.Service, Destination: d.Destination})
		}
	}
	fatal(t, errors.Join(c.Change(changes)...))
}

// one makes one change.
func one(c *Client, command Command, s Service, d Destination) error {
	return c.Change([]Change{{Command: command, Service: s, Destination: d}})[0]
}

// entry is a service with the destinations 192.0.2.11, .12, ... or their
// IPv6 counterparts, on the service's port.
func entry(s Service, destinations ...Destination) ServiceEntry {
	e := ServiceEntry{Service: s}
	if e.Scheduler == "" {
		e.Scheduler = "rr"
	}
	if e.Granularity == 0 {
		e.Granularity = s.Family.Bits()
	}
	for i, d := range destinations {
		if !d.Address.IsValid() {
			host := netip.AddrFrom4([4]byte{192, 0, 2, byte(11 + i)})
			if s.Family == IPv6 {
				host = netip.MustParseAddr(fmt.Sprintf("2001:db8::%d", 11+i))
			}
			d.Address = netip.AddrPortFrom(host, s.Address.Port())
		}
		e.Destinations = append(e.Destinations, DestinationEntry{Destination: d})
	}
	return e
}

func key(p Protocol, address string) ServiceKey {
	a := netip.MustParseAddrPort(address)
	return ServiceKey{Family: familyOf(a.Addr()), Protocol: p, Address: a}
}

func TestKernelReadsBackWhatWasWritten(t *testing.T) {
	c := openInNamespace(t)
	var all []ServiceEntry
	schedulers := []string{"rr", "wrr", "lc", "wlc", "lblc", "lblcr", "dh", "sh", "sed", "nq", "fo", "ovf", "mh", "none"}
	for i, scheduler := range schedulers {
		for _, p := range []Protocol{TCP, UDP, SCTP} {
			k := key(p, fmt.Sprintf("192.0.2.1:%d", 1000+i))
			all = append(all, entry(Service{ServiceKey: k, Scheduler: scheduler},
				Destination{Forwarding: DirectRoute, Weight: 1},
				Destination{Forwarding: Masquerade, Weight: 65535},
				Destination{Forwarding: Tunnel, Weight: 0},
				Destination{Forwarding: Local, Weight: 2}))
		}
	}
	persistent := Service{Flags: Persistent, Timeout: 5 * time.Minute}
	for i, length := range []uint8{1, 8, 24, 31, 32} {
		s := persistent
		s.ServiceKey, s.Granularity = key(TCP, fmt.Sprintf("192.0.2.2:%d", i)), length
		all = append(all, entry(s, Destination{Forwarding: DirectRoute, Weight: 1}))
	}
	for i, length := range []uint8{1, 64, 128} {
		s := persistent
		s.ServiceKey, s.Granularity = key(TCP, fmt.Sprintf("[2001:db8::1]:%d", 80+i)), length
		all = append(all, entry(s, Destination{Forwarding: DirectRoute, Weight: 1}))
	}
	all = append(all,
		entry(Service{ServiceKey: key(UDP, "192.0.2.3:53"), Flags: OnePacket}),
		entry(Service{ServiceKey: key(TCP, "192.0.2.3:80"), Scheduler: "sh", Flags: Sched1 | Sched2}),
		entry(Service{ServiceKey: key(TCP, "192.0.2.3:81"), Scheduler: "mh", Flags: Sched2}),
		entry(Service{ServiceKey: ServiceKey{Family: IPv4, Mark: 7}, Flags: Persistent, Timeout: time.Minute},
			Destination{Forwarding: DirectRoute, Weight: 1}),
		entry(Service{ServiceKey: ServiceKey{Family: IPv6, Mark: 7}},
			Destination{Forwarding: DirectRoute, Weight: 1}),
		entry(Service{ServiceKey: ServiceKey{Family: IPv4, Mark: 0xffffffff}}),
		entry(Service{ServiceKey: key(TCP, "192.0.2.4:25")},
			Destination{Forwarding: DirectRoute, Weight: 1, Upper: 1000, Lower: 800},
			Destination{Forwarding: Masquerade, Weight: 1, Upper: 2147483647},
			Destination{Forwarding: Tunnel, Weight: 1, Tunnel: TunnelInfo{Type: 1, Port: 6080, Flags: 1}},
			Destination{Forwarding: Tunnel, Weight: 1, Tunnel: TunnelInfo{Type: 2}}),
		entry(Service{ServiceKey: key(TCP, "192.0.2.4:26")}, Destination{
			Address: netip.MustParseAddrPort("[2001:db8::b]:26"), Forwarding: Tunnel, Weight: 1,
		}),
	)
	write(t, c, all...)
	wantTable(t, c, all...)
}

func TestKernelWeights(t *testing.T) {
	c := openInNamespace(t)
	e := entry(Service{ServiceKey: key(TCP, "192.0.2.1:25"), Scheduler: "wlc"}, Destination{Forwarding: DirectRoute})
	write(t, c, e)
	d := &e.Destinations[0].Destination
	for _, weight := range []int{0, 1, 255, 256, 32767, 32768, 65534, 65535, 0} {
		d.Weight = weight
		fatal(t, one(c, UpdateDestination, e.Service, *d))
		wantTable(t, c, e)
	}
}

func TestKernelUpdate(t *testing.T) {
	c := openInNamespace(t)
	e := entry(Service{ServiceKey: key(TCP, "192.0.2.1:25"), Scheduler: "wlc"},
		Destination{Forwarding: Tunnel, Weight: 1, Tunnel: TunnelInfo{Type: 1, Port: 6080}},
		Destination{Forwarding: DirectRoute, Weight: 1, Upper: 9, Lower: 5})
	write(t, c, e)

	e.Service.Scheduler, e.Flags, e.Timeout, e.Granularity = "sh", Persistent|Sched1, time.Minute, 24
	fatal(t, one(c, UpdateService, e.Service, Destination{}))
	wantTable(t, c, e)
	e.Service.Scheduler, e.Flags, e.Timeout, e.Granularity = "wlc", 0, 0, 32
	fatal(t, one(c, UpdateService, e.Service, Destination{}))
	wantTable(t, c, e)

	e.Destinations[0].Weight = 5
	e.Destinations[1].Upper, e.Destinations[1].Lower = 0, 0
	for _, d := range e.Destinations {
		fatal(t, one(c, UpdateDestination, e.Service, d.Destination))
	}
	wantTable(t, c, e)
	e.Destinations[0].Forwarding, e.Destinations[0].Tunnel = DirectRoute, TunnelInfo{}
	fatal(t, one(c, UpdateDestination, e.Service, e.Destinations[0].Destination))
	wantTable(t, c, e)

	fatal(t, one(c, DeleteDestination, e.Service, e.Destinations[0].Destination))
	e.Destinations = e.Destinations[1:]
	wantTable(t, c, e)
	other := entry(Service{ServiceKey: ServiceKey{Family: IPv6, Mark: 7}})
	write(t, c, other)
	fatal(t, one(c, DeleteService, e.Service, Destination{}))
	wantTable(t, c, other)
	fatal(t, one(c, DeleteService, other.Service, Destination{}))
	wantTable(t, c)
}

func TestKernelPersistenceEngine(t *testing.T) {
	c := openInNamespace(t)
	e := entry(Service{
		ServiceKey: key(UDP, "192.0.2.1:5060"), Flags: Persistent, Timeout: time.Minute, Engine: "sip",
	})
	err := one(c, AddService, e.Service, Destination{})
	if errors.Is(err, ErrNoScheduler) {
		lab.Missing(t, "ipvs-sip", err)
	}
	fatal(t, err)
	wantTable(t, c, e)
	e.Engine = ""
	fatal(t, one(c, UpdateService, e.Service, Destination{}))
	wantTable(t, c, e)
}

func TestKernelErrors(t *testing.T) {
	c := openInNamespace(t)
	e := entry(Service{ServiceKey: key(TCP, "192.0.2.1:25")}, Destination{Forwarding: DirectRoute, Weight: 1})
	write(t, c, e)
	there, d := e.Service, e.Destinations[0].Destination
	missing := entry(Service{ServiceKey: key(TCP, "192.0.2.1:26")}).Service
	nosuch := missing
	nosuch.Scheduler = "nosuch"
	absent, multicast, ipv6, thresholds := d, d, d, d
	absent.Address = netip.MustParseAddrPort("192.0.2.99:25")
	multicast.Address = netip.MustParseAddrPort("224.0.0.18:25")
	ipv6.Address = netip.MustParseAddrPort("[2001:db8::b]:25")
	thresholds.Upper, thresholds.Lower = 5, 9
	long := d
	long.Weight = 70000

	for name, x := range map[string]struct {
		err   error
		kind  error
		errno unix.Errno
	}{
		"add service twice":                {one(c, AddService, there, d), ErrExists, unix.EEXIST},
		"add service, no scheduler":        {one(c, AddService, nosuch, d), ErrNoScheduler, unix.ENOENT},
		"update missing service":           {one(c, UpdateService, missing, d), ErrNotExist, unix.ESRCH},
		"delete missing service":           {one(c, DeleteService, missing, d), ErrNotExist, unix.ESRCH},
		"zero missing service":             {c.Zero(missing.ServiceKey), ErrNotExist, unix.ESRCH},
		"add destination twice":            {one(c, AddDestination, there, d), ErrExists, unix.EEXIST},
		"add destination, no service":      {one(c, AddDestination, missing, d), ErrNotExist, unix.ESRCH},
		"update missing destination":       {one(c, UpdateDestination, there, absent), ErrNotExist, unix.ENOENT},
		"delete missing destination":       {one(c, DeleteDestination, there, absent), ErrNotExist, unix.ENOENT},
		"delete destination, no service":   {one(c, DeleteDestination, missing, d), ErrNotExist, unix.ESRCH},
		"thresholds the wrong way round":   {one(c, UpdateDestination, there, thresholds), ErrInvalid, unix.ERANGE},
		"multicast destination":            {one(c, AddDestination, there, multicast), ErrInvalid, unix.EINVAL},
		"IPv6 destination without tunnel":  {one(c, AddDestination, there, ipv6), ErrInvalid, 0},
		"weight that ipvsadm also refuses": {one(c, UpdateDestination, there, long), ErrInvalid, 0},
	} {
		if !errors.Is(x.err, x.kind) || x.errno != 0 && !errors.Is(x.err, x.errno) {
			t.Errorf("%s: error %v, want %v and errno %v", name, x.err, x.kind, x.errno)
		}
	}
	wantTable(t, c, e)
}

// TestKernelMoved gives the client the number of a netlink family that is not
// there, which is what its own becomes when ip_vs is unloaded and loaded.
func TestKernelMoved(t *testing.T) {
	c := openInNamespace(t)
	e := entry(Service{ServiceKey: key(TCP, "192.0.2.1:25")}, Destination{Weight: 1})
	c.family = 0xffff
	write(t, c, e)
	c.family = 0xffff
	wantTable(t, c, e)
	missing := entry(Service{ServiceKey: key(TCP, "192.0.2.1:26"), Scheduler: "nosuch"}).Service
	c.family = 0xffff
	if err := one(c, AddService, missing, Destination{}); !errors.Is(err, ErrNoScheduler) {
		t.Errorf("error %v, want ErrNoScheduler", err)
	}
}

// TestKernelPermission runs on a thread of its own, which it leaves without the
// capability and therefore never gives back.
func TestKernelPermission(t *testing.T) {
	need(t, "ipvs")
	result := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		if err := dropNetAdmin(); err != nil {
			result <- err
			return
		}
		_, err := Open()
		result <- err
	}()
	if err := <-result; !errors.Is(err, ErrPermission) {
		t.Errorf("error %v, want ErrPermission", err)
	}
}

func dropNetAdmin() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var sets [2]unix.CapUserData
	if err := unix.Capget(&header, &sets[0]); err != nil {
		return err
	}
	sets[0].Effective &^= 1 << unix.CAP_NET_ADMIN
	return unix.Capset(&header, &sets[0])
}

func TestKernelInfo(t *testing.T) {
	c := openInNamespace(t)
	info, err := c.Info()
	fatal(t, err)
	if info.Version < 0x010201 || info.TableSize < 1<<8 || info.TableSize&(info.TableSize-1) != 0 {
		t.Errorf("info %v", info)
	}
}

func TestKernelTimeouts(t *testing.T) {
	c := openInNamespace(t)
	fatal(t, c.SetTimeouts(Timeouts{TCP: 15 * time.Minute, TCPFin: 2 * time.Minute, UDP: 5 * time.Minute}))
	fatal(t, c.SetTimeouts(Timeouts{TCPFin: time.Minute}))
	got, err := c.Timeouts()
	fatal(t, err)
	if want := (Timeouts{TCP: 15 * time.Minute, TCPFin: time.Minute, UDP: 5 * time.Minute}); got != want {
		t.Errorf("timeouts %v, want %v", got, want)
	}
}

func TestKernelFlush(t *testing.T) {
	c := openInNamespace(t)
	write(t, c, entry(Service{ServiceKey: key(TCP, "192.0.2.1:25")}, Destination{Weight: 1}))
	fatal(t, c.Flush())
	wantTable(t, c)
	fatal(t, c.Flush())
}

// TestKernelConcurrency has one client used by many at once.
func TestKernelConcurrency(t *testing.T) {
	c := openInNamespace(t)
	var users sync.WaitGroup
	for i := range 4 {
		users.Go(func() {
			e := entry(Service{ServiceKey: key(TCP, fmt.Sprintf("192.0.2.1:%d", 1000+i))}, Destination{Weight: 1})
			for range 50 {
				_, listed := c.Services()
				made := c.Change([]Change{
					{Command: AddService, Service: e.Service},
					{Command: AddDestination, Service: e.Service, Destination: e.Destinations[0].Destination},
					{Command: DeleteService, Service: e.Service},
				})
				if err := errors.Join(listed, errors.Join(made...)); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	users.Wait()
	wantTable(t, c)
}

// TestKernelConnection makes one connection through a service to a server on
// this host, and finds it in the connection table and in the counters.
func TestKernelConnection(t *testing.T) {
	c := openInNamespace(t)
	lo, err := netlink.LinkByName("lo")
	fatal(t, err)
	for _, a := range []string{"192.0.2.1/32", "192.0.2.11/32"} {
		address, err := netlink.ParseAddr(a)
		fatal(t, err)
		fatal(t, netlink.AddrAdd(lo, address))
	}
	server, err := net.Listen("tcp", "192.0.2.11:2525")
	fatal(t, err)
	defer server.Close()
	e := entry(Service{ServiceKey: key(TCP, "192.0.2.1:25")}, Destination{
		Address: netip.MustParseAddrPort("192.0.2.11:2525"), Forwarding: Masquerade, Weight: 1,
	})
	write(t, c, e)
	client, err := net.Dial("tcp", "192.0.2.1:25")
	fatal(t, err)
	defer client.Close()

	got := connectionsHere(t)
	if len(got) != 1 {
		t.Fatalf("connections %+v, want one", got)
	}
	want := Connection{
		Protocol: TCP, Client: netip.MustParseAddrPort(client.LocalAddr().String()),
		Virtual: e.Address, Destination: e.Destinations[0].Address, State: "ESTABLISHED",
	}
	if got[0].Expires <= 0 {
		t.Errorf("expires in %v", got[0].Expires)
	}
	got[0].Expires = 0
	if got[0] != want {
		t.Errorf("connection %+v, want %+v", got[0], want)
	}
	waitFor(t, "the connection in the counters", func() bool {
		services, err := c.Services()
		fatal(t, err)
		s, d := services[0], services[0].Destinations[0]
		return s.Stats.Connections == 1 && d.Stats.Connections == 1 && d.Active == 1 && d.Stats.InBytes > 0
	})
	fatal(t, c.Zero(e.ServiceKey))
	services, err := c.Services()
	fatal(t, err)
	if n := services[0].Stats.Connections; n != 0 {
		t.Errorf("%d connections counted after zero", n)
	}
	fatal(t, c.ZeroAll())
}

// connectionsHere reads the table of this thread's network namespace;
// ConnectionsFile is that of the process.
func connectionsHere(t *testing.T) []Connection {
	t.Helper()
	f, err := os.Open(strings.Replace(ConnectionsFile, "/proc/", "/proc/thread-self/", 1))
	fatal(t, err)
	defer f.Close()
	var all []Connection
	for c, err := range Connections(f) {
		fatal(t, err)
		all = append(all, c)
	}
	return all
}

// waitFor waits for what the kernel does on its own time.
func waitFor(t *testing.T, what string, done func() bool) {
	t.Helper()
	deadline := time.NewTimer(3 * time.Minute)
	defer deadline.Stop()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("gave up waiting for %s", what)
		}
	}
}
