package director

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/director/netif"
	"github.com/lvsd/lvsd/healthcheck"
	"github.com/lvsd/lvsd/track"
	"github.com/lvsd/lvsd/vrrp"
	"github.com/lvsd/lvsd/vrrp/vrrptest"
)

// pair starts two nodes and waits until the first, with priority 150, is MASTER
// of the second, with 100.
func pair(t *testing.T, change func(strong, weak *node)) (strong, weak *node) {
	t.Helper()
	lan := vrrptest.New()
	strong, weak = newNode(t, lan, 1), newNode(t, lan, 2)
	strong.config.VRRP[0].Router.Priority = 150
	if change != nil {
		change(strong, weak)
	}
	strong.start()
	weak.start()
	advance(5 * time.Second)
	strong.wantRole("master")
	weak.wantRole("backup")
	return strong, weak
}

// instance is the status of the first instance.
func (n *node) instance() InstanceStatus { return n.director.Status().Instances[0] }

func (n *node) wantRole(role string) {
	n.t.Helper()
	for _, i := range n.director.Status().Instances {
		if i.State != role {
			n.t.Errorf("%v: %s of %s is %s, want %s\n%s", time.Now(), i.Name, n.address, i.State, role, n.log)
		}
	}
}

// logged counts the lines of the log with all of these.
func (n *node) logged(words ...string) (lines int) {
	for line := range strings.Lines(n.log.String()) {
		if !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(line, w) }) {
			lines++
		}
	}
	return lines
}

// uplink makes the node depend on the interface eth9.
func (n *node) uplink(weight int, t config.Tracker) {
	t.Name, t.Kind, t.Interface = "uplink", config.TrackInterface, "eth9"
	n.config.Trackers = []config.Tracker{t}
	n.config.VRRP[0].Track = []config.Tracked{{Tracker: "uplink", Weight: weight}}
}

// silent makes the node depend, with weight 0, on a tracker that never answers.
func (n *node) silent() {
	n.config.Trackers = []config.Tracker{{Name: "silent", Kind: config.TrackScript}}
	n.config.VRRP[0].Track = []config.Tracked{{Tracker: "silent"}}
}

func TestTrackerMovesTheRole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		strong, weak := pair(t, func(strong, _ *node) { strong.uplink(-60, config.Tracker{}) })
		strong.kernel.setLink("eth9", false)
		advance(2 * time.Second)
		strong.wantRole("backup")
		weak.wantRole("master")
		i := strong.instance()
		if i.Priority != 90 || i.BasePriority != 150 || !strings.HasPrefix(i.Explanation, "150 −60 uplink since ") {
			t.Errorf("priority %d of %d: %q", i.Priority, i.BasePriority, i.Explanation)
		}
		want := []ContributionStatus{{
			Tracker: "uplink", Weight: -60, Applied: -60, State: "down", Since: i.Contributions[0].Since, Reason: "eth9 is down",
		}}
		if diff := cmp.Diff(want, i.Contributions); diff != "" {
			t.Errorf("contributions (-want +got):\n%s", diff)
		}
		for _, tracker := range strong.director.Status().Trackers {
			if tracker.State != "down" || tracker.Kind != "interface" || !slices.Equal(tracker.Instances, []string{"relay"}) {
				t.Errorf("%+v", tracker)
			}
		}

		strong.kernel.setLink("eth9", true)
		advance(5 * time.Second)
		strong.wantRole("master")
		weak.wantRole("backup")
		if n := strong.logged(`msg="tracker down" tracker=uplink`); n != 1 {
			t.Errorf("the tracker's fall is logged %d times\n%s", n, strong.log)
		}
		if n := strong.logged(`msg="priority changed"`); n != 2 {
			t.Errorf("two changes of priority are logged %d times\n%s", n, strong.log)
		}
		strong.stop(context.Canceled)
		weak.stop(context.Canceled)
	})
}

