package director

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// drawOverride draws one that makes sense, of few targets, times and nodes, so that
// two of them meet often.
func drawOverride(t *rapid.T) Override {
	o := Override{
		Node: rapid.SampledFrom([]string{"a", "b"}).Draw(t, "node"),
		At:   noon.Add(time.Duration(rapid.IntRange(0, 3).Draw(t, "at")) * time.Minute),
		By:   rapid.SampledFrom([]string{"", "root"}).Draw(t, "by"),
	}
	switch rapid.IntRange(0, 3).Draw(t, "kind") {
	case 0:
		o.Target.Node = rapid.SampledFrom([]string{"a", "b"}).Draw(t, "target node")
		o.Addresses = []netip.Addr{netip.AddrFrom4([4]byte{10, 0, 0, byte(rapid.IntRange(1, 5).Draw(t, "address"))})}
	case 1:
		o.Target.Service = drawName(t)
	default:
		service := drawName(t)
		o.Target = Target{Service: service, Server: fmt.Sprintf("10.0.0.%d:%s", rapid.IntRange(1, 5).Draw(t, "server"), service[3:])}
		if rapid.Bool().Draw(t, "weighs") {
			weight := rapid.IntRange(0, 9).Draw(t, "weight")
			o.Weight = &weight
		}
	}
	o.State = rapid.SampledFrom([]AdminState{Enabled, Drain, Disabled}).Draw(t, "state")
	o.Cleared = rapid.IntRange(0, 4).Draw(t, "cleared") == 0
	if rapid.Bool().Draw(t, "ends") {
		o.Until = o.At.Add(time.Duration(rapid.IntRange(1, 3).Draw(t, "for")) * time.Hour)
	}
	return o
}

// drawName draws the name of a service as drawConfig has them.
func drawName(t *rapid.T) string {
	return fmt.Sprintf("s%d-%d", rapid.IntRange(0, 1).Draw(t, "vip"), rapid.IntRange(25, 27).Draw(t, "port"))
}

func setOf(overrides ...Override) overrideSet {
	set, _, _ := overrideSet{}.with(overrides...)
	return set
}

// TestOverridesAgreeInAnyOrder: nodes that have been told the same come to the same,
// in whatever order, how often and by whom they were told.
func TestOverridesAgreeInAnyOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := rapid.SliceOfN(rapid.Custom(drawOverride), 0, 6)
		a, b, c := draw.Draw(t, "a"), draw.Draw(t, "b"), draw.Draw(t, "c")
		same := func(law string, one, other overrideSet) {
			t.Helper()
			if diff := cmp.Diff(one.list(), other.list(), compareStates); diff != "" || !one.latest.Equal(other.latest) {
				t.Fatalf("%s (-one +other):\n%s", law, diff)
			}
		}
		merge := func(s, other overrideSet) overrideSet {
			next, _, _ := s.with(other.list()...)
			next.latest = later(next.latest, other.latest)
			return next
		}
		sa, sb, sc := setOf(a...), setOf(b...), setOf(c...)
		same("commutative", merge(sa, sb), merge(sb, sa))
		same("associative", merge(merge(sa, sb), sc), merge(sa, merge(sb, sc)))
		same("idempotent", merge(sa, sa), sa)
		all := slices.Concat(a, b, c)
		same("any delivery", setOf(all...), setOf(rapid.Permutation(append(all, a...)).Draw(t, "delivery")...))
		if _, news, _ := setOf(all...).with(all...); len(news) != 0 {
			t.Fatalf("what is known is new: %v", news)
		}
	})
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// TestOverridesAreNotChangedByWith: the loop reads a set without a lock.
func TestOverridesAreNotChangedByWith(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := rapid.SliceOfN(rapid.Custom(drawOverride), 0, 6)
		set := setOf(draw.Draw(t, "first")...)
		before := set.list()
		set.with(draw.Draw(t, "then")...)
		set.without(noon.Add(time.Hour * 24 * 365))
		if diff := cmp.Diff(before, set.list(), compareStates); diff != "" {
			t.Fatalf("changed (-before +after):\n%s", diff)
		}
	})
}

