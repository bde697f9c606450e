package director

import (
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/director/ipvs"
	"github.com/lvsd/lvsd/healthcheck"
	"github.com/lvsd/lvsd/healthcheck/probe"
)

// steps is a director that takes its steps when a test says so, with checks that
// say what a test says.
type steps struct {
	*Director
	t      testing.TB
	kernel *model
	log    *syncBuffer
	states map[healthcheck.Spec]healthcheck.State
	told   map[healthcheck.Spec]probe.Weight
	since  map[healthcheck.Spec]time.Time
}

// newSteps has taken the first, complete step, with every check up.
func newSteps(t testing.TB, c *config.Config) *steps {
	t.Helper()
	kernel := newModel()
	s := &steps{
		t: t, kernel: kernel, log: &syncBuffer{}, states: map[healthcheck.Spec]healthcheck.State{},
		told: map[healthcheck.Spec]probe.Weight{}, since: map[healthcheck.Spec]time.Time{},
	}
	s.Director = New(Options{
		Config: c, Kernel: kernel, Network: kernel,
		Log: slog.New(slog.NewTextHandler(s.log, nil)),
	})
	s.statusOf = func(spec healthcheck.Spec) healthcheck.Status {
		state, ok := s.states[spec]
		if !ok {
			state = healthcheck.Up
		}
		return healthcheck.Status{
			Verdict: healthcheck.Verdict{State: state, Up: state == healthcheck.Up}, Weight: s.told[spec], Since: s.since[spec],
		}
	}
	s.setStandings(t.Context(), c)
	s.status.ready = true
	s.step()
	return s
}

func (s *steps) step() {
	s.t.Helper()
	if err := s.bring(s.t.Context(), false); err != nil {
		s.t.Fatal(err)
	}
}

// verdict makes a check come to another result.
func (s *steps) verdict(spec healthcheck.Spec, up bool) {
	change := healthcheck.Change{Spec: spec, From: healthcheck.Down, To: healthcheck.Up}
	if !up {
		change.From, change.To = change.To, change.From
	}
	s.states[spec], s.since[spec] = change.To, time.Now()
	change.Weight, change.WeightBefore = s.told[spec], s.told[spec]
	s.verdictChanged(change)
}

// tells makes a check that is as it was tell another weight; -1 is none.
func (s *steps) tells(spec healthcheck.Spec, weight int) {
	before := s.told[spec]
	s.told[spec] = probe.Weight{Known: weight >= 0, Value: max(weight, 0)}
	state := s.statusOf(spec).State
	s.verdictChanged(healthcheck.Change{Spec: spec, From: state, To: state, Weight: s.told[spec], WeightBefore: before})
}

// farm is a configuration of so many services with so many real servers; the
// n-th real server of every service is in the same rack.
func farm(services, servers int) *config.Config {
	c := &config.Config{Global: config.Global{RouterID: "node", Resync: time.Second}}
	for n := range services {
		var vip [4]byte
		binary.BigEndian.PutUint32(vip[:], 0x0a010000+uint32(n))
		service := config.VirtualService{
			Name: fmt.Sprint("service ", n),
			IPVS: ipvs.Service{
				ServiceKey: ipvs.ServiceKey{
					Family: ipvs.IPv4, Protocol: ipvs.TCP, Address: netip.AddrPortFrom(netip.AddrFrom4(vip), 80),
				},
				Scheduler: "wlc", Granularity: 32,
			},
			Forwarding: ipvs.DirectRoute, OnFailure: config.Quiesce,
		}
		for m := range servers {
			server := config.RealServer{
				Address:    netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(100 + m), vip[2], vip[3]}), 80),
				Forwarding: ipvs.DirectRoute, Weight: 5,
			}
			server.Checks = []healthcheck.Spec{checkOf(server)}
			service.RealServers = append(service.RealServers, server)
		}
		c.Services = append(c.Services, service)
	}
	return c
}

