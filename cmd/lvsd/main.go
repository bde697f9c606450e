// Command lvsd is the director daemon and its tools: what people type to write a file
// and try it, to see what the daemon does and why, and to give it orders.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/lvsd/lvsd/cmd/lvsd/mute"
	"github.com/lvsd/lvsd/director/control"
)

// The exit codes.
const (
	exitOK         = 0
	exitFailed     = 1
	exitUsage      = 2
	exitNotRunning = 3
	exitPermission = 5
	exitTimeout    = 6
	// exitChanges is plan's: there is something to do. See plainCodes.
	exitChanges = 2
)

func main() {
	mute.End()
	os.Exit(run(context.Background(), os.Args[1:], os.Stdout, os.Stderr))
}

// run executes one command line and returns the exit code.
func run(ctx context.Context, arguments []string, stdout, stderr io.Writer) int {
	root := newRoot()
	root.SetArgs(append([]string{}, arguments...)) // of nil, cobra makes os.Args
	root.SetOut(stdout)
	root.SetErr(stderr)
	command, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitOK
	}
	if code := outcome(0); errors.As(err, &code) {
		return int(code)
	}
	if slices.Contains(arguments, "--nagios") {
		return nagiosUnknown(stdout, err)
	}
	fmt.Fprintln(stderr, err)
	if hasPlainCodes(command) {
		return exitFailed
	}
	return exitCode(err)
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:           "lvsd",
		Short:         "Director daemon for Linux load balancing: VRRP, IPVS and health checks",
		Version:       version(),
		Args:          knownCommand,
		RunE:          func(command *cobra.Command, _ []string) error { return command.Help() },
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SuggestionsMinimumDistance = 2
	root.SetFlagErrorFunc(func(command *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w\n%s", err, command.UsageString())}
	})
	root.AddCommand(newRun(), newCheck(), newPlan(), newApply(), newList(), newStatus(), newExplain(), newProbe(), newDoctor(), newImport(), newAdverts(), newVRRP())
	root.AddCommand(newReload(), newConfirm(), newServer(), newService(), newMaintenance(), newCheckNow(), newEvents(), newTop())
	root.AddCommand(newVersion(), newGenerate(), newSchema(), newHashPassword())
	sortIntoGroups(root)
	return root
}

// knownCommand refuses what is no command below parent, with the nearest that
// is.
func knownCommand(parent *cobra.Command, arguments []string) error {
	if len(arguments) == 0 {
		return nil
	}
	text := fmt.Sprintf("unknown command %q", arguments[0])
	if near := parent.SuggestionsFor(arguments[0]); len(near) > 0 {
		text += fmt.Sprintf(", nearest is %q", near[0])
	}
	return usageError{fmt.Errorf("%s; see %s --help", text, parent.CommandPath())}
}

// usageError is a command line that makes no sense.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// outcome is an exit code that says something and is no failure: nothing is
// printed.
type outcome int

func (o outcome) Error() string { return fmt.Sprintf("exit code %d", int(o)) }

// plainCodes makes every error of the command exitFailed, those of usage
// included: its other codes say something else.
func plainCodes(command *cobra.Command) {
	command.Annotations = map[string]string{"codes": "plain"}
}

func hasPlainCodes(command *cobra.Command) bool { return command.Annotations["codes"] == "plain" }

func exitCode(err error) int {
	var refused *control.Error
	switch {
	case errors.As(err, &usageError{}):
		return exitUsage
	case errors.Is(err, control.ErrNotRunning):
		return exitNotRunning
	case errors.Is(err, fs.ErrPermission):
		return exitPermission
	case errors.As(err, &timedOut{}):
		return exitTimeout
	case errors.As(err, &refused):
		return refusalCode(refused.Code)
	default:
		return exitFailed
	}
}

// refusalCode is the exit code for a code of the daemon's.
func refusalCode(code string) int {
	switch code {
	case control.CodeUnknownInstance, control.CodeUnknownServer, control.CodeUnknownService, control.CodeUnknownNode,
		control.CodeBadRequest:
		return exitUsage
	case control.CodeTimeout:
		return exitTimeout
	default:
		return exitFailed
	}
}

// noArguments is cobra's check as a usage error.
func noArguments(command *cobra.Command, arguments []string) error {
	if len(arguments) > 0 {
		return usageError{fmt.Errorf("%s takes no arguments, got %q", command.CommandPath(), arguments)}
	}
	return nil
}