// TestLostSourceIsFault: somebody flushes the interface's addresses. The MASTER could
// still send adverts, and reach no real server.
func TestLostSourceIsFault(t *testing.T) {
	for _, delay := range []time.Duration{0, 3 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			strong, weak := pair(t, func(strong, _ *node) {
				strong.config.VRRP[0].Router.LinkDownDelay = delay
				dial := strong.dial
				strong.dial = func(ifname string, c vrrp.Config) (vrrp.Conn, error) {
					if local, _ := strong.kernel.Local(ifname, strong.address); !local {
						return nil, errors.New("no IPv4 address of its own")
					}
					return dial(ifname, c)
				}
			})
			strong.kernel.setLink("eth0", false)
			advance(delay + 2*time.Second)
			strong.wantRole("fault")
			if n := strong.instance().FaultCounts[causeSource]; n != 0 {
				t.Errorf("a link that is down is taken for a lost source %d times", n)
			}
			strong.kernel.setLink("eth0", true)
			advance(10 * time.Second)

			strong.kernel.lose(strong.address)
			if delay > 0 {
				advance(delay - 500*time.Millisecond)
				strong.wantRole("master")
			}
			advance(2 * time.Second)
			strong.wantRole("fault")
			weak.wantRole("master")
			if n := strong.instance().FaultCounts[causeSource]; n != 1 {
				t.Errorf("the cause counts %d times", n)
			}
			strong.kernel.lose(netip.Addr{})
			advance(10 * time.Second)
			strong.wantRole("master")
			weak.wantRole("backup")
			strong.stop(context.Canceled)
			weak.stop(context.Canceled)
		})
	}
}

func TestTrackerOfWeightZeroIsDebouncedFault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		strong, weak := pair(t, func(strong, _ *node) {
			strong.uplink(0, config.Tracker{DownDelay: 3 * time.Second, UpDelay: 10 * time.Second})
		})
		strong.kernel.setLink("eth9", false)
		advance(2 * time.Second)
		strong.wantRole("master")
		strong.kernel.setLink("eth9", true)
		advance(2 * time.Second)
		strong.kernel.setLink("eth9", false)
		advance(2500 * time.Millisecond)
		strong.wantRole("master") // what came and went does not count
		advance(2 * time.Second)
		strong.wantRole("fault")
		weak.wantRole("master")
		i := strong.instance()
		if want := []string{"tracker uplink: down: eth9 is down"}; !slices.Equal(i.Faults, want) || i.FaultCounts["tracker uplink"] != 1 {
			t.Errorf("faults %q, counts %v", i.Faults, i.FaultCounts)
		}
		strong.kernel.setLink("eth9", true)
		advance(9 * time.Second)
		strong.wantRole("fault")
		advance(6 * time.Second)
		strong.wantRole("master")
		strong.stop(context.Canceled)
		weak.stop(context.Canceled)
	})
}

func TestLinksOfTheInstanceAndItsVIPs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, vrrptest.New(), 1)
		n.config.VRRP[0].Router.LinkDownDelay = 2 * time.Second
		inside := netif.HostVIP("eth1", netip.MustParseAddr("198.51.100.100"))
		n.config.VRRP[0].VIPs = append(n.config.VRRP[0].VIPs, config.VIP{VIP: inside, Excluded: true})
		n.kernel.setAbsent("eth0")
		n.start()
		n.wantRole("fault") // absent at the start
		n.kernel.setLink("eth0", true)
		advance(5 * time.Second)
		n.wantRole("master")

		for _, name := range []string{"eth0", "eth1"} {
			n.kernel.setLink(name, false)
			advance(1500 * time.Millisecond)
			n.kernel.setLink(name, true)
			advance(time.Second)
			n.wantRole("master") // shorter than link_down_delay

			n.kernel.setAbsent(name)
			advance(2500 * time.Millisecond)
			n.wantRole("fault")
			n.kernel.setLink(name, true) // made anew, or renamed back
			advance(5 * time.Second)
			n.wantRole("master")
		}
		counts := n.instance().FaultCounts
		if counts["link"] != 2 || counts["link eth1"] != 1 {
			t.Errorf("causes of FAULT: %v", counts)
		}
		n.stop(context.Canceled)
	})
}

func TestInstanceStartsWithTheAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, vrrptest.New(), 1)
		n.silent()
		n.config.Global.Resync = time.Hour // nothing else wakes the loop up
		n.start()
		advance(10 * time.Second)
		n.answer("silent", track.Up)
		advance(5 * time.Second)
		n.wantRole("master")
		n.stop(context.Canceled)
	})
}

