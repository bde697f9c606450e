package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lvsd/lvsd/director"
	"github.com/lvsd/lvsd/director/control"
)

func newCheckNow() *cobra.Command {
	var flags daemonFlags
	var color string
	command := &cobra.Command{
		Use:   "check-now [SERVICE] SERVER",
		Short: "Have the checks of a real server ask at once, and show the answers",
		Long: "Have the checks of a real server ask at once, in one virtual service or in all that\n" +
			"have it, and show the answers. They count like any others.\n\n" +
			"SERVER is as for lvsd explain, or - for all servers of SERVICE. Exit 1 if one of them\n" +
			"is down.",
		Args:              wantOneOrTwo,
		ValidArgsFunction: completeServer,
		RunE: func(command *cobra.Command, arguments []string) error {
			service, server := "", arguments[len(arguments)-1]
			if len(arguments) == 2 && !allServices(arguments[0]) {
				service = arguments[0]
			}
			if server == "-" {
				server = ""
			}
			if service == "" && server == "" {
				return usageError{fmt.Errorf("no server and no service: want one of them")}
			}
			w := command.OutOrStdout()
			colors, err := newPalette(color, w)
			if err != nil {
				return err
			}
			e, err := control.CheckNow(command.Context(), flags.socket(), server, service)
			if err != nil {
				return err
			}
			if flags.asJSON {
				err = writeJSON(w, e)
			} else {
				err = writeChecked(w, e, explainer{now: e.At.Local(), palette: colors})
			}
			if err == nil && someDown(e) {
				return outcome(exitFailed)
			}
			return err
		},
	}
	flags.register(command)
	registerColor(command, &color)
	return command
}

func wantOneOrTwo(command *cobra.Command, arguments []string) error {
	if len(arguments) == 1 || len(arguments) == 2 {
		return nil
	}
	return usageError{fmt.Errorf("%s: got %d arguments, want [SERVICE] SERVER\n%s", command.CommandPath(), len(arguments), command.UsageString())}
}

// writeChecked prints each server and what its checks found.
func writeChecked(w io.Writer, e director.Explanation, x explainer) error {
	for i := range e.Servers {
		s := &e.Servers[i]
		name := s.Address
		if s.Host != "" {
			name += " (" + s.Host + ")"
		}
		state := x.paint(stateColor(s.State), strings.ToUpper(s.State))
		fmt.Fprintf(&x, "%s in %s: %s%s\n", x.paint(bold, name), x.paint(bold, s.Service), state, x.since(s.Since))
		for j := range s.Checks {
			x.checked(&s.Checks[j])
		}
		for j := range s.WeightChecks {
			x.checked(&s.WeightChecks[j].CheckExplanation)
		}
	}
	_, err := io.WriteString(w, x.String())
	return err
}

// checked prints what a check found last.
func (x *explainer) checked(c *director.CheckExplanation) {
	text := fmt.Sprintf("%s: %s", checkName(c), said(c.Last))
	if c.Last != nil {
		text += ", after " + took(c.Last.Duration)
	}
	x.line(1, "%s", text)
	if c.Against > 0 && c.Against < c.Needed {
		x.line(2, "%d of %d in a row that change the verdict", c.Against, c.Needed)
	}
}

// someDown reports whether a server is down.
func someDown(e director.Explanation) bool {
	for _, s := range e.Servers {
		if s.State == "down" {
			return true
		}
	}
	return false
}
