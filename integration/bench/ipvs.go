package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lvsd/lvsd/integration/lab"
)

// The work that is measured, as the table names it.
const (
	workProgram = "program an empty kernel"
	workStart   = "start on a kernel that has it all but one"
	workReload  = "reload with one real server changed"
	workVerdict = "rack dies, one verdict for all: verdict to last weight"
	workRack    = "rack dies, a check each: death to last weight"
	workFirst   = "lvsd: verdict to first weight"
	workList    = "list the table"
	workMemory  = "memory after a reload"
	workRest    = "CPU at rest"
)

// The contestants beside the daemons, and what they are called.
const (
	nameLVSD       = "lvsd"
	nameApply      = "lvsd apply"
	nameKeepalived = "keepalived"
	nameIPVSADM    = "ipvsadm"
)

// ipvsContestant can bring a site into the kernel.
type ipvsContestant struct {
	name string
	// file is the text of its file; a verdict for a whole rack is given in the
	// file of that name.
	file func(s *site, verdict string) string
	// command runs it with a file, in a directory of its own.
	command func(file, dir string) []string
	// daemon runs until it is stopped; another one ends when it is done.
	daemon bool
	// stdin gives it the file there.
	stdin bool
}

func ipvsContestants() []ipvsContestant {
	binary := os.Getenv(binaryVariable)
	all := []ipvsContestant{
		{
			name: nameLVSD, file: (*site).lvsd, daemon: true,
			command: func(file, dir string) []string {
				return []string{binary, "run", "-c", file, "--run-dir", dir, "--state-dir", dir, "--log-format", "json"}
			},
		},
		{
			name: nameKeepalived, file: (*site).keepalived, daemon: true,
			command: func(file, dir string) []string {
				// Its log goes nowhere: it costs nothing.
				return []string{
					nameKeepalived, "-n", "-G", "-f", file, "-p", filepath.Join(dir, "keepalived.pid"),
					"-r", filepath.Join(dir, "vrrp.pid"), "-c", filepath.Join(dir, "checkers.pid"),
				}
			},
		},
		{
			name: nameIPVSADM, file: (*site).ipvsadm, stdin: true,
			command: func(string, string) []string { return []string{nameIPVSADM, "-R"} },
		},
	}
	if help, _ := exec.Command(binary, "apply", "--help").Output(); bytes.Contains(help, []byte("--once")) {
		all = append(all, ipvsContestant{
			name: nameApply, file: (*site).lvsd,
			command: func(file, dir string) []string {
				return []string{binary, "apply", "--once", "-c", file, "--run-dir", dir}
			},
		})
	}
	return all
}

// ipvsBench is one run of the benchmark.
type ipvsBench struct {
	lab.TB
	tracer tracer
	only   *regexp.Regexp
	record *record
	copies copies
	began  time.Time
	// every is the interval of checks that all real servers have.
	every time.Duration
}

// newIPVSBench makes ready for a run.
func newIPVSBench(t lab.TB, o options) *ipvsBench {
	only, err := regexp.Compile(o.only)
	if err != nil {
		t.Fatalf("-only: %v", err)
	}
	lab.Require(t, lab.NeedNetns, lab.NeedIPVS, lab.NeedKeepalived)
	b := &ipvsBench{
		TB: t, only: only, record: newRecord(), began: time.Now(),
		copies: copyPrograms(t, os.Getenv(binaryVariable), nameKeepalived, nameIPVSADM),
	}
	if b.tracer, err = newTracer(); err != nil {
		t.Fatalf("%v", err)
	}
	return b
}

// benchIPVS measures every size and prints a table.
func benchIPVS(t lab.TB, o options, w io.Writer) {
	sizes, err := parseSizes(o.sizes)
	if err != nil {
		t.Fatalf("-sizes: %v", err)
	}
	b := newIPVSBench(t, o)
	for _, size := range sizes {
		for n := range o.repeat {
			b.repetition(size, n)
		}
		if o.calls {
			b.countSize(size)
		}
	}
	b.record.print(w, sizes, o)
}

// parseSizes reads "100,1000".
func parseSizes(text string) ([]int, error) {
	var sizes []int
	for field := range strings.SplitSeq(text, ",") {
		n, err := strconv.Atoi(field)
		if err != nil || n < 1 || n > 50*servicesPerVIP {
			return nil, fmt.Errorf("%q is no number of services, expected 1..%d", field, 50*servicesPerVIP)
		}
		sizes = append(sizes, n)
	}
	return sizes, nil
}

