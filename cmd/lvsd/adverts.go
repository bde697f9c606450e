package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/lvsd/lvsd/vrrp"
	"github.com/lvsd/lvsd/vrrp/segment"
)

const (
	// advertsDuration is long enough to hear every speaker of the default
	// interval, and that another fell silent.
	advertsDuration = 5 * time.Second
	// advertsTick is how exactly silence is noticed.
	advertsTick = 100 * time.Millisecond
)

// advertsFlags are the flags of lvsd adverts.
type advertsFlags struct {
	interfaces []string
	duration   time.Duration
	count      uint64
	json       bool
	follow     bool
	passwords  bool
}

func newAdverts() *cobra.Command {
	var flags advertsFlags
	command := &cobra.Command{
		Use:   "adverts",
		Short: "Watch the segment: print every VRRP speaker, and what is wrong",
		Long: "Watch the segment: print every VRRP speaker, and what is wrong with it.\n\n" +
			"It hears multicast, unicast that passes this host, and what this host sends. It\n" +
			"needs CAP_NET_RAW, but no daemon. A BACKUP does not speak, so it is not seen.",
		Args: noArguments,
		RunE: func(command *cobra.Command, _ []string) error {
			// Following has no end of its own.
			if flags.follow && !command.Flags().Changed("duration") {
				flags.duration = 0
			}
			ctx, stop := signal.NotifyContext(command.Context(), unix.SIGINT, unix.SIGTERM)
			defer stop()
			return watchAdverts(ctx, flags, command.OutOrStdout())
		},
	}
	command.Flags().StringArrayVarP(&flags.interfaces, "interface", "i", nil,
		"watch this `INTERFACE` only; may be given again (default all that are up)")
	command.Flags().DurationVar(&flags.duration, "duration", advertsDuration, "watch for this long")
	command.Flags().Uint64Var(&flags.count, "count", 0, "watch until `N` packets were heard")
	command.Flags().BoolVarP(&flags.json, "json", "j", false, "print JSON")
	command.Flags().BoolVarP(&flags.follow, "follow", "f", false, "print a line for every change instead of a table")
	command.Flags().BoolVar(&flags.passwords, "show-passwords", false, "print the passwords of version 2")
	return command
}

// watchAdverts watches until the time is over, enough was heard or ctx ends.
func watchAdverts(ctx context.Context, flags advertsFlags, w io.Writer) error {
	listener, err := segment.Listen(flags.interfaces...)
	if err != nil {
		return err
	}
	defer func() { _ = listener.Close() }()
	table := segment.NewTable()
	started := time.Now()
	advance := started.Add(advertsTick)
	for flags.more(ctx, table, time.Since(started)) {
		packet, err := listener.Read(advance)
		var changes []segment.Change
		switch {
		case err == nil:
			changes = table.Observe(packet)
		case !errors.Is(err, os.ErrDeadlineExceeded):
			return err
		}
		if now := time.Now(); now.After(advance) {
			changes = append(changes, table.Advance(now)...)
			advance = now.Add(advertsTick)
		}
		if flags.follow {
			if err := writeChanges(w, changes, flags.json); err != nil {
				return err
			}
		}
	}
	if flags.follow {
		return nil
	}
	table.Advance(time.Now())
	return writeReport(w, table.Report(time.Now(), flags.passwords), flags.json)
}

// more reports whether to go on watching.
func (f advertsFlags) more(ctx context.Context, table *segment.Table, elapsed time.Duration) bool {
	return ctx.Err() == nil && (f.duration == 0 || elapsed < f.duration) &&
		(f.count == 0 || table.Packets() < f.count)
}

// writeChanges prints one line for each change, also in JSON.
func writeChanges(w io.Writer, changes []segment.Change, asJSON bool) error {
	for _, change := range changes {
		if asJSON {
			if err := json.NewEncoder(w).Encode(change); err != nil {
				return err
			}
			continue
		}
		if _, err := fmt.Fprintf(w, "%s %s\n", change.At.Format("15:04:05.000"), change); err != nil {
			return err
		}
	}
	return nil
}

func writeReport(w io.Writer, report segment.Report, asJSON bool) error {
	if asJSON {
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", "  ")
		return encoder.Encode(report)
	}
	var b strings.Builder
	writeSpeakers(&b, report)
	for _, flag := range report.Flags {
		fmt.Fprintf(&b, "! %s\n", flag)
	}
	if report.LeftOut > 0 {
		fmt.Fprintf(&b, "! more than %d speakers: %d packets of others left out\n", segment.MaxSpeakers, report.LeftOut)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func writeSpeakers(b *strings.Builder, report segment.Report) {
	if len(report.Speakers) == 0 {
		b.WriteString("no VRRP speaker was heard\n")
		return
	}
	table := tabwriter.NewWriter(b, 0, 8, 2, ' ', 0)
	fmt.Fprintln(table, "INTERFACE\tVRID\tSOURCE\tTO\tVERSION\tSTATE\tPRIORITY\tINTERVAL\tAUTH\tSEEN\tADVERTS\tVIPS")
	for _, s := range report.Speakers {
		fmt.Fprintf(table, "%s\t%d\t%s\t%s\t%d %s\t%s\t%d\t%s\t%s\t%s\t%s\t%s\n", s.Interface, s.VRID,
			speakerSource(s), speakerTarget(s), s.Version, s.Family, s.State, s.Priority, s.Interval,
			speakerAuth(s), report.At.Sub(s.LastSeen).Round(advertsTick), speakerAdverts(s), addresses(s.VIPs))
	}
	_ = table.Flush() // a strings.Builder does not fail
}

func speakerSource(s segment.Speaker) string {
	if s.ThisNode {
		return s.Source.String() + " (this node)"
	}
	return s.Source.String()
}

// speakerTarget is where the adverts go: a group is named if it is not VRRP's
// own.
func speakerTarget(s segment.Speaker) string {
	switch {
	case s.Destination == vrrp.Group, s.Destination == vrrp.Group6:
		return "multicast"
	case s.Destination.IsMulticast():
		return s.Destination.String()
	}
	return "unicast"
}

func speakerAuth(s segment.Speaker) string {
	switch {
	case s.Password != "":
		// It may be any bytes, from anyone.
		return string(s.Auth) + " " + strconv.Quote(s.Password)
	case s.KeyID > 0:
		return fmt.Sprintf("%s key %d", s.Auth, s.KeyID)
	}
	return orDash(string(s.Auth))
}

func speakerAdverts(s segment.Speaker) string {
	if s.Refused > 0 {
		return fmt.Sprintf("%d, %d bad", s.Adverts, s.Refused)
	}
	return fmt.Sprint(s.Adverts)
}

func addresses(all []netip.Addr) string {
	texts := make([]string, len(all))
	for i, a := range all {
		texts[i] = a.String()
	}
	return orDash(strings.Join(texts, ","))
}
