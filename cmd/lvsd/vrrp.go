package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/lvsd/lvsd/director/control"
)

// giveUpTimeout is the default of how long give-up waits for another MASTER.
const giveUpTimeout = time.Minute

func newVRRP() *cobra.Command {
	command := &cobra.Command{
		Use:   "vrrp",
		Short: "Move a VRRP instance of the running daemon",
		Args:  knownCommand,
		RunE:  func(command *cobra.Command, _ []string) error { return command.Help() },
	}
	command.SuggestionsMinimumDistance = 2
	command.AddCommand(newGiveUp(), newHold(), newRelease(), newPriority())
	return command
}

func newGiveUp() *cobra.Command {
	var runDirectory string
	var timeout time.Duration
	command := &cobra.Command{
		Use:   "give-up INSTANCE",
		Short: "Leave MASTER to another node, and wait until it has it",
		Long: "Leave MASTER to another node, and wait until it has it. If no other takes over\n" +
			"in time, this node becomes MASTER again, and the command fails.",
		Args:              wantArguments("INSTANCE"),
		ValidArgsFunction: completeInstance,
		RunE: func(command *cobra.Command, arguments []string) error {
			if timeout <= 0 {
				return usageError{fmt.Errorf("--timeout %v: want more than 0", timeout)}
			}
			name, socket := arguments[0], filepath.Join(runDirectory, socketName)
			master, err := control.GiveUp(command.Context(), socket, name, timeout)
			if refused := (*control.Error)(nil); errors.As(err, &refused) && refused.Code == control.CodeNoTakeover {
				return fmt.Errorf("%w; %s", err, afterNoTakeover(command.Context(), socket, name))
			}
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(command.OutOrStdout(), "%s: %s is MASTER\n", name, master)
			return err
		},
	}
	registerRunDirectory(command, &runDirectory)
	command.Flags().DurationVar(&timeout, "timeout", giveUpTimeout, "wait this long for another MASTER, at most 1h")
	return command
}

func newHold() *cobra.Command {
	return newVerb("hold INSTANCE", "Keep this node BACKUP until it is released, also over a restart", control.Hold)
}

func newRelease() *cobra.Command {
	return newVerb("release INSTANCE", "End a hold, and what give-up began", control.Release)
}

// newVerb is a command that asks the daemon for one thing and prints nothing.
func newVerb(use, short string, do func(ctx context.Context, path, instance string) error) *cobra.Command {
	var runDirectory string
	command := &cobra.Command{
		Use:               use,
		Short:             short,
		Args:              wantArguments("INSTANCE"),
		ValidArgsFunction: completeInstance,
		RunE: func(command *cobra.Command, arguments []string) error {
			return do(command.Context(), filepath.Join(runDirectory, socketName), arguments[0])
		},
	}
	registerRunDirectory(command, &runDirectory)
	return command
}

func newPriority() *cobra.Command {
	var runDirectory string
	command := &cobra.Command{
		Use:               "priority INSTANCE N|default",
		Short:             "Set the priority that tracking starts from; default is the configured one",
		Args:              wantArguments("INSTANCE", "N|default"),
		ValidArgsFunction: completeInstance,
		RunE: func(command *cobra.Command, arguments []string) error {
			priority, err := parsePriority(arguments[1])
			if err != nil {
				return err
			}
			socket := filepath.Join(runDirectory, socketName)
			return control.SetPriority(command.Context(), socket, arguments[0], priority)
		},
	}
	registerRunDirectory(command, &runDirectory)
	return command
}

// parsePriority returns 1..254, or 0 for "default".
func parsePriority(s string) (int, error) {
	if s == "default" {
		return 0, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > 254 {
		return 0, usageError{fmt.Errorf("priority %q: want 1..254 or default", s)}
	}
	return n, nil
}

// afterNoTakeover says what this node is now.
func afterNoTakeover(ctx context.Context, socket, name string) string {
	status, err := control.Status(ctx, socket)
	if err != nil {
		return err.Error()
	}
	for _, instance := range status.Instances {
		if instance.Name == name && instance.State == "master" {
			return "this node is MASTER again"
		}
	}
	return "this node becomes MASTER again unless another does; see lvsd status"
}

// wantArguments checks that there is one argument for each of the names.
func wantArguments(names ...string) cobra.PositionalArgs {
	return func(command *cobra.Command, arguments []string) error {
		if len(arguments) != len(names) {
			return usageError{fmt.Errorf("%s: got %d arguments, want %d\n%s",
				command.CommandPath(), len(arguments), len(names), command.UsageString())}
		}
		return nil
	}
}
