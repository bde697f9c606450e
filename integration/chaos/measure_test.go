package main

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestSumFindsTheOutage(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	try := func(begun, ended time.Duration, err error) attempt {
		return attempt{start.Add(begun), start.Add(ended), err}
	}
	ms := time.Millisecond
	refused := errors.New("connect: connection refused")
	for _, test := range []struct {
		name     string
		attempts []attempt
		want     Tally
	}{
		{"nothing", nil, Tally{Errors: map[string]int{}}},
		{
			"all well",
			[]attempt{try(0, 5*ms, nil), try(40*ms, 45*ms, nil)},
			Tally{New: 2, Outage: 40 * ms, Errors: map[string]int{}},
		},
		{
			// One that was begun in the outage ends late: others had succeeded before.
			"a retry",
			[]attempt{try(0, 5*ms, nil), try(100*ms, 3100*ms, nil), try(2000*ms, 2010*ms, nil), try(3000*ms, 3010*ms, nil)},
			Tally{New: 4, Outage: 2005 * ms, Errors: map[string]int{}},
		},
		{
			"refused until the end",
			[]attempt{try(0, 5*ms, nil), try(100*ms, 105*ms, refused), try(200*ms, 205*ms, refused)},
			Tally{New: 3, Failed: 2, Outage: 200 * ms, Errors: map[string]int{"connection refused": 2}},
		},
		{
			"never",
			[]attempt{try(0, 500*ms, refused)},
			Tally{New: 1, Failed: 1, Outage: 500 * ms, Errors: map[string]int{"connection refused": 1}},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, sum(test.attempts)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestSplit(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	at := func(s int, nodes int) holding { return holding{start.Add(time.Duration(s) * time.Second), nodes} }
	two, none := split([]holding{at(0, 1), at(2, 0), at(5, 1), at(6, 2), at(7, 3), at(10, 1)}, start.Add(20*time.Second))
	if two != 4*time.Second || none != 3*time.Second {
		t.Errorf("two %v, none %v", two, none)
	}
	two, none = split([]holding{at(0, 2)}, start.Add(3*time.Second))
	if two != 3*time.Second || none != 0 {
		t.Errorf("to the end: two %v, none %v", two, none)
	}
}

func TestChangesOfRole(t *testing.T) {
	const log = `time=2026-01-01T00:00:00Z level=INFO msg="Entering MASTER STATE" instance=VI_1
Sat Nov 21 23:00:59 2026: (VI_1) Entering BACKUP STATE (init)
Sat Nov 21 23:00:59 2026: (VI_1) Entering BACKUP STATE
Sat Nov 21 23:00:59 2026: (VI_1) Entering MASTER STATE
`
	if got := changes(roleMaster, log); got != 2 {
		t.Errorf("from MASTER: %d, want 2", got)
	}
	if got := changes(roleBackup, log); got != 3 {
		t.Errorf("from BACKUP: %d, want 3", got)
	}
}

func TestTellingLinesComeFirst(t *testing.T) {
	const log = `time=2026-01-01T00:00:00Z level=INFO msg=started
time=2026-01-01T00:00:01Z level=INFO msg="Entering MASTER STATE" instance=VI_1
time=2026-01-01T00:00:02Z level=WARN msg="repaired what somebody else changed"
time=2026-01-01T00:00:03Z level=WARN msg="repaired what somebody else changed"
time=2026-01-01T00:00:04Z level=ERROR msg="no disk"
`
	said, lines := telling(log)
	want := []string{`ERROR "no disk"`, `WARN "repaired what somebody else changed"`, `INFO "Entering MASTER STATE" instance=VI_1`}
	if diff := cmp.Diff(want, said); diff != "" || lines != 5 {
		t.Errorf("%d lines, %s", lines, diff)
	}
	said, _ = telling("Sat Nov 21 23:00:59 2026: Startup complete\nSat Nov 21 23:00:59 2026: pid 4627 exited with permanent error CONFIG. Terminating\n")
	if len(said) != 2 || said[0] != "pid 4627 exited with permanent error CONFIG. Terminating" {
		t.Errorf("keepalived: %q", said)
	}
}

func TestParseTable(t *testing.T) {
	got, err := parseTable(`IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port Forward Weight ActiveConn InActConn
TCP  0A630064:0050 rr
  -> 0A63000C:0050      Route   0      0          0
  -> 0A63000B:0050      Route   1      2          3
`)
	want := []string{"TCP 10.99.0.100:80 -> 10.99.0.11:80 1", "TCP 10.99.0.100:80 -> 10.99.0.12:80 0", "TCP 10.99.0.100:80 rr"}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Error(err, diff)
	}
	if _, err := parseTable("TCP nonsense rr\n"); err == nil {
		t.Error("nonsense is an address")
	}
}

func TestPromises(t *testing.T) {
	usage := Usage{Resident: 50 << 20, Descriptors: 40, Goroutines: 60, Processes: 2}
	well := Result{New: 100, Held: 10, Before: usage, After: usage}
	with := func(change func(*Result)) Result {
		r := well
		change(&r)
		return r
	}
	lossless := Promise{Lossless: true}
	for _, test := range []struct {
		name    string
		promise Promise
		result  Result
		want    string
	}{
		{"kept", Promise{Lossless: true, KeepsMaster: true}, well, ""},
		{"a new one failed", lossless, with(func(r *Result) { r.Failed = 1 }), "1 of 100 new connections failed"},
		{"a new one may fail", Promise{KeepsHeld: true}, with(func(r *Result) { r.Failed = 1 }), ""},
		{"a held one broke", Promise{KeepsHeld: true}, with(func(r *Result) { r.Broken = 2 }), "2 of 10 held connections broke"},
		{"a role changed", Promise{KeepsMaster: true}, with(func(r *Result) { r.Changes = 2 }), "2 changes of role"},
		{"a role may change", lossless, with(func(r *Result) { r.Changes = 2 }), ""},
		{"two for long", lossless, with(func(r *Result) { r.Two = 9 * time.Second }), "two nodes had the VIP for 9s"},
		{"two for a moment", lossless, with(func(r *Result) { r.Two = time.Second }), ""},
		{"two are allowed", Promise{Two: true}, with(func(r *Result) { r.Two = time.Hour }), ""},
		{"not back", Promise{}, with(func(r *Result) { r.Err = errors.New("the desired state: not after 60s") }), "the desired state: not after 60s"},
		{"excused", lossless, with(func(r *Result) { r.Failed, r.Excused = 1, "slow" }), ""},
		{"descriptors stay", Promise{}, with(func(r *Result) { r.After.Descriptors += 20 }), "descriptors: 40 before, 60 after"},
		{"goroutines stay, though excused", Promise{}, with(func(r *Result) { r.After.Goroutines, r.Excused = 100, "slow" }), "goroutines: 60 before, 100 after"},
		{"a process stays", Promise{}, with(func(r *Result) { r.After.Processes = 3 }), "processes: 2 before, 3 after"},
		{"memory stays", Promise{}, with(func(r *Result) { r.After.Resident = 200 << 20 }), "memory: 52428800 before, 209715200 after"},
	} {
		t.Run(test.name, func(t *testing.T) {
			const masterDown = 4 * time.Second
			if got := strings.Join(test.promise.broken(test.result, masterDown, 2), "; "); got != test.want {
				t.Errorf("broken: %q, want %q", got, test.want)
			}
		})
	}
}

func TestGrowth(t *testing.T) {
	made := func(usage func(i int) Usage) series {
		var s series
		for i := range 100 {
			s = append(s, sample{time.Duration(i) * time.Second, usage(i)})
		}
		return s
	}
	for _, test := range []struct {
		name  string
		usage func(i int) Usage
		want  string
	}{
		{"steady, and breathing", func(i int) Usage {
			return Usage{Resident: int64(40+i%3) << 20, Descriptors: 40 + i%2, Goroutines: 70 + i%5}
		}, ""},
		{"warms up", func(i int) Usage { return Usage{Resident: int64(10+3*min(i, 9)) << 20} }, ""},
		{"one spike", func(i int) Usage {
			if i == 95 {
				return Usage{Resident: 1 << 30, Descriptors: 1000, Goroutines: 1000}
			}
			return Usage{Resident: 40 << 20, Descriptors: 40, Goroutines: 70}
		}, ""},
		{"memory leaks", func(i int) Usage { return Usage{Resident: int64(400+2*i) << 17} }, "memory"},
		{"descriptors leak", func(i int) Usage { return Usage{Descriptors: 40 + i/10} }, "descriptors"},
		{"goroutines leak", func(i int) Usage { return Usage{Goroutines: 70 + i} }, "goroutines"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := strings.Join(made(test.usage).growth(2), "; ")
			if !strings.HasPrefix(got, test.want) || test.want == "" && got != "" {
				t.Errorf("grown: %q, want %q", got, test.want)
			}
		})
	}
	if got := (series{{}, {}}).growth(2); len(got) != 1 {
		t.Errorf("two samples: %q", got)
	}
}

func TestLottery(t *testing.T) {
	some := []Fault{
		{Name: "a", Random: true},
		{Name: "b", Random: true},
		{Name: "c", Random: true},
		{Name: "not"},
		{Name: "alone", Random: true, Alone: true},
		{Name: "relay", Random: true, Topology: Relay},
		{Name: "edited", Random: true, Edit: func(*Config) {}},
	}
	names := func(seed uint64) []string {
		l, err := newLottery(seed, some)
		if err != nil {
			t.Fatal(err)
		}
		var all []string
		for range 200 {
			all = append(all, l.draw().Name)
		}
		return all
	}
	first := names(1)
	if diff := cmp.Diff(first, names(1)); diff != "" {
		t.Errorf("the same seed draws others: %s", diff)
	}
	if cmp.Equal(first, names(2)) {
		t.Error("another seed draws the same")
	}
	drawn := map[string]int{}
	for _, name := range first {
		drawn[name]++
	}
	// Three alone, and each before each other one.
	if len(drawn) != 9 {
		t.Errorf("drawn: %v", drawn)
	}
}

func TestLotteryWithoutTickets(t *testing.T) {
	if _, err := newLottery(1, []Fault{{Name: "not"}}); err == nil {
		t.Error("it draws from nothing")
	}
}

func TestFaultsHaveNamesOfTheirOwn(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range faults() {
		if f.Name == "" || f.What == "" || f.Inject == nil || seen[f.Name] {
			t.Errorf("%q: %q, or twice", f.Name, f.What)
		}
		seen[f.Name] = true
	}
}

func TestPrintTable(t *testing.T) {
	var b strings.Builder
	printTable(&b, []string{"Kernel 6.1"}, []Result{
		{Fault: "kill", Contestant: "lvsd", New: 10, Held: 2, Said: []string{"a | b"}},
		{Fault: "kill", Contestant: "keepalived", New: 10, Failed: 3, Err: errors.New("the desired state: not after 30s")},
		{Fault: "alone", Contestant: "lvsd", New: 5},
		// The same once more, at random.
		{Fault: "alone", Contestant: "lvsd", New: 6},
	})
	for _, want := range []string{
		"Kernel 6.1.\n", "| fault | lvsd: failed |", "| keepalived: failed |",
		"| kill | 0/10 | 0/2 | 0.0 s (0.0 s) | 0.0 s | 0 | 0.0 s | 0.0 s | a / b | 3/10 |", "| not |",
		"| alone | 0/5 |", "| alone | 0/6 |", "not asked |", "- kill, keepalived: the desired state: not after 30s",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the table lacks %q:\n%s", want, b.String())
		}
	}
}