// turns are the contestants in their order, and in the reverse of it every other
// time.
func turns(n int) []ipvsContestant {
	contestants := ipvsContestants()
	if n%2 == 1 {
		slices.Reverse(contestants)
	}
	return contestants
}

// repetition lets every contestant do everything once.
func (b *ipvsBench) repetition(size, n int) {
	for _, c := range turns(n) {
		if b.wanted(workProgram, workStart, workReload, workList, workMemory, workRest) {
			b.inRound(c, newSite(size), n, (*round).life)
		}
		if !c.daemon {
			continue
		}
		if b.wanted(workVerdict, workFirst) {
			b.inRound(c, newSite(size).withRack(oneVerdict), n, (*round).rackDies)
		}
		if b.wanted(workRack) {
			b.inRound(c, newSite(size).withRack(ownChecks), n, (*round).rackDies)
		}
	}
}

// wanted reports whether any of the work was asked for.
func (b *ipvsBench) wanted(work ...string) bool { return slices.ContainsFunc(work, b.only.MatchString) }

// inRound runs f in namespaces of its own: what a contestant leaves in a kernel,
// the list of deleted real servers for one, would slow down the next.
func (b *ipvsBench) inRound(c ipvsContestant, s *site, n int, f func(*round) error) {
	name := fmt.Sprintf("%s, %d services, repetition %d", c.name, len(s.services), n+1)
	err := lab.Run(b.Context(), name, io.Discard, func(t lab.TB) {
		l := lab.New(t)
		r := &round{ipvsBench: b, contestant: c, site: s, repetition: n, host: l.Host("director", "10.0.0.1/16")}
		r.dir = l.Dir("director")
		t.Cleanup(r.close)
		if err := r.prepare(); err != nil {
			t.Fatalf("%v", err)
		}
		r.speed = speed()
		if err := f(r); err != nil {
			t.Fatalf("%v", err)
		}
	})
	if err != nil {
		b.record.fail(c.name, len(s.services), err)
		b.Logf("%s: %v", name, err)
	}
	if b.Context().Err() != nil {
		b.Fatalf("%v", b.Context().Err())
	}
}

// speed is how long a fixed piece of work takes now. It tells a machine whose
// processors somebody else uses: of a virtual one, the host.
func speed() time.Duration {
	best := time.Hour
	for range 3 {
		start := time.Now()
		sum := uint64(1)
		for i := range uint64(1 << 22) {
			sum = sum*6364136223846793005 + i
		}
		if sum != 0 { // it never is; the compiler does not know
			best = min(best, time.Since(start))
		}
	}
	return best
}

// countSize counts system calls and changing calls in a round of its own for
// each contestant, because counting costs time.
func (b *ipvsBench) countSize(size int) {
	if !b.wanted(workProgram, workStart, workReload) {
		return
	}
	for _, c := range ipvsContestants() {
		b.inRound(c, newSite(size), -1, (*round).count)
	}
}

// await waits until the condition is nil, asking every millisecond.
func await(ctx context.Context, p *process, condition func() error) error {
	deadline := time.Now().Add(hopelessIPVS)
	for {
		err := condition()
		switch {
		case err == nil:
			return nil
		case time.Now().After(deadline) || ctx.Err() != nil:
			return fmt.Errorf("given up: %w: %.300s", err, p.output())
		}
		if ended := p.end(); ended != nil {
			return ended
		}
		time.Sleep(time.Millisecond)
	}
}

// hopelessIPVS is when a wait is given up.
const hopelessIPVS = 4 * time.Minute

// sameBytes is nil when both texts are equal; else it shows where they part.
func sameBytes(a, b []byte) error {
	if bytes.Equal(a, b) {
		return nil
	}
	left, right := bytes.Split(a, []byte("\n")), bytes.Split(b, []byte("\n"))
	for i := range min(len(left), len(right)) {
		if !bytes.Equal(left[i], right[i]) {
			return fmt.Errorf("line %d: %q and %q", i+1, left[i], right[i])
		}
	}
	return fmt.Errorf("%d and %d lines", len(left), len(right))
}
