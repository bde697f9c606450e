package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/signal"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/lvsd/lvsd/director/control"
	"github.com/lvsd/lvsd/director/doctor"
)

// doctorListen is long enough to hear a MASTER of the default interval.
const doctorListen = 3 * time.Second

// exitFindings is doctor's: something is wrong. See plainCodes.
const exitFindings = 2

// doctorFlags are the flags of lvsd doctor.
type doctorFlags struct {
	file         fileFlags
	runDirectory string
	asJSON       bool
	color        string
	noProbe      bool
	listen       time.Duration
}

func newDoctor() *cobra.Command {
	var flags doctorFlags
	command := &cobra.Command{
		Use:   "doctor",
		Short: "Find what keeps the configuration from working here, and say what mends it",
		Long: "Find what keeps the configuration from working on this host and its segments.\n" +
			"Each finding says what it breaks, and the one command that mends it.\n\n" +
			"It asks the neighbours by ARP and neighbour discovery who has the VIPs and the\n" +
			"real servers' addresses, and listens for adverts where no daemon runs. It\n" +
			"changes nothing, except that reading may load the kernel's modules. What it\n" +
			"cannot look at, as any user but root, it names.\n\n" +
			"The exit code is 0 if nothing is wrong, which notes do not change, 2 if there\n" +
			"are errors or warnings, 1 if it could not look.",
		Args: noArguments,
		RunE: func(command *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(command.Context(), unix.SIGINT, unix.SIGTERM)
			defer stop()
			return flags.run(ctx, command.OutOrStdout())
		},
	}
	flags.file.register(command)
	registerRunDirectory(command, &flags.runDirectory)
	command.Flags().BoolVarP(&flags.asJSON, "json", "j", false, "print JSON")
	registerColor(command, &flags.color)
	command.Flags().BoolVar(&flags.noProbe, "no-probe", false, "neither ask the neighbours nor listen to them")
	command.Flags().DurationVar(&flags.listen, "listen", doctorListen, "without a daemon, listen this long for adverts")
	plainCodes(command)
	return command
}

func (f *doctorFlags) run(ctx context.Context, w io.Writer) error {
	colors, err := newPalette(f.color, w)
	if err != nil {
		return err
	}
	if f.listen < 0 {
		return fmt.Errorf("--listen %v: want a duration that is not negative", f.listen)
	}
	report, err := f.report(ctx)
	if err != nil {
		return err
	}
	if f.asJSON {
		err = writeJSON(w, report)
	} else {
		err = writeDoctor(w, report, colors)
	}
	if err != nil {
		return err
	}
	if report.Wrong() {
		return outcome(exitFindings)
	}
	return nil
}

// report examines this host for the file.
func (f *doctorFlags) report(ctx context.Context) (doctor.Report, error) {
	c, err := f.file.load()
	if err != nil {
		return doctor.Report{}, err
	}
	survey := doctor.Survey{Config: c, Probe: !f.noProbe, Listen: f.listen}
	status, statusErr := control.Status(ctx, filepath.Join(f.runDirectory, socketName))
	if statusErr == nil {
		survey.Status = &status
	}
	found := survey.Gather(ctx)
	if err := ctx.Err(); err != nil {
		return doctor.Report{}, fmt.Errorf("interrupted: %w", err)
	}
	if statusErr != nil && !errors.Is(statusErr, control.ErrNotRunning) {
		found.Unchecked = append(found.Unchecked, doctor.Unchecked{What: "the daemon", Why: statusErr.Error()})
	}
	return doctor.Examine(found), nil
}

// severityColor is that of the word that begins a finding.
func severityColor(s doctor.Severity) string {
	switch s {
	case doctor.Error:
		return red
	case doctor.Warning:
		return yellow
	default:
		return dim
	}
}

// plain is a text, which the kernel, a file or a neighbour may have a part in, on
// one line.
func plain(text string) string { return palette{}.paint("", strings.ReplaceAll(text, "\n", "; ")) }

// writeDoctor prints the report for people.
func writeDoctor(w io.Writer, r doctor.Report, colors palette) error {
	var b strings.Builder
	for _, check := range r.Checks {
		found := r.Of(check)
		if len(found) == 0 {
			continue
		}
		fmt.Fprintln(&b, colors.paint(bold, check))
		for _, f := range found {
			writeFinding(&b, f, colors)
		}
	}
	if len(r.Unchecked) > 0 {
		fmt.Fprintln(&b, colors.paint(bold, "not checked"))
		for _, u := range r.Unchecked {
			fmt.Fprintf(&b, "  %s: %s\n", plain(u.What), plain(u.Why))
		}
	}
	daemon := "no daemon runs"
	if r.Daemon != 0 {
		daemon = fmt.Sprintf("the daemon runs, pid %d", r.Daemon)
	}
	fmt.Fprintf(&b, "%s; errors: %d, warnings: %d, notes: %d; ok: %d of %d checks, not checked: %d\n", daemon,
		r.Count(doctor.Error), r.Count(doctor.Warning), r.Count(doctor.Note), r.OK, len(r.Checks), len(r.Unchecked))
	_, err := io.WriteString(w, b.String())
	return err
}

func writeFinding(b *strings.Builder, f doctor.Finding, colors palette) {
	fmt.Fprintf(b, "  %s %s: %s: %s\n", colors.paint(severityColor(f.Severity), string(f.Severity)), f.ID,
		plain(f.Subject), plain(f.What))
	fmt.Fprintf(b, "    breaks: %s\n", plain(f.Breaks))
	if f.Edit != "" {
		fmt.Fprintf(b, "    edit: %s\n", plain(f.Edit))
	}
	if f.Mend == "" {
		return
	}
	where := "run"
	if f.On != "" {
		where = "run on " + f.On
	}
	fmt.Fprintf(b, "    %s: %s\n", plain(where), colors.paint(green, f.Mend))
}
