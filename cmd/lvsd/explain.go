package main

import (
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/lvsd/lvsd/director"
)

// explainFlags are the flags of lvsd explain.
type explainFlags struct {
	daemonFlags
	service, instance, color string
	verbose                  bool
}

func newExplain() *cobra.Command {
	var flags explainFlags
	command := &cobra.Command{
		Use:   "explain INSTANCE|SERVICE|SERVER",
		Short: "Say why an instance, a service or a real server stands as it does",
		Long: "Say of a real server why it is up or down and since when: which check decides, what\n" +
			"it sent and what came back, the last 20 results, how the weight comes about, and who\n" +
			"else the same probe is for. Say of a VRRP instance why it has its role and priority,\n" +
			"of a virtual service how its real servers and its quorum stand.\n\n" +
			"SERVER is an address, ADDRESS:PORT, a host name of the file, or the beginning of\n" +
			"one of these if only one real server has it. Where a name is two things,\n" +
			"--instance NAME or --service NAME alone says which.",
		Args:              explainArguments,
		ValidArgsFunction: completeAny,
		RunE: func(command *cobra.Command, arguments []string) error {
			what, name, err := flags.subject(command.Context(), arguments)
			if err != nil {
				return err
			}
			return flags.explain(command.Context(), flags.socket(), what, name, command.OutOrStdout())
		},
	}
	flags.register(command)
	command.Flags().StringVar(&flags.service, "service", "", "only in the virtual service `NAME`; without SERVER, the service itself")
	command.Flags().StringVar(&flags.instance, "instance", "", "the VRRP instance `NAME`")
	command.Flags().BoolVarP(&flags.verbose, "verbose", "v", false, "print every result, and all that was said")
	registerColor(command, &flags.color)
	completeFlag(command, "service", func(n names) []string { return n.services })
	completeFlag(command, "instance", func(n names) []string { return n.instances })
	return command
}

// explainArguments wants one name, as an argument or by a flag.
func explainArguments(command *cobra.Command, arguments []string) error {
	if len(arguments) == 0 && (command.Flags().Changed("service") || command.Flags().Changed("instance")) {
		return nil
	}
	return wantArguments("INSTANCE|SERVICE|SERVER")(command, arguments)
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