// TestVerdictTouchesOnlyItsServices: nothing is read, and nothing else planned.
func TestVerdictTouchesOnlyItsServices(t *testing.T) {
	c := farm(100, 3)
	// Two services share a real server's check.
	c.Services[41].RealServers[0] = c.Services[40].RealServers[0]
	s := newSteps(t, c)
	s.kernel.takeDone()
	s.kernel.unreadable = errInjected // Read would make the step fail

	s.verdict(c.Services[40].RealServers[0].Checks[0], false)
	s.verdict(c.Services[7].RealServers[2].Checks[0], false)
	s.step()
	want := []string{
		"ipvsadm -e -t 10.1.0.7:80 -r 10.102.0.7:80 -g -w 0",
		"ipvsadm -e -t 10.1.0.40:80 -r 10.100.0.40:80 -g -w 0",
		"ipvsadm -e -t 10.1.0.41:80 -r 10.100.0.40:80 -g -w 0",
	}
	if diff := cmp.Diff(want, s.kernel.takeDone()); diff != "" {
		t.Errorf("operations (-want +got):\n%s", diff)
	}
	s.verdict(c.Services[7].RealServers[2].Checks[0], true)
	s.step()
	want = []string{"ipvsadm -e -t 10.1.0.7:80 -r 10.102.0.7:80 -g -w 5"}
	if diff := cmp.Diff(want, s.kernel.takeDone()); diff != "" {
		t.Errorf("operations (-want +got):\n%s", diff)
	}
	// The kernel is read all the same when it is time.
	s.kernel.unreadable = nil
	s.readAt = time.Now()
	s.step()
	if ops := s.kernel.takeDone(); len(ops) > 0 {
		t.Errorf("the complete step found more to do: %v", ops)
	}
}

// TestQuickFailureIsMetByACompleteStep: the kernel is read before the same is
// tried again, at once if somebody else may have come between.
func TestQuickFailureIsMetByACompleteStep(t *testing.T) {
	for _, test := range []struct {
		err   error
		after time.Duration
	}{{errInjected, retryDelay}, {fmt.Errorf("change: %w", ipvs.ErrNotExist), 0}} {
		synctest.Test(t, func(t *testing.T) {
			c := farm(5, 2)
			s := newSteps(t, c)
			gone := c.Services[3].RealServers[0].Address
			s.kernel.change(func(state State) {
				service := state.Services[c.Services[3].IPVS.ServiceKey]
				service.RealServers = slices.DeleteFunc(service.RealServers, func(d ipvs.Destination) bool { return d.Address == gone })
				state.Services[c.Services[3].IPVS.ServiceKey] = service
			})
			s.kernel.takeDone()
			failures := 0
			s.kernel.fail = func(op Op) error {
				if _, ok := op.(EditRealServer); ok && failures < 1 {
					failures++
					return test.err
				}
				return nil
			}
			s.verdict(c.Services[3].RealServers[0].Checks[0], false)
			if err := s.bring(t.Context(), false); err == nil {
				t.Fatal("no error")
			}
			if wait := time.Until(s.wakeAt()); wait != test.after {
				t.Errorf("the next step is in %v, want %v", wait, test.after)
			}
			<-time.After(test.after)
			s.step()
			want := []string{"ipvsadm -a -t 10.1.0.3:80 -r 10.100.0.3:80 -g -w 0"}
			if diff := cmp.Diff(want, s.kernel.takeDone()); diff != "" {
				t.Errorf("operations (-want +got):\n%s", diff)
			}
		})
	}
}

// TestRacesEnd: what looks like somebody else's coming between is met at once,
// but not for ever.
func TestRacesEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := farm(1, 1)
		s := newSteps(t, c)
		s.kernel.fail = func(Op) error { return ipvs.ErrExists }
		s.verdict(c.Services[0].RealServers[0].Checks[0], false)
		for n := range maxRaces + 2 {
			if err := s.bring(t.Context(), false); err == nil {
				t.Fatal("no error")
			}
			want := time.Duration(0)
			if n >= maxRaces {
				want = retryDelay
			}
			if wait := time.Until(s.wakeAt()); wait != want {
				t.Errorf("after failure %d the next step is in %v, want %v", n+1, wait, want)
			}
		}
	})
}

