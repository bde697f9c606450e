package main

import (
	"context"
	"fmt"
	"io"
	"os/signal"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
)

// exitFailing is probe's: a check does not pass. See plainCodes.
const exitFailing = 2

// probeFlags are the flags of lvsd probe.
type probeFlags struct {
	file    fileFlags
	asJSON  bool
	verbose bool
	color   string
}

func newProbe() *cobra.Command {
	var flags probeFlags
	command := &cobra.Command{
		Use:   "probe [SERVER]",
		Short: "Carry out every check of the file once and print what came of it",
		Long: "Carry out every check of the file once, as the daemon would, and print what came\n" +
			"of it: to try a file before it is used. SERVER, an address, an address and port\n" +
			"or a host name, asks only that one. With --verbose the dialogue is shown.\n\n" +
			"No daemon is needed and nothing is changed. A check with via = \"vip\" passes only\n" +
			"where a daemon has put its path into the kernel.\n\n" +
			"The exit code is 0 if every check passes, 2 if one does not or a host name has no\n" +
			"address, 1 if they could not be carried out.",
		Args: cobra.MaximumNArgs(1),
		RunE: func(command *cobra.Command, arguments []string) error {
			ctx, stop := signal.NotifyContext(command.Context(), unix.SIGINT, unix.SIGTERM)
			defer stop()
			return flags.run(ctx, command.OutOrStdout(), strings.Join(arguments, ""))
		},
	}
	flags.file.register(command)
	command.Flags().BoolVarP(&flags.asJSON, "json", "j", false, "print JSON")
	command.Flags().BoolVarP(&flags.verbose, "verbose", "v", false, "show what was said and heard")
	registerColor(command, &flags.color)
	plainCodes(command)
	return command
}

func (f *probeFlags) run(ctx context.Context, w io.Writer, server string) error {
	colors, err := newPalette(f.color, w)
	if err != nil {
		return err
	}
	c, err := f.file.load()
	if err != nil {
		return err
	}
	names := c.Names()
	if slices.Contains(names, server) {
		names = []string{server}
	}
	report := probeReport{Schema: "lvsd.probe/1", Probes: []probed{}}
	addresses, failed := lookUp(ctx, names)
	if report.Names = failed; failed[server] == "" {
		if report.Probes, err = checksFor(c.WithAddresses(addresses), server); err != nil {
			return err
		}
		if server != "" {
			clear(report.Names) // of others
		}
	}
	carryOut(ctx, report.Probes)
	if err := context.Cause(ctx); err != nil {
		return fmt.Errorf("not all was asked: %w", err)
	}
	if f.asJSON {
		err = writeJSON(w, report)
	} else {
		err = writeProbes(w, report, f.verbose, colors)
	}
	failing := func(p probed) bool { return !p.OK }
	if err == nil && (len(report.Names) > 0 || slices.ContainsFunc(report.Probes, failing)) {
		return outcome(exitFailing)
	}
	return err
}
