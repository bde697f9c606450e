package healthcheck

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/lvsd/lvsd/healthcheck/probe"
)

// fleet is a number of checks that share an ownFault, spread evenly over their
// intervals.
type fleet struct {
	t        *testing.T
	now      time.Time
	ownFault ownFault
	members  []*member
}

type member struct {
	check   Check
	status  Status
	witness witness
	due     time.Time
	removed bool
}

// newFleet has count checks of each of the checks, one per address, all up.
func newFleet(t *testing.T, limits OwnFault, count int, checks ...Check) *fleet {
	f := &fleet{t: t, now: newYear, ownFault: ownFault{limits: limits}}
	for n := range count * len(checks) {
		check := checks[n%len(checks)]
		m := &member{check: check, due: newYear.Add(check.Interval * time.Duration(n) / time.Duration(count*len(checks)))}
		m.witness.address = netip.AddrFrom4([4]byte{192, 0, byte(n / 256), byte(n % 256)})
		f.members = append(f.members, m)
	}
	longest := time.Duration(0)
	for _, c := range checks {
		longest = max(longest, c.Interval)
	}
	f.run(2*longest, func(int) probe.Code { return probe.L4OK })
	f.expect(count*len(checks), "")
	return f
}

// run lets time pass in which the checks find what code says of each.
func (f *fleet) run(d time.Duration, code func(n int) probe.Code) {
	for end := f.now.Add(d); ; {
		var next *member
		var number int
		for n, m := range f.members {
			if !m.removed && (next == nil || m.due.Before(next.due)) {
				next, number = m, n
			}
		}
		if next == nil || next.due.After(end) {
			f.now = end
			return
		}
		f.now = next.due
		next.due = next.due.Add(next.check.Interval)
		c := code(number)
		next.status = f.ownFault.after(&next.witness, next.check, next.status, probe.Result{At: f.now, Code: c, OK: c.OK()})
	}
}

// expect expects so many checks to be up, and a part of what holds verdicts, or
// that nothing does.
func (f *fleet) expect(up int, held string) {
	f.t.Helper()
	got := 0
	for _, m := range f.members {
		if m.status.Up && !m.removed {
			got++
		}
	}
	text := f.ownFault.holds(f.now)
	if got != up || (text == "") != (held == "") || !strings.Contains(text, held) {
		f.t.Errorf("after %v: %d up, held %q; want %d and %q", f.now.Sub(newYear), got, text, up, held)
	}
}

func always(c probe.Code) func(int) probe.Code { return func(int) probe.Code { return c } }

// below has the first checks find the code, the others that all is well.
func below(count int, c probe.Code) func(int) probe.Code {
	return func(n int) probe.Code {
		if n < count {
			return c
		}
		return probe.L4OK
	}
}

var (
	everySecond = Check{Interval: time.Second, Timeout: time.Second, Rise: 1, Fall: 3}
	suspicious  = OwnFault{Percent: 50, Minimum: 10, Hold: time.Minute}
)

func TestLostLinkHoldsVerdicts(t *testing.T) {
	f := newFleet(t, suspicious, 100, everySecond)
	f.run(30*time.Second, always(probe.L4TOUT))
	f.expect(100, "100 of 100 checks began to fail within 1s: this host is suspected, verdicts stay until 00:01:02")
	for n, m := range f.members {
		if m.status.Held != f.ownFault.holds(f.now) || m.status.Failures < 29 {
			t.Fatalf("check %d is held by %q after %d failures", n, m.status.Held, m.status.Failures)
		}
	}
	f.run(time.Second, always(probe.L4OK))
	f.expect(100, "")
	for n, m := range f.members {
		if m.status.Flap.Score != 0 || m.status.Held != "" {
			t.Fatalf("check %d has %+v and is held by %q; nothing happened", n, m.status.Flap, m.status.Held)
		}
	}
	f.run(2*time.Second, below(40, probe.L4TOUT))
	f.run(time.Second, below(40, probe.L4TOUT))
	f.expect(60, "")
}

func TestRackCountsAtOnce(t *testing.T) {
	f := newFleet(t, suspicious, 100, everySecond)
	f.run(3*time.Second, below(40, probe.L4CON))
	f.expect(60, "")
}

func TestDeadServersGoDownAfterHold(t *testing.T) {
	f := newFleet(t, suspicious, 100, everySecond)
	f.run(59*time.Second, below(80, probe.L4TOUT))
	f.expect(100, "80 of 100")
	f.run(4*time.Second, below(80, probe.L4TOUT))
	f.expect(20, "")
	// And for good: 10 more are below the share of what is left.
	f.run(10*time.Minute, below(80, probe.L4TOUT))
	f.expect(20, "")
	f.run(3*time.Second, below(85, probe.L4TOUT))
	f.expect(15, "")
	// Those that came back make the next event one again.
	f.run(3*time.Second, always(probe.L4OK))
	f.run(3*time.Second, always(probe.L4TOUT))
	f.expect(100, "100 of 100")
}