func TestLaterOverrideStands(t *testing.T) {
	of := func(node string, minute int, state AdminState) Override {
		return Override{Target: Target{Service: "smtp"}, Node: node, At: noon.Add(time.Duration(minute) * time.Minute), State: state}
	}
	for name, test := range map[string]struct {
		overrides []Override
		want      AdminState
	}{
		"the later":                        {[]Override{of("b", 1, Drain), of("a", 2, Disabled)}, Disabled},
		"the later that comes first":       {[]Override{of("a", 2, Disabled), of("b", 1, Drain)}, Disabled},
		"at one time, of the greater node": {[]Override{of("b", 1, Drain), of("a", 1, Disabled)}, Drain},
	} {
		t.Run(name, func(t *testing.T) {
			if got := setOf(test.overrides...).all[Target{Service: "smtp"}].State; got != test.want {
				t.Errorf("%q stands, want %q", got, test.want)
			}
		})
	}
}

func TestOverridesEndAndAreForgotten(t *testing.T) {
	week := 7 * 24 * time.Hour
	target := Target{Service: "smtp"}
	for name, test := range map[string]struct {
		override Override
		ends     time.Duration // after noon; negative is never
		gone     time.Duration
	}{
		"without end": {Override{State: Drain}, -1, -1},
		"for an hour": {Override{State: Drain, Until: noon.Add(time.Hour)}, time.Hour, time.Hour + week},
		"cleared":     {Override{Cleared: true}, 0, week},
	} {
		t.Run(name, func(t *testing.T) {
			o := test.override
			o.Target, o.At, o.Node = target, noon, "a"
			set := setOf(o)
			for _, after := range []time.Duration{0, time.Hour - 1, time.Hour, week - 1, week, week + time.Hour - 1, week + time.Hour, 100 * week} {
				now := noon.Add(after)
				_, stands := set.standing(target, now)
				if want := test.ends < 0 || after < test.ends; stands != want {
					t.Errorf("after %v it stands: %v", after, stands)
				}
				_, known := set.without(now).all[target]
				if want := test.gone < 0 || after < test.gone; known != want {
					t.Errorf("after %v it is known: %v", after, known)
				}
			}
		})
	}
}

// TestOverrideClock: a node whose clock is behind can still take back what another
// ordered, also after that has been forgotten.
func TestOverrideClock(t *testing.T) {
	set := setOf(Override{Target: Target{Service: "smtp"}, State: Drain, Node: "ahead", At: noon.Add(time.Hour)})
	if at := set.tick(noon); !at.After(noon.Add(time.Hour)) {
		t.Errorf("at %v", at)
	}
	if at := set.tick(noon.Add(2 * time.Hour)); !at.Equal(noon.Add(2 * time.Hour)) {
		t.Errorf("at %v although the clock is right", at)
	}
	kept := ordersOf(set.without(noon.Add(time.Hour*24*365)), upkeep{}).set()
	if at := kept.tick(noon); !at.After(noon.Add(time.Hour)) {
		t.Errorf("after a restart at %v", at)
	}
}

func TestOverrideSetIsBounded(t *testing.T) {
	var set overrideSet
	var all []Override
	for n := range maxOverrides + 5 {
		all = append(all, Override{Target: Target{Service: fmt.Sprint(n)}, State: Drain, Node: "a", At: noon})
	}
	set, news, refused := set.with(all...)
	if len(set.all) != maxOverrides || len(news) != maxOverrides || refused != 5 {
		t.Errorf("%d kept, %d new, %d refused", len(set.all), len(news), refused)
	}
	again := all[0]
	again.At, again.Cleared = noon.Add(1), true
	if _, news, refused := set.with(again); len(news) != 1 || refused != 0 {
		t.Error("in a full set what is known cannot be changed")
	}
}

