package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/director"
	"github.com/lvsd/lvsd/director/control"
)

// shownEvents is how many events are shown unless told otherwise.
const shownEvents = 20

// eventsFlags are the flags of lvsd events.
type eventsFlags struct {
	daemonFlags
	follow bool
	last   int
	kinds  []string
	color  string
}

func newEvents() *cobra.Command {
	var flags eventsFlags
	command := &cobra.Command{
		Use:   "events",
		Short: "Show what happened, and with -f what happens",
		Long: "Show the last events of the running daemon, the newest last; with -f go on with each\n" +
			"that comes, until interrupted. As JSON, each is an object in a line of its own.\n\n" +
			"--kind takes a kind or a pattern such as server.* and may be repeated.",
		Args: noArguments,
		RunE: func(command *cobra.Command, _ []string) error {
			if err := flags.check(); err != nil {
				return err
			}
			colors, err := newPalette(flags.color, command.OutOrStdout())
			if err != nil {
				return err
			}
			return flags.show(command.Context(), eventView{command.OutOrStdout(), flags.asJSON, colors, time.Now})
		},
	}
	flags.register(command)
	command.Flags().BoolVarP(&flags.follow, "follow", "f", false, "go on with each event that comes")
	command.Flags().IntVarP(&flags.last, "lines", "n", shownEvents, "begin with the last `N` events")
	command.Flags().StringArrayVar(&flags.kinds, "kind", nil, "only events of this `KIND`; may be repeated")
	registerColor(command, &flags.color)
	_ = command.RegisterFlagCompletionFunc("kind", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return eventKinds(), cobra.ShellCompDirectiveNoFileComp
	})
	return command
}

// eventKinds are all kinds and a pattern for each subject.
func eventKinds() []string {
	var all []string
	for _, kind := range director.EventKinds() {
		subject, _, _ := strings.Cut(string(kind), ".")
		all = append(all, string(kind), subject+".*")
	}
	return distinct(all)
}

func (f *eventsFlags) check() error {
	if f.last < 0 {
		return usageError{fmt.Errorf("-n %d: want 0 or more", f.last)}
	}
	for _, pattern := range f.kinds {
		if _, err := path.Match(pattern, ""); err != nil {
			return usageError{fmt.Errorf("--kind %q: a bad pattern, want a kind or one such as server.*; a [ needs its ]", pattern)}
		}
		if !slices.ContainsFunc(director.EventKinds(), func(k director.EventKind) bool { return isKind(pattern, k) }) {
			near := config.Nearest(pattern, eventKinds())
			if near != "" {
				near = fmt.Sprintf(", nearest is %q", near)
			}
			return usageError{fmt.Errorf("--kind %q: no event is of this kind%s", pattern, near)}
		}
	}
	return nil
}

func isKind(pattern string, kind director.EventKind) bool {
	matches, err := path.Match(pattern, string(kind))
	return err == nil && matches
}

// wants reports whether the event is to be shown.
func (f *eventsFlags) wants(e director.Event) bool {
	return len(f.kinds) == 0 || slices.ContainsFunc(f.kinds, func(pattern string) bool { return isKind(pattern, e.Kind) })
}

// show prints the last events and, if it is to, those that come.
func (f *eventsFlags) show(ctx context.Context, view eventView) error {
	events, err := control.Events(ctx, f.socket(), 0)
	if err != nil {
		return err
	}
	last := uint64(0)
	if len(events) > 0 {
		last = events[len(events)-1].Seq
	}
	events = slices.DeleteFunc(events, func(e director.Event) bool { return !f.wants(e) })
	for _, event := range events[max(0, len(events)-f.last):] {
		if err := view.event(event); err != nil {
			return err
		}
	}
	if !f.follow {
		return nil
	}
	err = control.FollowEvents(ctx, f.socket(), last, func(e director.Event) error {
		if last != 0 && e.Seq > last+1 {
			if err := view.missed(e.Seq - last - 1); err != nil {
				return err
			}
		}
		last = e.Seq
		if !f.wants(e) {
			return nil
		}
		return view.event(e)
	})
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// eventView prints events for people, or for programs.
type eventView struct {
	w       io.Writer
	json    bool
	palette palette
	now     func() time.Time
}

func (v eventView) event(e director.Event) error {
	if v.json {
		return writeJSONLine(v.w, e)
	}
	_, err := fmt.Fprintf(v.w, "%s  %s  %s\n", eventTime(e.At, v.now()),
		v.palette.paint(eventColor(e.Severity), fmt.Sprintf("%-*s", kindWidth, e.Kind)), strings.Map(printable, e.Text))
	return err
}

// missed tells that the daemon has forgotten events before they could be shown.
func (v eventView) missed(n uint64) error {
	if v.json {
		return nil // Seq tells
	}
	_, err := fmt.Fprintf(v.w, "%s missed: they came too fast\n", count(int(n), "event"))
	return err
}

// kindWidth is that of the longest kind.
const kindWidth = len(director.EventQuorumDown)

// eventTime is the time of the day, with the day if it is another one.
func eventTime(at, now time.Time) string {
	at, now = at.Local(), now.Local()
	if at.Format(time.DateOnly) == now.Format(time.DateOnly) {
		return at.Format(time.TimeOnly)
	}
	return at.Format(time.DateTime)
}

func eventColor(severity string) string {
	switch severity {
	case "error":
		return red
	case "warning":
		return yellow
	default:
		return green
	}
}

// writeJSONLine prints a value for programs in one line.
func writeJSONLine(w io.Writer, value any) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(value)
}
