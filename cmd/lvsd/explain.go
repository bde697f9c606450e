package main

import (
	"io"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/lvsd/lvsd/director"
	"github.com/lvsd/lvsd/director/control"
)

// explainFlags are the flags of lvsd explain.
type explainFlags struct {
	runDirectory, service, color string
	asJSON, verbose              bool
}

func newExplain() *cobra.Command {
	var flags explainFlags
	command := &cobra.Command{
		Use:   "explain SERVER",
		Short: "Say why a real server is up or down, and how its weight comes about",
		Long: "Say why a real server is up or down and since when: which check decides, what it\n" +
			"sent and what came back, the last 20 results, how the weight comes about, and who\n" +
			"else the same probe is for.\n\n" +
			"SERVER is an address, ADDRESS:PORT, a host name of the file, or the beginning of\n" +
			"one of these if only one real server has it.",
		Args: wantArguments("SERVER"),
		RunE: func(command *cobra.Command, arguments []string) error {
			w := command.OutOrStdout()
			colors, err := newPalette(flags.color, w)
			if err != nil {
				return err
			}
			socket := filepath.Join(flags.runDirectory, socketName)
			e, err := control.Explain(command.Context(), socket, arguments[0], flags.service)
			if err != nil {
				return err
			}
			if flags.asJSON {
				return writeJSON(w, e)
			}
			return writeExplanation(w, e, explainer{now: e.At.Local(), verbose: flags.verbose, palette: colors})
		},
	}
	registerRunDirectory(command, &flags.runDirectory)
	command.Flags().StringVar(&flags.service, "service", "", "only in the virtual service `NAME`")
	command.Flags().BoolVarP(&flags.asJSON, "json", "j", false, "print JSON")
	command.Flags().BoolVarP(&flags.verbose, "verbose", "v", false, "print every result, and all that was said")
	registerColor(command, &flags.color)
	return command
}

// explainer puts an explanation into words.
type explainer struct {
	strings.Builder
	palette
	now     time.Time
	verbose bool
}

// writeExplanation prints the explanation for people.
func writeExplanation(w io.Writer, e director.Explanation, x explainer) error {
	for _, n := range e.CheckNotices {
		x.line(0, "checks are %s for %s: %s", n.Kind, ago(x.now, n.Since), n.Reason)
	}
	for i := range e.Servers {
		if i > 0 || len(e.CheckNotices) > 0 {
			x.WriteString("\n")
		}
		x.server(&e.Servers[i])
	}
	_, err := io.WriteString(w, x.String())
	return err
}

// line prints a line, so far indented. What servers have said is in it: no control
// character reaches the terminal.
func (x *explainer) line(indent int, format string, args ...any) {
	x.WriteString(strings.Repeat("  ", indent))
	x.WriteString(printableLine(format, args...))
	x.WriteString("\n")
}
