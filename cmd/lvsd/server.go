package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/lvsd/lvsd/director"
	"github.com/lvsd/lvsd/director/control"
)

// parent is a command that only has others below it.
func parent(use, short, long string, below ...*cobra.Command) *cobra.Command {
	command := &cobra.Command{
		Use:   use,
		Short: short,
		Long:  long,
		Args:  knownCommand,
		RunE:  func(command *cobra.Command, _ []string) error { return command.Help() },
	}
	command.SuggestionsMinimumDistance = 2
	command.AddCommand(below...)
	return command
}

func newServer() *cobra.Command {
	return parent("server", "Drain, disable or weigh real servers by hand",
		"Order by hand what real servers are to be. Orders stand beside the health checks\n"+
			"and the file: over reloads, restarts and failovers, until they are taken back.\n\n"+
			"SERVICE is a virtual service's name, or - for all that have the server. SERVER is\n"+
			"ADDRESS:PORT, an address, or a host name of the file.",
		newServerDrain(), newServerEnable(), newServerDisable(), newServerWeight())
}

func newServerDrain() *cobra.Command {
	var wait waitFlags
	command := newServerOrder("drain SERVICE SERVER", "Give it no new connections; those that stand go on", director.Drain, &wait)
	command.Long = "Give the real server no new connections; those that stand go on.\n\n" +
		"With --wait, wait until they have ended on every node, and tell how many are left.\n" +
		"Exit 6 if some are left after --timeout, or a node was not heard of: the server\n" +
		"stays drained."
	wait.register(command)
	return command
}

func newServerDisable() *cobra.Command {
	return newServerOrder("disable SERVICE SERVER", "Take it out of the kernel's table; its connections end",
		director.Disabled, &waitFlags{})
}

func newServerOrder(use, short string, state director.AdminState, wait *waitFlags) *cobra.Command {
	var flags orderFlags
	command := &cobra.Command{
		Use:               use,
		Short:             short,
		Args:              wantArguments("SERVICE", "SERVER"),
		ValidArgsFunction: completeServer,
		RunE: func(command *cobra.Command, arguments []string) error {
			return orderServers(command, &flags, wait, arguments, func(target director.Target) director.Order {
				return flags.order(target, state)
			})
		},
	}
	flags.register(command)
	return command
}

func newServerWeight() *cobra.Command {
	var flags orderFlags
	command := &cobra.Command{
		Use:               "weight SERVICE SERVER WEIGHT",
		Short:             "Have this weight count in place of the configured one",
		Args:              wantArguments("SERVICE", "SERVER", "WEIGHT"),
		ValidArgsFunction: completeServer,
		RunE: func(command *cobra.Command, arguments []string) error {
			weight, err := strconv.Atoi(arguments[2])
			if err != nil || weight < 0 || weight > director.MaxWeight {
				return usageError{fmt.Errorf("weight %q: want 0..%d", arguments[2], director.MaxWeight)}
			}
			return orderServers(command, &flags, &waitFlags{}, arguments, func(target director.Target) director.Order {
				order := flags.order(target, "")
				order.Weight = &weight
				return order
			})
		},
	}
	flags.register(command)
	return command
}

func newServerEnable() *cobra.Command {
	var flags daemonFlags
	command := &cobra.Command{
		Use:     "enable SERVICE SERVER",
		Aliases: []string{"clear"},
		Short:   "Take back what was ordered of it",
		Long: "Take back what was ordered of the real server, its weight included. An order of its\n" +
			"service or of its node goes on: the command tells if one keeps it drained.",
		Args:              wantArguments("SERVICE", "SERVER"),
		ValidArgsFunction: completeServer,
		RunE: func(command *cobra.Command, arguments []string) error {
			status, err := flags.status(command.Context())
			if err != nil {
				return err
			}
			targets, err := serverTargets(status, arguments[0], arguments[1])
			if err != nil {
				return err
			}
			return clearTargets(command, &flags, targets)
		},
	}
	flags.register(command)
	return command
}

// orderServers orders the same of every server that the arguments mean.
func orderServers(
	command *cobra.Command, flags *orderFlags, wait *waitFlags, arguments []string, order func(director.Target) director.Order,
) error {
	if err := flags.check(); err != nil {
		return err
	}
	status, err := flags.status(command.Context())
	if err != nil {
		return err
	}
	targets, err := serverTargets(status, arguments[0], arguments[1])
	if err != nil {
		return err
	}
	return giveOrders(command, flags, wait, targets, order)
}

// giveOrders orders the same of every target, says so, and waits if it is to.
func giveOrders(
	command *cobra.Command, flags *orderFlags, wait *waitFlags, targets []director.Target, order func(director.Target) director.Order,
) error {
	if err := wait.check(); err != nil {
		return err
	}
	ctx, w := command.Context(), command.OutOrStdout()
	var result orderResult
	for _, target := range targets {
		spread, err := control.Order(ctx, flags.socket(), order(target))
		if err != nil {
			return err
		}
		result.Orders = append(result.Orders, spread)
		if !flags.asJSON {
			writeSpread(w, spread, time.Now())
		}
	}
	var left error
	if wait.wait {
		progress := w
		if flags.asJSON {
			progress = command.ErrOrStderr()
		}
		var now drained
		now, left = wait.until(ctx, progress, func(ctx context.Context) (drained, error) {
			status, err := flags.status(ctx)
			return drainedOf(status, targets), err
		})
		result.waited(now)
	}
	if flags.asJSON {
		if err := writeJSON(w, result); err != nil {
			return err
		}
	}
	return left
}

// clearTargets takes back what was ordered of the targets.
func clearTargets(command *cobra.Command, flags *daemonFlags, targets []director.Target) error {
	ctx, w := command.Context(), command.OutOrStdout()
	var result orderResult
	for _, target := range targets {
		spread, err := control.Clear(ctx, flags.socket(), target, operator())
		if err != nil {
			return err
		}
		spread.Override.Target = target // of none, the daemon tells none
		spread.Override.Cleared = true
		result.Orders = append(result.Orders, spread)
	}
	status, err := flags.status(ctx)
	if err != nil {
		return err
	}
	for _, spread := range result.Orders {
		if !flags.asJSON {
			writeSpread(w, spread, time.Now())
		}
		still := stillOrdered(status, spread.Override.Target)
		if still == nil {
			continue
		}
		result.Still = append(result.Still, *still)
		if !flags.asJSON {
			fmt.Fprintln(w, printableLine("  still %s by the order of %s; see lvsd status", overrideState(*still), still.Target.String()))
		}
	}
	if flags.asJSON {
		return writeJSON(w, result)
	}
	return nil
}