// TestQuickIsAsComplete: whatever verdicts come in whatever order, with readings
// and changes of somebody else's between, the kernel ends as a complete plan has
// it.
func TestQuickIsAsComplete(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		c := farm(6, 3)
		for i := range c.Services {
			service := &c.Services[i]
			service.OnFailure = rapid.SampledFrom([]config.OnFailure{config.Quiesce, config.Remove}).Draw(r, "on_failure")
			server := &service.RealServers[0]
			server.AnyCheck = rapid.Bool().Draw(r, "any check")
			server.Checks = append(server.Checks, healthcheck.Check{Kind: probe.File{Path: "/run/weight"}}.Of(server.Address))
			service.Quorum.Weight = rapid.IntRange(0, 15).Draw(r, "quorum")
			service.Quorum.Hysteresis = rapid.IntRange(0, max(service.Quorum.Weight-1, 0)).Draw(r, "hysteresis")
			if rapid.Bool().Draw(r, "sorry") {
				service.Sorry = &config.SorryServer{
					Address: netip.MustParseAddrPort("10.99.0.1:80"), Forwarding: ipvs.DirectRoute, Weight: 1,
					Inhibit: rapid.Bool().Draw(r, "inhibit"),
					Mode:    rapid.SampledFrom([]config.SorryMode{config.SorryReplaces, config.SorryBeside}).Draw(r, "mode"),
				}
			}
		}
		s := newSteps(t, c)
		for range rapid.IntRange(1, 20).Draw(r, "length") {
			service := &c.Services[rapid.IntRange(0, 5).Draw(r, "service")]
			server := &service.RealServers[rapid.IntRange(0, 2).Draw(r, "server")]
			switch rapid.IntRange(0, 4).Draw(r, "what") {
			case 4:
				file := service.RealServers[0].Checks[1]
				if rapid.Bool().Draw(r, "verdict") {
					s.verdict(file, s.states[file] == healthcheck.Down)
				} else {
					s.tells(file, rapid.IntRange(-1, 9).Draw(r, "told"))
				}
			case 0, 1:
				s.verdict(server.Checks[0], s.states[server.Checks[0]] == healthcheck.Down)
			case 2:
				s.kernel.change(func(state State) { delete(state.Services, service.IPVS.ServiceKey) })
				s.readAt = time.Now()
			case 3:
				s.readAt = time.Now()
			}
			_ = s.bring(t.Context(), false)
		}
		s.readAt = time.Now()
		s.step()
		want := Plan(s.facts(false))
		if diff := cmp.Diff(want, s.kernel.now(), compareStates); diff != "" {
			r.Fatalf("kernel (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(want, s.view.have, compareStates); diff != "" {
			r.Fatalf("what the director takes the kernel for (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(want, s.view.expected, compareStates); diff != "" {
			r.Fatalf("what the director left (-want +got):\n%s", diff)
		}
	})
}

// TestQuietResyncPlansNothing: a kernel that is as it was left is read and
// compared, and keeps the memory it is kept in.
func TestQuietResyncPlansNothing(t *testing.T) {
	c := farm(10, 2)
	s := newSteps(t, c)
	key := c.Services[4].IPVS.ServiceKey
	before := &s.view.have.Services[key].RealServers[0]
	if &s.view.expected.Services[key].RealServers[0] != before {
		t.Error("what is expected and what is there do not share memory")
	}
	s.readAt = time.Now()
	s.step()
	if &s.view.have.Services[key].RealServers[0] != before {
		t.Error("a service that did not change was taken in anew")
	}
	s.kernel.change(func(state State) { state.Services[key].RealServers[0].Weight = 9 })
	s.readAt = time.Now()
	s.step()
	if got := s.view.expected.Services[key].RealServers[0].Weight; got != 5 {
		t.Errorf("what was left became %d with what somebody else did", got)
	}
	if !strings.Contains(s.log.String(), `found="weight 9" op="ipvsadm -e -t 10.1.0.4:80`) {
		t.Errorf("the log does not say what was found:\n%s", s.log)
	}
}