func TestHoldWithoutBound(t *testing.T) {
	f := newFleet(t, OwnFault{Percent: 50, Minimum: 10}, 100, everySecond)
	f.run(5*time.Minute, always(probe.L4TOUT))
	f.expect(100, "verdicts stay until checks pass again")
}

func TestRecoveryInBetween(t *testing.T) {
	f := newFleet(t, suspicious, 100, everySecond)
	f.run(10*time.Second, always(probe.L4TOUT))
	f.expect(100, "100 of 100")
	// The link is back and 30 servers are dead after all: what they failed
	// before counts.
	f.run(time.Second, below(30, probe.L4TOUT))
	f.run(time.Second, below(30, probe.L4TOUT))
	f.expect(70, "")
	// Lost again, the time to hold begins anew.
	f.run(10*time.Second, always(probe.L4CON))
	f.run(49*time.Second, always(probe.L4CON))
	f.expect(70, "70 of 70")
}

func TestOneFailureIsEnough(t *testing.T) {
	check := everySecond
	check.Fall = 1
	f := newFleet(t, suspicious, 100, check)
	f.run(20*time.Second, always(probe.L4TOUT))
	f.expect(51, "100 of 100") // those before the 50th are down
	f.run(time.Second, always(probe.L4OK))
	f.expect(100, "")
}

func TestIntervalsThatDiffer(t *testing.T) {
	slow, patient := everySecond, everySecond
	slow.Interval = 5 * time.Second
	patient.Timeout, patient.Retries, patient.RetryDelay = 4*time.Second, 1, time.Second
	f := newFleet(t, suspicious, 50, everySecond, slow, patient)
	f.run(20*time.Second, always(probe.L4TOUT))
	f.expect(150, "150 of 150")

	for _, test := range []struct {
		check Check
		want  time.Duration
	}{{everySecond, 2 * time.Second}, {slow, 10 * time.Second}, {patient, 18 * time.Second}} {
		if got := test.check.window(); got != test.want {
			t.Errorf("window %v, want %v", got, test.want)
		}
	}
}

func TestNotTogether(t *testing.T) {
	check := everySecond
	check.Fall = 10
	f := newFleet(t, suspicious, 100, check)
	// After 9 s, 60 fail whose verdict is up, but only 20 began within a window.
	for dead := 0; dead <= 100; dead += 20 {
		f.run(3*time.Second, below(dead, probe.L4TOUT))
		if text := f.ownFault.holds(f.now); text != "" {
			t.Errorf("%d dead: %s", dead, text)
		}
	}
	f.run(10*time.Second, always(probe.L4TOUT))
	f.expect(0, "")
}

