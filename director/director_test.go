package director

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/director/ipvs"
	"github.com/lvsd/lvsd/director/netif"
	"github.com/lvsd/lvsd/healthcheck"
	"github.com/lvsd/lvsd/iptables"
	"github.com/lvsd/lvsd/vrrp"
	"github.com/lvsd/lvsd/vrrp/vrrptest"
)

// node is one director on the LAN, with a model of its kernel.
type node struct {
	t        *testing.T
	lan      *vrrptest.LAN
	address  netip.Addr
	config   *config.Config
	memory   MemoryFile
	holds    HoldFile
	kernel   *model
	director *Director
	log      *syncBuffer
	dial     vrrp.DialFunc
	lookup   LookupFunc
	// overrides is the OverrideFile.
	overrides string
	name      string
	spread    SpreadFunc
	cancel    context.CancelCauseFunc
	ended     chan error
}

// syncBuffer is a log that can be read while it is written.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func newNode(t *testing.T, lan *vrrptest.LAN, number byte) *node {
	c := relayConfig()
	for i := range c.Services[0].RealServers {
		c.Services[0].RealServers[i].Checks = nil // real sockets have no virtual time
	}
	c.VRRP[0].Router.Source = netip.AddrFrom4([4]byte{192, 0, 2, number})
	directory := t.TempDir()
	return &node{
		t: t, lan: lan, address: c.VRRP[0].Router.Source, config: c, kernel: newModel(),
		memory: MemoryFile{filepath.Join(directory, "state.json")},
		holds:  HoldFile{filepath.Join(directory, "lib", "holds.json")}, log: &syncBuffer{},
		dial:      lan.Dial(c.VRRP[0].Router.Source),
		overrides: filepath.Join(directory, "lib", "overrides.json"), name: fmt.Sprint("node", number),
	}
}

func (n *node) start() {
	n.t.Helper()
	n.director = n.new()
	n.run()
}

// run has the director, which was made already, run.
func (n *node) run() {
	ctx, cancel := context.WithCancelCause(context.Background())
	n.cancel, n.ended = cancel, make(chan error, 1)
	go func() { n.ended <- n.director.Run(ctx) }()
	synctest.Wait()
}

func (n *node) new() *Director {
	return New(Options{
		Config: n.config, Kernel: n.kernel, Network: n.kernel, Dial: n.dial,
		Memory: n.memory, Holds: n.holds, Lookup: n.lookup, Log: slog.New(slog.NewTextHandler(n.log, nil)),
		OverrideFile: n.overrides, Node: n.name, Spread: n.spread,
	})
}

// advance lets virtual time pass and waits until all that it brought is done.
func advance(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func (n *node) stop(cause error) {
	n.t.Helper()
	n.cancel(cause)
	if err := <-n.ended; err != nil {
		n.t.Errorf("node %s ended with %v\n%s", n.address, err, n.log)
	}
}

func (n *node) want(state State) {
	n.t.Helper()
	if diff := cmp.Diff(state, n.kernel.now(), compareStates); diff != "" {
		n.t.Errorf("%v: kernel of %s (-want +got):\n%s\n%s", time.Now(), n.address, diff, n.log)
	}
}

// relayState is what the kernel of a node should hold in a role.
func relayState(c *config.Config, role vrrp.Role) State {
	return Plan(Facts{Config: c, Roles: map[string]vrrp.Role{"relay": role}})
}

var (
	relayVIP  = netif.HostVIP("eth0", netip.MustParseAddr("192.0.2.100"))
	relayRule = iptables.Redirect{VIP: relayVIP.Addr, Protocol: "tcp", Port: 25, NewOnly: true}
)

func TestAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, vrrptest.New(), 1)
		n.start()
		n.want(relayState(n.config, vrrp.Backup))
		if got := n.kernel.takeAnnounced(); got != 0 {
			t.Errorf("a BACKUP announced %d times", got)
		}

		advance(4 * time.Second) // 3.61 s is Master_Down_Interval
		n.want(relayState(n.config, vrrp.Master))
		if got := n.kernel.takeAnnounced(); got != 5 {
			t.Errorf("a new MASTER announced %d times, want 5", got)
		}
		advance(5 * time.Second)
		if got := n.kernel.takeAnnounced(); got != 5 {
			t.Errorf("5 s later it announced %d times more, want 5", got)
		}
		n.kernel.takeDone()
		advance(2 * time.Minute)
		if got := n.kernel.takeAnnounced(); got != 2 {
			t.Errorf("in 2 minutes it announced %d times more, want 2", got)
		}
		if ops := n.kernel.takeDone(); len(ops) != 0 {
			t.Errorf("an unchanged kernel was changed: %v", ops)
		}

		n.stop(context.Canceled)
		left := NewState()
		left.Redirects.Add(relayRule)
		n.want(left)
		if _, err := os.Stat(n.memory.Path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("a clean stop leaves something to a successor: %v", err)
		}
	})
}

