package main

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/lvsd/lvsd/director"
	"github.com/lvsd/lvsd/director/control"
)

func newMaintenance() *cobra.Command {
	var flags daemonFlags
	command := parent("maintenance", "Take this node out of service, or show whether it is",
		"Show whether this node is in maintenance.\n\n"+
			"In maintenance its real servers are drained on every node, and it leaves MASTER to\n"+
			"another. That stands over reloads and restarts until maintenance ends.",
		newMaintenanceOn(), newMaintenanceOff())
	command.RunE = func(command *cobra.Command, _ []string) error {
		status, err := flags.status(command.Context())
		if err != nil {
			return err
		}
		if flags.asJSON {
			return writeJSON(command.OutOrStdout(), maintenanceState{status.Maintenance != nil, status.Maintenance})
		}
		_, err = io.WriteString(command.OutOrStdout(), maintenanceWords(status, time.Now()))
		return err
	}
	flags.register(command)
	return command
}

// maintenanceState is whether a node is in maintenance, as JSON.
type maintenanceState struct {
	On       bool               `json:"on"`
	Override *director.Override `json:"override,omitempty"`
}

func maintenanceWords(s director.Status, now time.Time) string {
	var b strings.Builder
	if s.Maintenance == nil {
		fmt.Fprintf(&b, "%s: not in maintenance\n", s.RouterID)
	} else {
		fmt.Fprintf(&b, "%s: in maintenance %s\n", s.RouterID, orderedBy(*s.Maintenance, now))
	}
	for _, n := range s.Nodes {
		if n.Maintenance {
			fmt.Fprintf(&b, "%s: in maintenance\n", n.Name)
		}
	}
	return b.String()
}

func newMaintenanceOn() *cobra.Command {
	var flags orderFlags
	var wait waitFlags
	command := &cobra.Command{
		Use:   "on",
		Short: "Drain its real servers on every node, then leave MASTER to another",
		Long: "Drain this node's real servers on every node, then leave MASTER to another node and\n" +
			"stay BACKUP.\n\n" +
			"With --wait, wait until the connections of its real servers have ended on every\n" +
			"node. Exit 6 if some are left after --timeout, or a node was not heard of: the\n" +
			"maintenance goes on.",
		Args: noArguments,
		RunE: func(command *cobra.Command, _ []string) error {
			if err := flags.check(); err != nil {
				return err
			}
			if err := wait.check(); err != nil {
				return err
			}
			return maintain(command, &flags, &wait, director.MaintenanceOrder{
				On: true, Reason: flags.reason, For: flags.lasting, By: operator(),
			})
		},
	}
	flags.register(command)
	wait.register(command)
	return command
}

func newMaintenanceOff() *cobra.Command {
	var flags daemonFlags
	command := &cobra.Command{
		Use:   "off",
		Short: "Let it take part again",
		Args:  noArguments,
		RunE: func(command *cobra.Command, _ []string) error {
			return maintain(command, &orderFlags{daemonFlags: flags}, &waitFlags{}, director.MaintenanceOrder{By: operator()})
		},
	}
	flags.register(command)
	return command
}

// maintain begins or ends maintenance, telling of the progress.
func maintain(command *cobra.Command, flags *orderFlags, wait *waitFlags, order director.MaintenanceOrder) error {
	ctx, w := command.Context(), command.OutOrStdout()
	progress := w
	if flags.asJSON {
		progress = command.ErrOrStderr()
	}
	spread, err := maintainShowing(ctx, flags, order, progress)
	if err != nil {
		return err
	}
	result := orderResult{Orders: []director.Spread{spread}}
	if !flags.asJSON {
		writeSpread(w, spread, time.Now())
	}
	var left error
	if wait.wait {
		var now drained
		now, left = wait.until(ctx, progress, func(ctx context.Context) (drained, error) {
			status, err := flags.status(ctx)
			return drainedOfNode(status, spread.Override), err
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

// maintainShowing gives the order and, until the daemon answers, tells how the roles
// of the instances change.
func maintainShowing(ctx context.Context, flags *orderFlags, order director.MaintenanceOrder, w io.Writer) (director.Spread, error) {
	type answer struct {
		spread director.Spread
		err    error
	}
	answers := make(chan answer, 1)
	go func() {
		spread, err := control.Maintenance(ctx, flags.socket(), order)
		answers <- answer{spread, err}
	}()
	poll := time.NewTicker(pollDrain)
	defer poll.Stop()
	told := map[string]string{}
	for {
		select {
		case a := <-answers:
			return a.spread, a.err
		case <-poll.C:
			// Only the order's own answer counts as failure.
			if status, err := flags.status(ctx); err == nil {
				writeRoles(w, status, told)
			}
		}
	}
}

// writeRoles tells of the roles that have changed since they were told.
func writeRoles(w io.Writer, status director.Status, told map[string]string) {
	for _, i := range status.Instances {
		text := strings.ToUpper(i.State)
		if i.Master != "" && i.State != "master" {
			text += ", MASTER is " + i.Master
		}
		if told[i.Name] != text {
			fmt.Fprintln(w, printableLine("  %s: %s", i.Name, text))
			told[i.Name] = text
		}
	}
}

// drainedOfNode is how many connections are left of the node's real servers.
func drainedOfNode(status director.Status, o director.Override) drained {
	return drainedWhere(status, func(_, server string) bool {
		return slices.ContainsFunc(o.Addresses, func(a netip.Addr) bool { return a.String() == addressOf(server) })
	})
}
