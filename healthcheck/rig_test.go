package healthcheck

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lvsd/lvsd/healthcheck/probe"
)

// A rig is a pool in a bubble whose probes are the test's.
type rig struct {
	*Pool
	t    *testing.T
	zero time.Time

	mu      sync.Mutex
	began   map[Spec][]time.Duration // starts of probes, since zero
	changes []string
	notices []string
}

// newRig runs a pool with checks of specs. answer says how a probe ends, and
// may sleep first; nil is a success at once.
func newRig(t *testing.T, answer func(ctx context.Context, s Spec, n int) probe.Code, specs ...Spec) *rig {
	r := &rig{t: t, zero: time.Now(), began: map[Spec][]time.Duration{}}
	r.Pool = NewPool(Limits{}, func(c Change) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.changes = append(r.changes, fmt.Sprintf("%v -> %v %s", c.From, c.To, c.Result.Code))
	}, func(n Notice) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.notices = append(r.notices, fmt.Sprintf("%s over=%v %s", n.Kind, n.Over, n.Text))
	})
	r.ask = func(ctx context.Context, s Spec) probe.Result {
		result := probe.Result{At: time.Now(), Code: probe.L7OK}
		if n := r.note(s); answer != nil {
			result.Code = answer(ctx, s, n)
		}
		result.OK, result.Duration = result.Code.OK(), time.Since(result.At)
		return result
	}
	r.update(specs...)
	return r
}

// note takes down that a probe of s begins, and returns how many did before.
func (r *rig) note(s Spec) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.began[s] = append(r.began[s], time.Since(r.zero))
	return len(r.began[s]) - 1
}

func (r *rig) update(specs ...Spec) {
	r.t.Helper()
	if err := r.Update(specs); err != nil {
		r.t.Fatal(err)
	}
}

// run starts the pool; it is stopped and waited for when the bubble ends.
func (r *rig) run() {
	ctx, cancel := context.WithCancel(r.t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	r.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			r.t.Error(err)
		}
	})
}

// after lets d pass, and all that is due in it happen.
func (r *rig) after(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// starts returns when the probes of s began, since the rig did.
func (r *rig) starts(s Spec) []time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.began[s])
}

// gaps returns when the probes of s began, since the first.
func (r *rig) gaps(s Spec) []time.Duration {
	starts := r.starts(s)
	for i, first := range slices.Repeat(starts[:1], len(starts)) {
		starts[i] -= first
	}
	return starts
}

func (r *rig) expectChanges(want ...string) {
	r.t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if diff := cmp.Diff(want, r.changes); diff != "" {
		r.t.Errorf("changes (-want +got):\n%s", diff)
	}
}

// expectNotices fails the test unless the notices since the last time were
// these, which may be told by a part.
func (r *rig) expectNotices(want ...string) {
	r.t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	same := func(got, want string) bool { return strings.Contains(got, want) }
	if !slices.EqualFunc(r.notices, want, same) {
		r.t.Errorf("notices %q, want %q", r.notices, want)
	}
	r.notices = nil
}

func (r *rig) expectVerdict(s Spec, want Verdict) {
	r.t.Helper()
	status, ok := r.Status(s)
	if diff := cmp.Diff(want, status.Verdict); !ok || diff != "" {
		r.t.Errorf("%v: in the pool: %v, verdict (-want +got):\n%s", s, ok, diff)
	}
}

func (r *rig) answered() bool {
	select {
	case <-r.Answered():
		return true
	default:
		return false
	}
}

// after returns an answer that comes after d.
func after(d time.Duration, code probe.Code) func(context.Context, Spec, int) probe.Code {
	return func(ctx context.Context, _ Spec, _ int) probe.Code {
		select {
		case <-time.After(d):
			return code
		case <-ctx.Done():
			return probe.SOCKERR
		}
	}
}

// inTurn returns answers from codes, the last one for ever.
func inTurn(codes ...probe.Code) func(context.Context, Spec, int) probe.Code {
	return func(_ context.Context, _ Spec, n int) probe.Code { return codes[min(n, len(codes)-1)] }
}

// server is a check of the server with that number.
func server(n int, alter ...func(*Check)) Spec {
	return specOf(probe.TCP{}, netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, byte(n >> 8), byte(n)}), 25), alter...)
}

func seconds(all ...float64) []time.Duration {
	var d []time.Duration
	for _, s := range all {
		d = append(d, time.Duration(s*float64(time.Second)))
	}
	return d
}
