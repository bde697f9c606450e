// Command bench measures lvsd beside Debian's keepalived: the same
// configuration, the same network namespaces, taking turns in one run. It prints
// tables of medians and says nothing where the machine was too busy to tell. It
// runs as root; LVSD_BINARY names the lvsd program.
//
//	bench failover    how long a client is without its VIP
//	bench instances   what 255 virtual routers cost
//	bench ipvs        how fast IPVS is programmed, beside ipvsadm too
//	bench checks      what checks of all real servers cost, and how soon a death shows
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/lvsd/lvsd/integration/lab"
)

// The exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

// binaryVariable names the lvsd program.
const binaryVariable = "LVSD_BINARY"

// options are the flags.
type options struct {
	repeat int
	only   string
	last   time.Duration
	busy   float64
	sizes  string
	csv    bool
	calls  bool
	// interval is whole seconds: keepalived's has no parts.
	interval time.Duration
}

func main() {
	lab.Main()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

// run is the program: it returns the exit code.
func run(ctx context.Context, arguments []string, stdout, stderr io.Writer) int {
	benchmarks := map[string]func(lab.TB, options, io.Writer){
		"failover": benchFailover, "instances": benchInstances, "ipvs": benchIPVS, "checks": benchChecks,
	}
	if len(arguments) == 0 || benchmarks[arguments[0]] == nil {
		fmt.Fprintln(stderr, "usage: bench failover|instances|ipvs|checks [flags]")
		return exitUsage
	}
	var o options
	flags := flag.NewFlagSet("bench "+arguments[0], flag.ContinueOnError)
	flags.SetOutput(stderr)
	repeat, sizes := 3, "100,1000,5000"
	switch arguments[0] {
	case "failover":
		repeat = 20
	case "checks":
		sizes = "1000,10000"
	}
	flags.IntVar(&o.repeat, "repeat", repeat, "failover, ipvs, checks: repetitions of each case")
	flags.StringVar(&o.only, "only", "", "failover, ipvs, checks: only the cases whose name matches this `REGEXP`")
	flags.StringVar(&o.sizes, "sizes", sizes, "ipvs: `NUMBERS` of virtual services; checks: of checks")
	flags.BoolVar(&o.calls, "calls", false,
		"ipvs: count system calls in further rounds; the tracing that this takes has locked up a kernel of 6.1 in a virtual machine")
	flags.BoolVar(&o.csv, "csv", false, "ipvs, checks: print every measurement too")
	flags.DurationVar(&o.last, "last", time.Minute, "instances: how long to watch")
	flags.DurationVar(&o.interval, "interval", time.Second, "checks: the time between two of one server")
	flags.Float64Var(&o.busy, "busy", 10, "the most `PERCENT` of time that processes may have waited for a CPU (/proc/pressure/cpu)")
	if err := flags.Parse(arguments[1:]); err != nil {
		return exitUsage
	}
	if os.Getenv(binaryVariable) == "" {
		fmt.Fprintf(stderr, "bench: %s must name the lvsd program\n", binaryVariable)
		return exitUsage
	}
	err := lab.Run(ctx, "bench", stderr, func(t lab.TB) { benchmarks[arguments[0]](t, o, stdout) })
	if err != nil {
		fmt.Fprintf(stderr, "bench: %v\n", err)
		return exitFailed
	}
	return exitOK
}