// answer is what a tracker that never answers is taken for from now on.
func (n *node) answer(tracker string, s track.State) {
	n.director.mu.Lock()
	n.director.trackers[tracker].finding = finding{State: s}
	n.director.mu.Unlock()
	n.director.lookAgain()
}

func TestReloadKeepsWhatATrackerFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, vrrptest.New(), 1)
		n.silent()
		n.start()
		n.answer("silent", track.Down)
		advance(5 * time.Second)
		n.wantRole("fault")
		next := *n.config
		next.Trackers = []config.Tracker{{Name: "silent", Kind: config.TrackScript, Quorum: 1}}
		if err := n.director.Reload(t.Context(), &next); err != nil {
			t.Fatal(err)
		}
		advance(5 * time.Second)
		n.wantRole("fault") // until the new one has answered
		n.stop(context.Canceled)
	})
}

func TestDelaysAreExact(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, vrrptest.New(), 1)
		n.config.VRRP[0].Router.LinkDownDelay = 300 * time.Millisecond
		n.uplink(0, config.Tracker{DownDelay: 300 * time.Millisecond})
		n.start()
		for _, name := range []string{"eth0", "eth9"} {
			advance(5100 * time.Millisecond)
			n.wantRole("master")
			n.kernel.setLink(name, false)
			advance(290 * time.Millisecond)
			n.wantRole("master")
			advance(20 * time.Millisecond)
			n.wantRole("fault")
			n.kernel.setLink(name, true)
		}
		n.stop(context.Canceled)
	})
}

func TestInstanceWaitsForWhatMayBeItsFault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, vrrptest.New(), 1)
		n.silent()
		n.config.Global.Resync = time.Hour // nothing else wakes the loop up
		n.start()
		advance(10 * time.Second)
		n.wantRole("initialize")
		if i := n.instance(); i.Waiting != "tracker silent" || len(n.lan.Sent()) != 0 {
			t.Errorf("waits for %q, %d adverts were sent", i.Waiting, len(n.lan.Sent()))
		}
		advance(25 * time.Second)
		n.wantRole("fault")

		next := *n.config
		next.Trackers = []config.Tracker{{Name: "silent", Kind: config.TrackScript, Quorum: 1}}
		if err := n.director.Reload(t.Context(), &next); err != nil {
			t.Fatal(err)
		}
		advance(time.Second)
		n.wantRole("fault") // it had its time
		n.answer("silent", track.Up)
		advance(5 * time.Second)
		n.wantRole("master")
		n.stop(context.Canceled)
	})
}

func TestTrackersDoNotDelayWhoResumes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, vrrptest.New(), 1)
		n.start()
		advance(5 * time.Second)
		n.stop(ErrHandOver)
		n.silent()
		n.start()
		n.wantRole("master")
		advance(10 * time.Second)
		n.wantRole("master")
		n.stop(context.Canceled)
	})
}

func TestReloadOfTrackersKeepsRolesAndStates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		strong, weak := pair(t, func(strong, _ *node) {
			strong.uplink(0, config.Tracker{})
			strong.config.VRRP[0].Hooks.Timeout = time.Second
		})
		reload := func(change func(*node)) {
			t.Helper()
			next := newNode(t, strong.lan, 1)
			next.config.VRRP[0].Router.Priority = 150
			change(next)
			if err := strong.director.Reload(t.Context(), next.config); err != nil {
				t.Fatal(err)
			}
			advance(3 * time.Second)
		}
		reload(func(n *node) { n.uplink(-20, config.Tracker{UpDelay: time.Second}) })
		strong.kernel.setLink("eth9", false)
		advance(2 * time.Second)
		reload(func(n *node) { n.uplink(-30, config.Tracker{DownDelay: time.Hour}) })
		if i := strong.instance(); i.Priority != 120 || i.State != "master" {
			t.Errorf("the tracker was down before the reload: %+v", i)
		}
		reload(func(n *node) {
			n.uplink(-50, config.Tracker{})
			n.config.VRRP[0].Router.Priority = 170
		})
		if i := strong.instance(); i.Priority != 120 || i.Explanation[:9] != "170 −50" {
			t.Errorf("priority and weight changed: %d, %q", i.Priority, i.Explanation)
		}
		reload(func(*node) {})
		if i := strong.instance(); i.Priority != 150 || i.Explanation != "150" {
			t.Errorf("without trackers: %d, %q", i.Priority, i.Explanation)
		}
		reload((*node).silent)
		if i := strong.instance(); i.State != "master" || i.Transitions != 2 {
			t.Errorf("a tracker without an answer yet: %s after %d transitions", i.State, i.Transitions)
		}
		strong.stop(context.Canceled)
		weak.stop(context.Canceled)
	})
}