func TestWhatDoesNotAccuse(t *testing.T) {
	for name, test := range map[string]struct {
		limits OwnFault
		count  int
		code   probe.Code
		spoil  func(*fleet)
	}{
		"off":          {OwnFault{Minimum: 1}, 100, probe.L4TOUT, nil},
		"a small pool": {suspicious, 9, probe.L4TOUT, nil},
		"a proper no":  {suspicious, 100, probe.L7STS, nil},
		"services of two hosts": {suspicious, 100, probe.L4TOUT, func(f *fleet) {
			for n, m := range f.members {
				m.witness.address = f.members[n%2].witness.address
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFleet(t, test.limits, test.count, everySecond)
			if test.spoil != nil {
				test.spoil(f)
			}
			f.run(3*time.Second, always(test.code))
			f.expect(0, "")
		})
	}
	f := newFleet(t, suspicious, 10, everySecond)
	f.run(3*time.Second, always(probe.L4TOUT))
	f.expect(10, "10 of 10")
	f = newFleet(t, suspicious, 100, everySecond)
	f.run(30*time.Second, always(probe.SOCKERR))
	f.expect(100, "")
}

func TestRemovedWhileFailing(t *testing.T) {
	f := newFleet(t, suspicious, 100, everySecond)
	f.run(10*time.Second, below(50, probe.L4TOUT))
	f.expect(100, "50 of 100")
	f.members[7].removed = true
	f.ownFault.remove(&f.members[7].witness, f.now)
	f.expect(99, "")
	f.run(time.Second, below(50, probe.L4TOUT))
	f.expect(50, "")

	f = newFleet(t, suspicious, 100, everySecond)
	f.run(10*time.Second, below(50, probe.L4TOUT))
	for _, m := range f.members {
		m.removed = true
		f.ownFault.remove(&m.witness, f.now)
	}
	if o := &f.ownFault; o.checks != 0 || o.accusing != 0 || o.first != nil || o.last != nil || len(o.addresses) != 0 {
		t.Errorf("%+v, want nothing left", o)
	}
}

// A predecessor's verdicts are held as well: the link was lost before the start.
func TestInheritedVerdictsAreHeld(t *testing.T) {
	f := newFleet(t, suspicious, 100, everySecond)
	f.ownFault = ownFault{limits: suspicious}
	for _, m := range f.members {
		m.status = Status{Verdict: Verdict{Up: true, Inherited: true}}
		m.witness = witness{address: m.witness.address}
		f.ownFault.verdict(&m.witness, m.status.Verdict, f.now)
	}
	f.run(300*time.Millisecond, always(probe.L4TOUT))
	f.expect(100, "")
	f.run(20*time.Second, always(probe.L4TOUT))
	f.expect(100, "100 of 100")
}

func TestLimitsChange(t *testing.T) {
	f := newFleet(t, suspicious, 100, everySecond)
	f.run(10*time.Second, below(60, probe.L4TOUT))
	f.expect(100, "until 00:01:02")
	f.ownFault.setLimits(OwnFault{Percent: 50, Minimum: 10, Hold: 2 * time.Minute}, f.now)
	f.expect(100, "until 00:02:02")
	f.ownFault.setLimits(OwnFault{Percent: 70, Minimum: 10}, f.now)
	f.expect(100, "")
	f.run(time.Second, below(60, probe.L4TOUT))
	f.expect(40, "")
}

// The rules again, each read off a list of all checks.
type naive struct {
	limits  OwnFault
	members []*member // their witness only has the address and when it began
	since   time.Time
}

func (m *naive) judge(now time.Time) (checks, accusing int) {
	if !m.since.IsZero() && !m.holds(now) {
		for _, c := range m.members {
			c.witness.began = time.Time{}
		}
	}
	var addresses []netip.Addr
	for _, c := range m.members {
		accuses := !c.witness.began.IsZero()
		if !c.removed && (accuses || c.status.Up && (c.status.State == Up || c.status.Inherited)) {
			checks++
		}
		if !c.removed && accuses {
			accusing++
			if !slices.Contains(addresses, c.witness.address) {
				addresses = append(addresses, c.witness.address)
			}
		}
	}
	if m.limits.Percent == 0 || checks < m.limits.Minimum || len(addresses) < 3 ||
		float64(accusing)/float64(checks) < float64(m.limits.Percent)/100 {
		m.since = time.Time{}
	} else if m.since.IsZero() {
		m.since = now
	}
	return checks, accusing
}

func (m *naive) holds(now time.Time) bool {
	return !m.since.IsZero() && (m.limits.Hold == 0 || now.Sub(m.since) < m.limits.Hold)
}

func (m *naive) after(c *member, r probe.Result) {
	w := &c.witness
	m.judge(r.At)
	switch answered := r.OK || r.Code == probe.L7STS; {
	case r.Code == probe.SOCKERR:
	case !w.began.IsZero() && answered:
		w.began = time.Time{}
	case !w.began.IsZero() && !m.holds(r.At) && r.At.Sub(w.began) >= 2*c.check.Interval:
		w.began = time.Time{}
	case w.began.IsZero() && !answered && c.status.Streak == 0 && c.status.Up && (c.status.State == Up || c.status.Inherited):
		w.began = r.At
		m.judge(r.At)
	}
	why := ""
	if m.holds(r.At) {
		why = "why"
	}
	c.status = c.status.after(c.check, why, r)
	m.judge(r.At)
}

func TestOwnFaultIsItsDefinition(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		anyLimits := rapid.Custom(func(t *rapid.T) OwnFault {
			return OwnFault{
				Percent: rapid.SampledFrom([]int{33, 50, 51, 75, 100, 0}).Draw(t, "percent"),
				Minimum: rapid.SampledFrom([]int{0, 1, 3, 4}).Draw(t, "minimum"),
				Hold:    time.Duration(rapid.SampledFrom([]int{3, 2, 1, 0}).Draw(t, "hold")) * time.Second,
			}
		})
		limits := anyLimits.Draw(t, "limits")
		real, model := ownFault{limits: limits}, naive{limits: limits}
		var members []*member
		now := newYear
		for n := range rapid.IntRange(3, 8).Draw(t, "checks") {
			interval := time.Duration(rapid.IntRange(1, 3).Draw(t, "interval")) * time.Second
			check := Check{Interval: interval, Timeout: interval, Rise: 1, Fall: rapid.IntRange(1, 3).Draw(t, "fall")}
			up := rapid.Bool().Draw(t, "up")
			status := Status{Verdict: Verdict{Up: up, Inherited: up && rapid.Bool().Draw(t, "inherited")}}
			address := netip.AddrFrom4([4]byte{192, 0, 2, byte(n * 3 / 4)})
			members = append(members, &member{check: check, status: status, witness: witness{address: address}})
			model.members = append(model.members, &member{check: check, status: status, witness: witness{address: address}})
			real.verdict(&members[n].witness, status.Verdict, now)
		}
		good := false
		events := slices.Repeat([]string{"result"}, 30)
		events = append(events, "turn", "turn", "limits", "remove")
		for range 100 {
			now = now.Add(rapid.SampledFrom([]time.Duration{0, 1, 2, 5, 10}).Draw(t, "pause") * 100 * time.Millisecond)
			n := rapid.IntRange(0, len(members)-1).Draw(t, "check")
			c, d := members[n], model.members[n]
			switch event := rapid.SampledFrom(events).Draw(t, "event"); {
			case c.removed:
				continue
			case event == "remove":
				c.removed, d.removed = true, true
				d.status, d.witness.began = Status{}, time.Time{}
				real.remove(&c.witness, now)
				model.judge(now)
			case event == "limits":
				limits = anyLimits.Draw(t, "new limits")
				model.limits = limits
				real.setLimits(limits, now)
				model.judge(now)
			case event == "turn": // what most results will be from now on
				good = !good
				continue
			default:
				codes := []probe.Code{probe.L4TOUT, probe.L4TOUT, probe.L4TOUT, probe.L4CON, probe.L4OK, probe.L7STS, probe.SOCKERR}
				if good {
					codes = []probe.Code{probe.L4OK, probe.L4OK, probe.L4OK, probe.L4TOUT}
				}
				r := probe.Result{At: now, Code: rapid.SampledFrom(codes).Draw(t, "code")}
				r.OK = r.Code.OK()
				before, held := c.status, real.holds(now)
				c.status = real.after(&c.witness, c.check, c.status, r)
				model.after(d, r)
				if c.status.Verdict != d.status.Verdict || (c.status.Held == "") != (d.status.Held == "") {
					t.Fatalf("after %s: %+v held %q, want %+v held %q", r.Code, c.status.Verdict, c.status.Held, d.status.Verdict, d.status.Held)
				}
				if before.State == Up && !c.status.Up && held != "" {
					t.Fatalf("went down while verdicts are held: %s", held)
				}
			}
			checks, accusing := model.judge(now)
			text := real.holds(now)
			if (text != "") != model.holds(now) || !real.since.Equal(model.since) {
				t.Fatalf("held %q since %v, want %v since %v", text, real.since, model.holds(now), model.since)
			}
			if real.checks != checks || real.accusing != accusing ||
				text != "" && !strings.HasPrefix(text, fmt.Sprintf("%d of %d checks ", accusing, checks)) {
				t.Fatalf("%d of %d, held %q; want %d of %d", real.accusing, real.checks, text, accusing, checks)
			}
			expectList(t, &real)
		}
	})
}

// expectList expects the list of o to be whole in both directions, in order.
func expectList(t *rapid.T, o *ownFault) {
	length := 0
	var previous *witness
	for w := o.first; w != nil; previous, w = w, w.next {
		if length++; w.previous != previous || previous != nil && w.began.Before(previous.began) {
			t.Fatalf("number %d of the list is not where it should be", length)
		}
	}
	if length != o.accusing || o.last != previous {
		t.Fatalf("the list has %d that accuse, want %d", length, o.accusing)
	}
}

func BenchmarkOwnFault(b *testing.B) {
	const count = 10_000
	o := ownFault{limits: suspicious}
	witnesses := make([]witness, count)
	statuses := make([]Status, count)
	for n := range witnesses {
		witnesses[n].address = netip.AddrFrom4([4]byte{10, 0, byte(n / 256), byte(n % 256)})
	}
	at := newYear
	for n := 0; b.Loop(); n++ {
		at = at.Add(100 * time.Microsecond)
		r := probe.Result{At: at, Code: probe.L4OK, OK: true}
		if n/(10*count)%2 == 1 {
			r.Code, r.OK = probe.L4TOUT, false
		}
		statuses[n%count] = o.after(&witnesses[n%count], everySecond, statuses[n%count], r)
	}
}