func TestOverrideValidate(t *testing.T) {
	weight := func(n int) *int { return &n }
	server := Target{Service: "smtp", Server: "192.0.2.1:25"}
	for name, test := range map[string]struct {
		change func(*Override)
		want   string // empty is valid
	}{
		"drain":                 {func(*Override) {}, ""},
		"weight":                {func(o *Override) { o.State, o.Weight = "", weight(0) }, ""},
		"service":               {func(o *Override) { o.Target = Target{Service: "smtp"} }, ""},
		"node":                  {func(o *Override) { o.Target = Target{Node: "relay1"} }, ""},
		"IPv6":                  {func(o *Override) { o.Target.Server = "[2001:db8::1]:25" }, ""},
		"cleared":               {func(o *Override) { o.State, o.Cleared = "", true }, ""},
		"nothing":               {func(o *Override) { o.State = "" }, "neither a state nor a weight"},
		"state":                 {func(o *Override) { o.State = "down" }, `state "down"`},
		"weight of a service":   {func(o *Override) { o.Target.Server, o.Weight = "", weight(1) }, "a weight is for a real server"},
		"weight too great":      {func(o *Override) { o.Weight = weight(65536) }, "want 0..65535"},
		"weight below 0":        {func(o *Override) { o.Weight = weight(-1) }, "want 0..65535"},
		"no target":             {func(o *Override) { o.Target = Target{} }, "no target"},
		"node and service":      {func(o *Override) { o.Target.Node = "relay1" }, "want one of them"},
		"server alone":          {func(o *Override) { o.Target.Service = "" }, "without its service"},
		"server without a port": {func(o *Override) { o.Target.Server = "192.0.2.1" }, "want ADDRESS:PORT"},
		"long reason":           {func(o *Override) { o.Reason = strings.Repeat("a", 257) }, "reason of 257 bytes"},
		"control characters":    {func(o *Override) { o.Reason = "a\x1b[2J" }, "without control characters"},
		"not UTF-8":             {func(o *Override) { o.By = "\xff" }, "want UTF-8"},
		"no node":               {func(o *Override) { o.Node = "" }, "on which node"},
		"no time":               {func(o *Override) { o.At = time.Time{} }, "when it was ordered"},
		"far future":            {func(o *Override) { o.At = noon.AddDate(8000, 0, 0) }, "in the year 10026"},
		"many addresses":        {func(o *Override) { o.Addresses = make([]netip.Addr, 257) }, "257 addresses"},
	} {
		t.Run(name, func(t *testing.T) {
			o := Override{Target: server, State: Drain, Node: "relay1", At: noon}
			test.change(&o)
			err := o.validate()
			if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v, want %q", err, test.want)
			}
		})
	}
}

func TestOverrideFile(t *testing.T) {
	directory := filepath.Join(t.TempDir(), "state", "lvsd")
	f := overrideFile(filepath.Join(directory, "overrides.json"))
	if o, err := f.load(); err != nil || len(o.Overrides) != 0 {
		t.Fatalf("no file: %v, %v", o, err)
	}
	rapid.Check(t, func(t *rapid.T) {
		set := setOf(rapid.SliceOfN(rapid.Custom(drawOverride), 0, 6).Draw(t, "set")...)
		holds := SetOf(rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"a", "b"}), 0, 2, rapid.ID).Draw(t, "holds")...)
		as := rapid.SampledFrom([]string{"", "node1"}).Draw(t, "as")
		if err := f.save(ordersOf(set, upkeep{as, holds})); err != nil {
			t.Fatal(err)
		}
		o, err := f.load()
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(set.list(), o.set().list(), compareStates); diff != "" || !set.latest.Equal(o.set().latest) {
			t.Fatalf("(-saved +loaded):\n%s", diff)
		}
		if diff := cmp.Diff(holds, o.upkeep().holds); diff != "" || o.upkeep().as != as {
			t.Fatalf("as %q, holds (-saved +loaded):\n%s", o.upkeep().as, diff)
		}
	})
	if entries, err := os.ReadDir(directory); err != nil || len(entries) != 1 {
		t.Errorf("beside the file there is %v, %v", entries, err)
	}
	damaged := []string{"", "{", `[]`, `{"overrides":[{"target":{},"state":"drain","node":"a","at":"2026-01-01T12:00:00Z"}]}`}
	for _, text := range damaged {
		if err := os.WriteFile(string(f), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if o, err := f.load(); err == nil {
			t.Errorf("%q was read as %v", text, o)
		}
	}
}

// FuzzMergeOverrides: whatever another node tells, what is taken in can be written
// down and read again.
func FuzzMergeOverrides(f *testing.F) {
	f.Add(`[{"target":{"service":"smtp","server":"192.0.2.1:25"},"state":"drain","node":"a","at":"2026-01-01T12:00:00Z"}]`)
	f.Add(`[{"target":{"node":"a"},"state":"drain","node":"a","at":"9999-12-31T23:59:59.999999999Z"}]`)
	f.Fuzz(func(t *testing.T, text string) {
		var overrides []Override
		if json.Unmarshal([]byte(text), &overrides) != nil {
			return
		}
		overrides = slices.DeleteFunc(overrides, func(o Override) bool { return o.validate() != nil })
		set := setOf(overrides...)
		set.latest = set.tick(noon)
		data, err := json.Marshal(ordersOf(set, upkeep{}))
		if err != nil {
			t.Fatal(err)
		}
		var o orders
		if err := json.Unmarshal(data, &o); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(set.list(), o.set().list(), compareStates); diff != "" {
			t.Fatalf("(-told +read):\n%s", diff)
		}
	})
}

func drawOverrides(t *rapid.T) []Override {
	return rapid.SliceOfN(rapid.Custom(drawOverride), 0, 5).Draw(t, "overrides")
}
