package director

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/track"
	"github.com/lvsd/lvsd/vrrp"
)

var (
	noon    = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	changed = time.Date(2026, 5, 4, 11, 3, 11, 0, time.UTC)
)

// depends is a tracker of weight w that is s.
func depends(name string, w int, s track.State) tracked {
	return tracked{
		Tracked: config.Tracked{Tracker: name, Weight: w}, Kind: config.TrackScript,
		finding: finding{State: s, Reason: "exit status 1"}, Since: changed,
	}
}

// number is a file tracker of weight w that holds n.
func number(w, n int) tracked {
	t := depends("drain", w, track.Up)
	t.Kind, t.Value, t.Reason = config.TrackFile, n, ""
	return t
}

func reversed(t tracked) tracked {
	t.Reverse = true
	return t
}

func TestAssess(t *testing.T) {
	overdue := depends("slow", 0, track.Unknown)
	overdue.Overdue = true
	broken := number(1, 0)
	broken.State, broken.Reason = track.Down, `"x" is not a number`
	for _, test := range []struct {
		name     string
		base     base
		tracked  []tracked
		priority uint8
		sum      string
		faults   map[string]string
		waiting  string
	}{
		{"nothing tracked", base{Priority: 100}, nil, 100, "100", nil, ""},
		{
			"a weight below 0 is taken while down",
			base{Priority: 100},
			[]tracked{depends("haproxy", -20, track.Down), depends("uplink", -30, track.Up)},
			80, "100 −20 haproxy since 11:03:11 = 80", nil, "",
		},
		{
			"a weight above 0 is added while up",
			base{Priority: 100},
			[]tracked{depends("haproxy", 20, track.Up), depends("uplink", 30, track.Down)},
			120, "100 +20 haproxy since 11:03:11 = 120", nil, "",
		},
		{
			"several terms",
			base{Priority: 100, Operator: true},
			[]tracked{depends("a", 20, track.Up), depends("b", -5, track.Down)},
			115, "100 set by operator +20 a since 11:03:11 −5 b since 11:03:11 = 115", nil, "",
		},
		{
			"reverse exchanges up and down",
			base{Priority: 100},
			[]tracked{
				reversed(depends("a", 20, track.Down)), reversed(depends("b", -5, track.Up)),
				reversed(depends("c", 7, track.Up)), reversed(depends("d", 0, track.Down)),
			},
			115, "100 +20 a since 11:03:11 −5 b since 11:03:11 = 115", nil, "",
		},
		{
			"weight 0 is FAULT while down",
			base{Priority: 100},
			[]tracked{depends("haproxy", 0, track.Down), reversed(depends("lock", 0, track.Up))},
			100, "100",
			map[string]string{"tracker haproxy": "down: exit status 1", "tracker lock": "up: exit status 1"},
			"",
		},
		{
			"the sum is bounded below",
			base{Priority: 100},
			[]tracked{depends("a", -150, track.Down)},
			1, "100 −150 a since 11:03:11 = 1 (bounded)", nil, "",
		},
		{
			"and above",
			base{Priority: 200},
			[]tracked{depends("a", 100, track.Up)},
			254, "200 +100 a since 11:03:11 = 254 (bounded)", nil, "",
		},
		{
			"the owner never changes but for FAULT",
			base{Priority: vrrp.Owner},
			[]tracked{depends("a", -20, track.Down), depends("b", 0, track.Down)},
			255, "255 (owner)",
			map[string]string{"tracker b": "down: exit status 1"},
			"",
		},
		{
			"a file is a number",
			base{Priority: 100},
			[]tracked{number(1, -20)},
			80, "100 −20 drain since 11:03:11 = 80", nil, "",
		},
		{
			"times the weight",
			base{Priority: 100},
			[]tracked{reversed(number(3, 5)), number(2, 20)},
			125, "100 −15 drain since 11:03:11 +40 drain since 11:03:11 = 125", nil, "",
		},
		{
			"a file of weight 0 is FAULT while not 0",
			base{Priority: 100},
			[]tracked{number(0, 1)},
			100, "100",
			map[string]string{"tracker drain": "up"},
			"",
		},
		{"a file of weight 0 that holds 0", base{Priority: 100}, []tracked{number(0, 0)}, 100, "100", nil, ""},
		{"a file without a number adds nothing", base{Priority: 100}, []tracked{broken}, 100, "100", nil, ""},
		{
			"an unknown tracker counts as nothing, and is waited for if it may be FAULT",
			base{Priority: 100},
			[]tracked{depends("a", -20, track.Unknown), depends("b", 20, track.Unknown), depends("c", 0, track.Unknown)},
			100, "100", nil, "c",
		},
		{
			"but not for ever",
			base{Priority: 100},
			[]tracked{overdue},
			100, "100",
			map[string]string{"tracker slow": "no answer yet"},
			"",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := assess(test.base, test.tracked, noon)
			if f.Priority != test.priority || f.Explanation != test.sum || f.Waiting != test.waiting {
				t.Errorf("priority %d, %q, waiting for %q; want %d, %q, %q",
					f.Priority, f.Explanation, f.Waiting, test.priority, test.sum, test.waiting)
			}
			if test.faults == nil {
				test.faults = map[string]string{}
			}
			if diff := cmp.Diff(test.faults, f.faults()); diff != "" {
				t.Errorf("faults (-want +got):\n%s", diff)
			}
		})
	}
}

func TestExplanationHasTheDateOfAnotherDay(t *testing.T) {
	f := assess(base{Priority: 100}, []tracked{depends("a", -20, track.Down)}, noon.AddDate(0, 0, 1))
	if want := "100 −20 a since 2026-05-04 11:03:11 = 80"; f.Explanation != want {
		t.Errorf("%q, want %q", f.Explanation, want)
	}
}

// TestAssessAddsUp checks what holds whatever is tracked.
func TestAssessAddsUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := base{Priority: rapid.IntRange(1, 255).Draw(t, "base")}
		all := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) tracked {
			d := tracked{Kind: rapid.SampledFrom([]config.TrackerKind{config.TrackFile, config.TrackCheck}).Draw(t, "kind")}
			d.Tracker, d.Since = "t", changed
			d.Weight = rapid.IntRange(-253, 253).Draw(t, "weight")
			d.Reverse = rapid.Bool().Draw(t, "reverse")
			d.State = rapid.SampledFrom([]track.State{track.Unknown, track.Up, track.Down}).Draw(t, "state")
			d.Value = rapid.IntRange(-1_000_000, 1_000_000).Draw(t, "value")
			return d
		}), 0, 6).Draw(t, "tracked")
		f := assess(b, all, noon)

		if (b.Priority == vrrp.Owner) != (f.Priority == vrrp.Owner) || f.Priority == 0 {
			t.Fatalf("base %d became %d", b.Priority, f.Priority)
		}
		sum := b.Priority
		for _, c := range f.Contributions {
			sum += c.Applied
			if c.Applied != 0 && c.Fault != "" {
				t.Fatalf("%+v both counts and is a fault", c)
			}
			if c.State == track.Unknown && (c.Applied != 0 || c.Fault != "") {
				t.Fatalf("%+v has not answered", c)
			}
		}
		if b.Priority != vrrp.Owner && int(f.Priority) != min(max(sum, 1), 254) {
			t.Fatalf("priority %d of the sum %d", f.Priority, sum)
		}
		_, result, any := strings.Cut(strings.TrimSuffix(f.Explanation, " (bounded)"), " = ")
		if any && result != strconv.Itoa(int(f.Priority)) {
			t.Fatalf("%q explains %d", f.Explanation, f.Priority)
		}
	})
}
