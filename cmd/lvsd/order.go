package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/lvsd/lvsd/director"
	"github.com/lvsd/lvsd/director/control"
)

// daemonFlags are the flags of every command that asks the running daemon and
// answers in words or JSON.
type daemonFlags struct {
	runDirectory string
	asJSON       bool
}

func (f *daemonFlags) register(command *cobra.Command) {
	registerRunDirectory(command, &f.runDirectory)
	command.Flags().BoolVarP(&f.asJSON, "json", "j", false, "print JSON")
}

// socket is the path of the control socket.
func (f *daemonFlags) socket() string { return filepath.Join(f.runDirectory, socketName) }

// status asks the daemon.
func (f *daemonFlags) status(ctx context.Context) (director.Status, error) {
	return control.Status(ctx, f.socket())
}

// orderFlags are the flags of what gives an order.
type orderFlags struct {
	daemonFlags
	reason  string
	lasting time.Duration
}

func (f *orderFlags) register(command *cobra.Command) {
	f.daemonFlags.register(command)
	command.Flags().StringVar(&f.reason, "reason", "", "why, shown beside the order: `TEXT`")
	command.Flags().DurationVar(&f.lasting, "for", 0, "take it back by itself after this time, as 30m")
}

// check refuses what makes no sense.
func (f *orderFlags) check() error {
	if f.lasting < 0 {
		return usageError{fmt.Errorf("--for %v: want more than 0", f.lasting)}
	}
	return nil
}

// order is an order of the state.
func (f *orderFlags) order(target director.Target, state director.AdminState) director.Order {
	return director.Order{Target: target, State: state, Reason: f.reason, For: f.lasting, By: operator()}
}

// operator is who sits in front of root's shell, if sudo tells; the daemon finds out
// for itself who asks.
func operator() string {
	if os.Geteuid() != 0 {
		return ""
	}
	return os.Getenv("SUDO_USER")
}

// orderResult is what became of orders, as JSON.
type orderResult struct {
	Orders []director.Spread `json:"orders"`
	// Left are the connections that have not ended; nil if nobody waited.
	// NotHeardOf are the nodes whose connections are not known, and not in Left.
	Left       *int     `json:"active_connections_left,omitempty"`
	NotHeardOf []string `json:"not_heard_of,omitempty"`
	// Still are the orders that keep what was enabled from serving as configured.
	Still []director.Override `json:"still,omitempty"`
}

// waited notes how many connections are left.
func (r *orderResult) waited(d drained) {
	left := d.sum()
	r.Left, r.NotHeardOf = &left, d.unheard
}

// writeSpread tells people what was ordered and who knows.
func writeSpread(w io.Writer, s director.Spread, now time.Time) {
	line := func(format string, args ...any) { fmt.Fprintln(w, printableLine(format, args...)) }
	line("%s: %s", s.Override.Target.String(), orderWords(s.Override, now))
	if len(s.Told) > 0 {
		line("  told: %s", strings.Join(s.Told, ", "))
	}
	for _, node := range slices.Sorted(maps.Keys(s.Untold)) {
		line("  not told: %s: %s; it is told as soon as it answers", node, s.Untold[node])
	}
}

// orderWords says what an override has its target be, and until when.
func orderWords(o director.Override, now time.Time) string {
	if o.Cleared {
		return "no order stands any more"
	}
	text := overrideState(o)
	if o.Until.IsZero() {
		return text + " until it is taken back"
	}
	return fmt.Sprintf("%s for %s", text, o.Until.Sub(now).Round(time.Second))
}

// overrideState is what an override orders, in a word or two.
func overrideState(o director.Override) string {
	var words []string
	if o.State != "" {
		words = append(words, stateWord(o.State))
	}
	if o.Weight != nil {
		words = append(words, fmt.Sprintf("weight %d", *o.Weight))
	}
	return strings.Join(words, ", ")
}

func stateWord(s director.AdminState) string {
	if s == director.Drain {
		return "drained"
	}
	return string(s)
}
