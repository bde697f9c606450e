package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lvsd/lvsd/integration/lab"
)

// The exit codes. A promise that is broken is a failure.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

// binaryVariable names the lvsd program.
const binaryVariable = "LVSD_BINARY"

// options are the flags.
type options struct {
	only              *regexp.Regexp
	quick             bool
	withoutKeepalived bool
	json              bool
	seed              uint64
	// random is how many faults come at random; last bounds the time of these, or of
	// the soak.
	random  int
	last    time.Duration
	reloads int
}

func main() {
	lab.Main()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status := command(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

// command is the program: it returns the exit code.
func command(ctx context.Context, arguments []string, stdout, stderr io.Writer) int {
	modes := map[string]func(lab.TB, options, io.Writer, io.Writer) []string{"faults": runFaults, "soak": runSoak}
	if len(arguments) == 0 || modes[arguments[0]] == nil {
		fmt.Fprintln(stderr, "usage: chaos faults|soak [flags]")
		return exitUsage
	}
	o, err := parse(arguments[0], arguments[1:], stderr)
	if err != nil {
		return exitUsage
	}
	if os.Getenv(binaryVariable) == "" {
		fmt.Fprintf(stderr, "chaos: %s must name the lvsd program\n", binaryVariable)
		return exitUsage
	}
	var broken []string
	err = lab.Run(ctx, "chaos", stderr, func(t lab.TB) { broken = modes[arguments[0]](t, o, stdout, stderr) })
	if err != nil {
		fmt.Fprintf(stderr, "chaos: %v\n", err)
	}
	for _, promise := range broken {
		fmt.Fprintf(stderr, "chaos: broken: %s\n", promise)
	}
	if err != nil || len(broken) > 0 {
		return exitFailed
	}
	return exitOK
}

func parse(mode string, arguments []string, stderr io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("chaos "+mode, flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Func("only", "only the faults whose name matches this `REGEXP`", func(text string) (err error) {
		o.only, err = regexp.Compile(text)
		return err
	})
	flags.Uint64Var(&o.seed, "seed", 0, "of what comes at random; by default another each time, which is printed")
	flags.BoolVar(&o.withoutKeepalived, "without-keepalived", false, "lvsd alone")
	if mode == "soak" {
		flags.IntVar(&o.reloads, "reloads", 10000, "how many reloads")
		flags.DurationVar(&o.last, "for", 30*time.Minute, "how long under faults at random")
	} else {
		flags.BoolVar(&o.quick, "quick", false, "only the selection of the tests")
		flags.IntVar(&o.random, "random", 0, "then `N` faults at random")
		flags.DurationVar(&o.last, "for", 0, "then faults at random for so long")
		flags.BoolVar(&o.json, "json", false, "print results as JSON, one a line, in place of the table")
	}
	err := flags.Parse(arguments)
	if o.seed == 0 {
		o.seed = uint64(time.Now().UnixNano())
	}
	return o, err
}

// chosen are the faults that the flags name.
func (o options) chosen() []Fault {
	return slices.DeleteFunc(faults(), func(f Fault) bool {
		return o.quick && !f.Quick || o.only != nil && !o.only.MatchString(f.Name)
	})
}

func (o options) contestants() []Contestant {
	all := []Contestant{lvsd(os.Getenv(binaryVariable))}
	if !o.withoutKeepalived {
		all = append(all, keepalived(program("keepalived")))
	}
	return all
}

func (o options) lottery(t lab.TB, some []Fault) *lottery {
	t.Helper()
	l, err := newLottery(o.seed, some)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return l
}

// runFaults goes through the faults, prints the table and returns what promises were
// broken.
func runFaults(t lab.TB, o options, stdout, stderr io.Writer) []string {
	busy := lab.StartBusy()
	r := newRun(t, o.contestants(), stderr, stderr)
	fmt.Fprintf(stderr, "seed %d, %.1f times as slow as a quiet machine\n", o.seed, r.scale)
	results := r.all(t.Context(), o.chosen())
	if o.random > 0 || o.last > 0 {
		results = append(results, r.random(t.Context(), o.lottery(t, o.chosen()).draw, o.random, o.last)...)
	}
	r.close()
	if o.json {
		if err := printJSON(stdout, results); err != nil {
			t.Fatalf("%v", err)
		}
	} else {
		printTable(stdout, o.facts(r, busy), results)
	}
	var broken []string
	for _, result := range results {
		for _, promise := range result.Broke {
			broken = append(broken, result.Fault+": "+promise)
		}
	}
	return broken
}

// runSoak has all contestants soak at the same time.
func runSoak(t lab.TB, o options, stdout, stderr io.Writer) []string {
	busy := lab.StartBusy()
	r := newRun(t, o.contestants(), stderr, stderr)
	all := make([]soaking, len(r.lanes))
	var going sync.WaitGroup
	for i, l := range r.lanes {
		// Each has a lottery of its own, of the same seed.
		draw := o.lottery(t, survivors(o.chosen())).draw
		going.Go(func() { all[i] = r.soak(t.Context(), l.Contestant, draw, o.reloads, o.last) })
	}
	going.Wait()
	printSoak(stdout, o.facts(r, busy), all)
	return all[0].broken(len(priorities[:2]))
}

// facts are those of the machine and the run.
func (o options) facts(r *run, busy lab.Busy) []string {
	all := []string{"Kernel " + kernel()}
	for _, l := range r.lanes {
		all = append(all, version(l.Contestant))
	}
	return append(all,
		fmt.Sprintf("adverts every %s", Config{}.withDefaults(r.scale).Interval),
		fmt.Sprintf("%.1f times as slow as a quiet machine", r.scale),
		fmt.Sprintf("processes waited for a CPU %.0f %% of the time", busy.Percent()),
		fmt.Sprintf("seed %d", o.seed),
	)
}

func kernel() string {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return err.Error()
	}
	return unix.ByteSliceToString(name.Release[:])
}

// version is what the contestant says of itself, in its first line.
func version(c Contestant) string {
	out, err := exec.Command(c.Program(), "--version").CombinedOutput()
	line, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	if err != nil && line == "" {
		return c.Name()
	}
	return line
}
