// Command demo shows the mail relay of examples/mail-relay at work: four relays
// in network namespaces with a real Postfix and lvsd each, a client that
// delivers mail through the VIP, and what becomes of the mail when a relay or a
// Postfix fails. It runs as root on a kernel with ip_vs; LVSD_BINARY names the
// lvsd program. With DEMO_KEEP=1 it ends with the page of the MASTER, for a browser
// on the machine that it was started on.
//
// It exits 0 only if every step was as it should be.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/lvsd/lvsd/integration/lab"

	"github.com/lvsd/lvsd/integration/relay"
)

// The exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

func main() {
	lab.Main()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

// run is the program: it returns the exit code.
func run(ctx context.Context, arguments []string, stdout *os.File, stderr io.Writer) int {
	flags := flag.NewFlagSet("demo", flag.ContinueOnError)
	flags.SetOutput(stderr)
	pace := flags.Duration("pace", time.Second, "pause between steps")
	example := flags.String("config", filepath.Join("examples", "mail-relay", "lvsd.toml"), "the relays' `FILE`")
	if err := flags.Parse(arguments); err != nil {
		return exitUsage
	}
	if os.Getenv(relay.BinaryVariable) == "" {
		fmt.Fprintf(stderr, "demo: %s must name the lvsd program\n", relay.BinaryVariable)
		return exitUsage
	}
	s := &screen{w: stdout, colour: isTerminal(stdout), pause: pauser(ctx, *pace)}
	return play(ctx, s, stderr, func(st *stage) []step {
		d := newDemo(st, s, *example)
		if os.Getenv(keepVariable) != "" {
			st.epilogue = func() error { return d.keep(os.Stdin) }
		}
		return d.steps()
	})
}

// play performs a script's steps in a lab and prints the summary, which the
// epilogue follows. It returns the exit code.
func play(ctx context.Context, s *screen, stderr io.Writer, script func(*stage) []step) int {
	good := false
	err := lab.Run(ctx, "demo", stderr, func(t lab.TB) {
		st := &stage{TB: t}
		good = st.play(s, script(st))
		if st.epilogue == nil || ctx.Err() != nil {
			return
		}
		if err := st.epilogue(); err != nil {
			t.Fatalf("%v", err)
		}
	})
	if err != nil {
		fmt.Fprintf(stderr, "demo: %v\n", err)
	}
	if err != nil || !good {
		return exitFailed
	}
	return exitOK
}

// pauser returns a function that waits for d, or for the end of ctx.
func pauser(ctx context.Context, d time.Duration) func() {
	return func() {
		select {
		case <-time.After(d):
		case <-ctx.Done():
		}
	}
}

// isTerminal tells whether a person reads f as it is written.
func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("NO_COLOR") == ""
}