func TestFailoverAndReturn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lan := vrrptest.New()
		strong, weak := newNode(t, lan, 1), newNode(t, lan, 2)
		strong.config.VRRP[0].Router.Priority = 150
		strong.start()
		weak.start()
		advance(5 * time.Second)
		strong.want(relayState(strong.config, vrrp.Master))
		weak.want(relayState(weak.config, vrrp.Backup))

		strong.stop(context.Canceled)
		advance(time.Second) // Skew_Time is 0.61 s
		weak.want(relayState(weak.config, vrrp.Master))

		strong.start()
		advance(5 * time.Second)
		strong.want(relayState(strong.config, vrrp.Master))
		weak.want(relayState(weak.config, vrrp.Backup))

		strong.kernel.setLink("eth0", false)
		advance(time.Second)
		strong.want(relayState(strong.config, vrrp.Fault))
		weak.want(relayState(weak.config, vrrp.Master))
		strong.kernel.setLink("eth0", true)
		advance(5 * time.Second)
		strong.want(relayState(strong.config, vrrp.Master))
		weak.want(relayState(weak.config, vrrp.Backup))
		strong.stop(context.Canceled)
		weak.stop(context.Canceled)
	})
}

func TestRestartTouchesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lan := vrrptest.New()
		master, backup := newNode(t, lan, 1), newNode(t, lan, 2)
		master.config.VRRP[0].Router.Priority = 150
		master.start()
		backup.start()
		advance(10 * time.Second)
		master.kernel.takeDone()
		backup.kernel.takeDone()

		master.stop(ErrHandOver)
		advance(time.Second)
		master.start()
		advance(10 * time.Second)
		if ops := master.kernel.takeDone(); len(ops) != 0 {
			t.Errorf("the restarted MASTER changed %v\n%s", ops, master.log)
		}
		if ops := backup.kernel.takeDone(); len(ops) != 0 {
			t.Errorf("the BACKUP of a restarted MASTER changed %v\n%s", ops, backup.log)
		}
		master.want(relayState(master.config, vrrp.Master))
		master.stop(context.Canceled)
		backup.stop(context.Canceled)
	})
}

func TestRestartTooLateGivesTheVIPUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, vrrptest.New(), 1)
		n.start()
		advance(5 * time.Second)
		n.stop(ErrHandOver)
		n.want(relayState(n.config, vrrp.Master))

		// The file's clock is the kernel's, which no bubble moves: age it.
		memory, err := n.memory.Load()
		if err != nil {
			t.Fatal(err)
		}
		instance := memory.Instances["relay"]
		instance.LastAdvert -= 3 * time.Second
		memory.Instances["relay"] = instance
		if err := n.memory.Save(memory); err != nil {
			t.Fatal(err)
		}
		n.start()
		n.want(relayState(n.config, vrrp.Backup))
		n.stop(context.Canceled)
	})
}

func TestDriftIsRepaired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, vrrptest.New(), 1)
		n.start()
		advance(5 * time.Second)
		n.kernel.change(func(s State) {
			clear(s.Services)
			clear(s.VIPs)
			s.Redirects.Add(relayRule)
		})
		advance(n.config.Global.Resync)
		n.want(relayState(n.config, vrrp.Master))
		if !strings.Contains(n.log.String(), "repaired what somebody else changed") {
			t.Errorf("the repair is not logged:\n%s", n.log)
		}
		n.stop(context.Canceled)
	})
}

// TestVIPOfARenamedInterfaceGoes: an interface that gets another name before lvsd could
// take the VIP from it keeps the VIP, and this node would answer for it for ever.
func TestVIPOfARenamedInterfaceGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, vrrptest.New(), 1)
		n.start()
		advance(5 * time.Second)
		renamed := relayVIP
		renamed.Interface = "eth9"
		n.kernel.change(func(s State) {
			delete(s.VIPs, relayVIP)
			s.VIPs.Add(renamed)
		})
		n.kernel.setAbsent("eth0")
		advance(5 * time.Second)
		if n.kernel.now().holds(relayVIP.Addr) {
			t.Errorf("the VIP is still there: %v", n.director.Status().Foreign)
		}
		// What somebody puts there later is not lvsd's.
		n.kernel.change(func(s State) { s.VIPs.Add(renamed) })
		advance(5 * time.Second)
		if !n.kernel.now().holds(relayVIP.Addr) {
			t.Error("lvsd took an address that is somebody else's")
		}
		n.stop(context.Canceled)
	})
}

func TestForeignStateIsLeftAloneAndReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, vrrptest.New(), 1)
		foreign := ipvs.Service{ServiceKey: ipvs.ServiceKey{
			Family: ipvs.IPv4, Protocol: ipvs.TCP, Address: netip.MustParseAddrPort("198.51.100.1:80"),
		}, Scheduler: "rr"}
		onLoopback := netif.HostVIP("lo", relayVIP.Addr)
		n.kernel.foreign = []ipvs.ServiceEntry{{Service: foreign}}
		// The node's own address is the VIP's, with another prefix length.
		own := relayVIP
		own.Bits = 24
		n.kernel.change(func(s State) {
			s.VIPs.Add(onLoopback)
			s.VIPs.Add(own)
		})
		n.start()
		advance(5 * time.Second)
		want := []string{
			"VIP 192.0.2.100 on interface lo", "VIP 192.0.2.100/24 on interface eth0",
			"virtual service tcp 198.51.100.1:80",
		}
		if diff := cmp.Diff(want, slices.Sorted(slices.Values(n.director.Status().Foreign))); diff != "" {
			t.Errorf("foreign (-want +got):\n%s", diff)
		}
		n.stop(context.Canceled)
		left := NewState()
		left.Redirects.Add(relayRule)
		left.VIPs.Add(onLoopback)
		left.VIPs.Add(own)
		n.want(left)
	})
}

func TestFailedOperationsAreTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, vrrptest.New(), 1)
		n.start()
		n.kernel.mu.Lock()
		n.kernel.fail = func(op Op) error {
			if _, ok := op.(AddVIP); ok {
				return errInjected
			}
			return nil
		}
		n.kernel.mu.Unlock()
		advance(4 * time.Second) // 3.61 s is Master_Down_Interval
		// The VIP cannot be added, so the rule must go on serving the address.
		n.want(relayState(n.config, vrrp.Backup))
		if status := n.director.Status(); !strings.Contains(status.Reconcile.Error, "injected") {
			t.Errorf("the status says nothing of the failure: %+v", status.Reconcile)
		}
		n.kernel.mu.Lock()
		n.kernel.fail = nil
		n.kernel.mu.Unlock()
		advance(retryDelay)
		n.want(relayState(n.config, vrrp.Master))
		n.stop(context.Canceled)
	})
}

func TestSplitBrainIsAnnouncedAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lan := vrrptest.New()
		strong, weak := newNode(t, lan, 1), newNode(t, lan, 2)
		strong.config.VRRP[0].Router.Priority = 150
		lan.Cut(strong.address, weak.address)
		lan.Cut(weak.address, strong.address)
		strong.start()
		weak.start()
		// The strong one advertises at 20.41 s, the weak one at 20.61 s: after
		// this it is the weak one's turn to be heard.
		advance(20500 * time.Millisecond)
		strong.want(relayState(strong.config, vrrp.Master))
		weak.want(relayState(weak.config, vrrp.Master))
		strong.kernel.takeAnnounced()

		lan.Join(weak.address, strong.address)
		lan.Join(strong.address, weak.address)
		advance(3 * time.Second)
		weak.want(relayState(weak.config, vrrp.Backup))
		strong.want(relayState(strong.config, vrrp.Master))
		if got := strong.kernel.takeAnnounced(); got < 5 {
			t.Errorf("the survivor announced %d times, want a burst of 5", got)
		}
		strong.stop(context.Canceled)
		weak.stop(context.Canceled)
	})
}