// frozen is a kernel whose reading costs nothing.
type frozen struct {
	*model
	snapshot Snapshot
}

func (f frozen) Read(context.Context, []string) (Snapshot, error) { return f.snapshot, nil }

// BenchmarkVerdicts is from the verdicts that a rack of 1,000 real servers is
// dead to the kernel's having all weights at 0, and to the first of them, in a
// farm of 5,000 services with 10 real servers each.
func BenchmarkVerdicts(b *testing.B) {
	c := farm(5000, 10)
	s := newSteps(b, c)
	s.Log = slog.New(slog.DiscardHandler)
	var began, first time.Time
	s.kernel.fail = func(Op) error {
		if first.IsZero() {
			first = time.Now()
		}
		return nil
	}
	var toFirst time.Duration
	up := false
	for b.Loop() {
		s.readAt = time.Now().Add(time.Hour)
		began, first = time.Now(), time.Time{}
		for n := range 1000 {
			s.verdict(c.Services[n*5].RealServers[3].Checks[0], up)
		}
		s.step()
		toFirst += first.Sub(began)
		up = !up
		s.kernel.done = s.kernel.done[:0]
	}
	b.ReportMetric(float64(toFirst.Microseconds())/float64(b.N), "µs/first")
}

// BenchmarkQuietResync is a look at a kernel with 50,000 real servers that is as
// it should be, without the reading itself.
func BenchmarkQuietResync(b *testing.B) {
	s := newSteps(b, farm(5000, 10))
	snapshot, err := s.kernel.Read(b.Context(), nil)
	if err != nil {
		b.Fatal(err)
	}
	s.Kernel = frozen{s.kernel, snapshot}
	b.ReportAllocs()
	for b.Loop() {
		s.readAt = time.Now()
		s.step()
	}
}

// BenchmarkCompletePlan is a complete step at 50,000 real servers that finds
// nothing to do.
func BenchmarkCompletePlan(b *testing.B) {
	s := newSteps(b, farm(5000, 10))
	snapshot, err := s.kernel.Read(b.Context(), nil)
	if err != nil {
		b.Fatal(err)
	}
	s.Kernel = frozen{s.kernel, snapshot}
	b.ReportAllocs()
	for b.Loop() {
		s.complete = true
		s.step()
	}
}

// TestWhatIsDoneIsNotYetLeft: what was done before a batch failed is seen, and
// does not change what is expected, although the two share memory.
func TestWhatIsDoneIsNotYetLeft(t *testing.T) {
	c := farm(1, 2)
	s := newSteps(t, c)
	key := c.Services[0].IPVS.ServiceKey
	server := s.view.have.Services[key].RealServers[0]
	server.Weight = 0
	s.did([]Op{EditRealServer{key, server}})
	if have, expected := s.view.have.Services[key], s.view.expected.Services[key]; have.RealServers[0].Weight != 0 ||
		expected.RealServers[0].Weight != 5 {
		t.Errorf("have %v, expected %v", have.RealServers[0], expected.RealServers[0])
	}
}

// batches notes how many operations the kernel is given at a time.
type batches struct {
	*model
	sizes *[]int
}

func (b batches) Do(ctx context.Context, ops []Op) []error {
	*b.sizes = append(*b.sizes, len(ops))
	return b.model.Do(ctx, ops)
}

// TestTheFirstVerdictLeavesAtOnce: it does not wait for the planning of the rest,
// and the rest does not go one by one.
func TestTheFirstVerdictLeavesAtOnce(t *testing.T) {
	c := farm(700, 1)
	s := newSteps(t, c)
	var sizes []int
	s.Kernel = batches{s.kernel, &sizes}
	for n := range c.Services {
		s.verdict(c.Services[n].RealServers[0].Checks[0], false)
	}
	s.step()
	if diff := cmp.Diff([]int{1, 8, 64, 512, 115}, sizes); diff != "" {
		t.Errorf("operations at a time (-want +got):\n%s", diff)
	}
}
