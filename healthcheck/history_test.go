package healthcheck

import (
	"fmt"
	"math"
	"testing"
	"time"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/lvsd/lvsd/healthcheck/probe"
)

// The last results come back, the oldest first, without transcripts.
func TestHistoryKeepsTheLast(t *testing.T) {
	anyResult := rapid.Custom(func(t *rapid.T) probe.Result {
		code := rapid.SampledFrom([]probe.Code{probe.L4OK, probe.L4TOUT, probe.L7STS, probe.SOCKERR}).Draw(t, "code")
		return probe.Result{
			At:         newYear.Add(time.Duration(rapid.Int64Range(-1e18, 1e18).Draw(t, "at"))),
			Duration:   time.Duration(rapid.Int64Range(0, math.MaxUint32).Draw(t, "took")) * time.Microsecond,
			OK:         code.OK(),
			Code:       code,
			Reason:     rapid.SampledFrom([]string{"", "refused", "timed out"}).Draw(t, "reason"),
			Weight:     probe.Weight{Known: rapid.Bool().Draw(t, "known"), Value: rapid.IntRange(0, 65535).Draw(t, "weight")},
			Warning:    rapid.SampledFrom([]string{"", "certificate expires"}).Draw(t, "warning"),
			Transcript: rapid.SampledFrom([]string{"", "> EHLO"}).Draw(t, "transcript"),
			Tries:      rapid.IntRange(1, 1000).Draw(t, "tries"),
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		var h history
		var want []probe.Result
		for _, r := range rapid.SliceOfN(anyResult, 0, 3*HistoryLength).Draw(t, "results") {
			h.add(r)
			r.Transcript = ""
			want = append(want, r)
			want = want[max(0, len(want)-HistoryLength):]
			if diff := cmp.Diff(want, h.results(), cmpopts.EquateApproxTime(0)); diff != "" {
				t.Fatalf("history (-want +got):\n%s", diff)
			}
		}
	})
}

func TestHistoryIsSmall(t *testing.T) {
	if size := unsafe.Sizeof(past{}); size > 24 {
		t.Errorf("a result takes %d bytes, want at most 24", size)
	}
	var h history
	for n := range 3 * HistoryLength {
		h.add(probe.Result{Reason: fmt.Sprint(n)})
		if c := cap(h.kept); c > max(4, 2*len(h.kept)) || c > HistoryLength {
			t.Errorf("room for %d with %d results", c, len(h.kept))
		}
	}
	same := probe.Result{At: newYear, Code: probe.L4OK, OK: true, Transcript: "* connected"}
	if n := testing.AllocsPerRun(100, func() { h.add(same) }); n > 0 {
		t.Errorf("a result as the last one allocates %v times", n)
	}
}

func TestNoHistory(t *testing.T) {
	if got := (*history)(nil).results(); got != nil {
		t.Errorf("nil has the results %v", got)
	}
	if got := new(history).results(); got != nil {
		t.Errorf("an empty history has the results %v", got)
	}
}

func TestHistoryBoundsDurations(t *testing.T) {
	var h history
	h.add(probe.Result{Duration: -time.Second})
	h.add(probe.Result{Duration: 1999 * time.Nanosecond})
	h.add(probe.Result{Duration: 48 * time.Hour})
	for i, want := range []time.Duration{0, time.Microsecond, math.MaxUint32 * time.Microsecond} {
		if got := h.results()[i].Duration; got != want {
			t.Errorf("duration %d is %v, want %v", i, got, want)
		}
	}
}