// TestUnloadedModuleIsWaitedFor: the table is away for a while, and rebuilt when
// it is back.
func TestUnloadedModuleIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, vrrptest.New(), 1)
		n.start()
		advance(5 * time.Second)
		n.kernel.mu.Lock()
		n.kernel.unreadable = fmt.Errorf("list: %w", ipvs.ErrUnavailable)
		clear(n.kernel.state.Services)
		n.kernel.mu.Unlock()
		advance(time.Minute)
		if err := n.director.Status().Reconcile.Error; !strings.Contains(err, "modprobe ip_vs") {
			t.Errorf("the status says %q", err)
		}
		n.kernel.mu.Lock()
		n.kernel.unreadable = nil
		n.kernel.mu.Unlock()
		advance(retryDelay)
		n.want(relayState(n.config, vrrp.Master))
		if err := n.director.Status().Reconcile.Error; err != "" {
			t.Errorf("afterwards the status says %q", err)
		}
		n.stop(context.Canceled)
	})
}

// TestStuckKernelDoesNotHoldUpAdverts: an operation hangs for minutes, and the
// MASTER stays MASTER to the others.
func TestStuckKernelDoesNotHoldUpAdverts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lan := vrrptest.New()
		master, backup := newNode(t, lan, 1), newNode(t, lan, 2)
		master.config.VRRP[0].Router.Priority = 150
		stuck := make(chan struct{})
		master.kernel.fail = func(op Op) error {
			if _, ok := op.(AddVIP); ok {
				<-stuck
			}
			return nil
		}
		master.start()
		backup.start()
		advance(10 * time.Second)
		before := len(lan.Sent())
		advance(5 * time.Minute)
		if sent := len(lan.Sent()) - before; sent != 300 {
			t.Errorf("in 5 minutes of kernel work %d adverts were sent, want one a second", sent)
		}
		backup.want(relayState(backup.config, vrrp.Backup))
		close(stuck)
		advance(time.Second)
		master.want(relayState(master.config, vrrp.Master))
		master.stop(context.Canceled)
		backup.stop(context.Canceled)
	})
}

func TestManagedSysctlsArePutBack(t *testing.T) {
	const name = "net.ipv4.vs.conn_reuse_mode"
	value := func(n *node) string { return n.kernel.now().Sysctls[name] }
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, vrrptest.New(), 1)
		n.config.Sysctl.Manage = true
		n.kernel.change(func(s State) { s.Sysctls[name] = "1" })
		n.start()
		if got := value(n); got != "2" {
			t.Errorf("managed: %s is %q, want 2", name, got)
		}
		if now := n.kernel.now().Sysctls; len(now) != 1 {
			t.Errorf("parameters that this kernel does not have were set: %v", now)
		}
		n.stop(ErrHandOver)
		n.start()
		n.stop(context.Canceled)
		if got := value(n); got != "1" {
			t.Errorf("after a restart and a clean stop %s is %q, want the old 1", name, got)
		}

		n.start()
		unmanaged := *n.config
		unmanaged.Sysctl.Manage = false
		if err := n.director.Reload(t.Context(), &unmanaged); err != nil {
			t.Fatal(err)
		}
		advance(time.Second)
		if got := value(n); got != "1" {
			t.Errorf("no longer managed: %s is %q, want the old 1", name, got)
		}
		n.kernel.change(func(s State) { s.Sysctls[name] = "0" })
		advance(5 * time.Second)
		if got := value(n); got != "0" {
			t.Errorf("not managed: %s is %q, want what somebody set", name, got)
		}
		if wrong := n.director.Status().Sysctls; len(wrong) == 0 {
			t.Error("the status says nothing of the wrong value")
		}
		n.stop(context.Canceled)
	})
}

// TestVerdictsReachTheKernel checks a real server on loopback, in real time.
func TestVerdictsReachTheKernel(t *testing.T) {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := netip.MustParseAddrPort(listener.Addr().String())
	n := newNode(t, vrrptest.New(), 1)
	server := config.RealServer{Address: address, Weight: 3, Forwarding: ipvs.DirectRoute}
	check := every(20*time.Millisecond, server.Address)
	server.Checks = []healthcheck.Spec{check}
	n.config.Services[0].RealServers = []config.RealServer{server}
	n.config.Global.Resync = time.Hour // verdicts alone must bring it about

	ctx, cancel := context.WithCancelCause(t.Context())
	d := n.new()
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	wait := func(weight int) {
		t.Helper()
		timeout := time.After(2 * time.Minute)
		for {
			services := n.kernel.now().Services
			server, there := services[n.config.Services[0].IPVS.ServiceKey].realServer(address)
			if there && server.Weight == weight {
				return
			}
			select {
			case <-time.After(5 * time.Millisecond):
			case <-timeout:
				t.Fatalf("the weight is not %d\n%s", weight, n.log)
			}
		}
	}
	wait(3)
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	wait(0)
	cancel(nil)
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