func TestFindService(t *testing.T) {
	service := config.VirtualService{}
	checks := map[healthcheck.Spec]healthcheck.Status{}
	for n, state := range []healthcheck.State{healthcheck.Up, healthcheck.Up, healthcheck.Down, healthcheck.Unknown} {
		server := config.RealServer{Address: netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(n)}), 25), Weight: n + 1}
		server.Checks = []healthcheck.Spec{checkOf(server)}
		checks[server.Checks[0]] = healthcheck.Status{Verdict: healthcheck.Verdict{State: state, Up: state == healthcheck.Up}}
		service.RealServers = append(service.RealServers, server)
	}
	unchecked := config.RealServer{Weight: 5}
	service.RealServers = append(service.RealServers, unchecked)
	// 1, 2 and 5 are up, 4 is open.
	for quorum, want := range map[int]track.State{
		1: track.Up, 8: track.Up, 9: track.Unknown, 12: track.Unknown, 13: track.Down, 15: track.Down,
	} {
		if got := findService(service, quorum, func(s healthcheck.Spec) healthcheck.Status { return checks[s] }); got.State != want {
			t.Errorf("quorum %d: %v (%s), want %v", quorum, got.State, got.Reason, want)
		}
	}
	if got := findService(service, 9, func(s healthcheck.Spec) healthcheck.Status { return checks[s] }).Reason; got != "weight 8 of 15 is up, quorum 9" {
		t.Error(got)
	}
}

func TestFindCheck(t *testing.T) {
	for state, want := range map[healthcheck.State]track.State{
		healthcheck.Unknown: track.Unknown, healthcheck.Up: track.Up, healthcheck.Down: track.Down,
	} {
		got := findCheck(healthcheck.Status{Verdict: healthcheck.Verdict{State: state}})
		if got.State != want {
			t.Errorf("%v: %v, want %v", state, got.State, want)
		}
	}
}

// group makes eth0 and eth1 of the node move together; eth1 is on the LAN
// inside.
func (n *node) group(inside *vrrptest.LAN) {
	second := n.config.VRRP[0]
	vip := netip.MustParseAddr("198.51.100.100")
	second.Interface = "eth1"
	second.Router.Name, second.Router.VRID, second.Router.VIPs = "inside", 12, []netip.Addr{vip}
	second.VIPs = []config.VIP{{VIP: netif.HostVIP("eth1", vip)}}
	n.config.VRRP = append(n.config.VRRP, second)
	n.config.Groups = []config.SyncGroup{{Name: "firewall", Instances: []string{"relay", "inside"}}}
	lans := map[string]*vrrptest.LAN{"eth0": n.lan, "eth1": inside}
	n.dial = func(ifname string, c vrrp.Config) (vrrp.Conn, error) { return lans[ifname].Dial(n.address)(ifname, c) }
}

func TestResumeNeedsTheVIPs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, vrrptest.New(), 1)
		restart := func(change func(State)) {
			t.Helper()
			n.start()
			advance(5 * time.Second)
			n.wantRole("master")
			n.stop(ErrHandOver)
			n.kernel.change(change)
			n.start()
		}
		restart(func(s State) {
			labelled := relayVIP
			labelled.Label = "eth0:vip"
			delete(s.VIPs, relayVIP)
			s.VIPs.Add(labelled)
		})
		n.wantRole("master") // the address is there
		n.stop(context.Canceled)
		restart(func(s State) { clear(s.VIPs) })
		n.wantRole("backup")
		n.stop(context.Canceled)
	})
}
