package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/lvsd/lvsd/director"
)

func newStatus() *cobra.Command {
	var flags daemonFlags
	var plugin bool
	command := &cobra.Command{
		Use:   "status",
		Short: "Show roles, VIPs and real servers of the running daemon, and the other nodes",
		Long: "Show roles, VIPs and real servers of the running daemon, what operators ordered, and\n" +
			"the other nodes of the cluster.\n\n" +
			"With --nagios, print one line with performance data, as a plugin of Icinga or Nagios,\n" +
			"and exit 0 if all is well, 1 for a warning, 2 if it is critical, 3 if it cannot be\n" +
			"told. That no daemon runs is critical.",
		Args: noArguments,
		RunE: func(command *cobra.Command, _ []string) error {
			if plugin && flags.asJSON {
				return usageError{errors.New("--json and --nagios: want one of them")}
			}
			if plugin {
				return nagios(command.Context(), flags.socket(), command.OutOrStdout(), time.Now())
			}
			status, err := flags.status(command.Context())
			if err != nil {
				return err
			}
			if flags.asJSON {
				return writeJSON(command.OutOrStdout(), status)
			}
			return writeStatus(command.OutOrStdout(), status, time.Now())
		},
	}
	flags.register(command)
	command.Flags().BoolVar(&plugin, "nagios", false, "print one line and exit as a monitoring plugin does")
	return command
}

// writeStatus prints the status for people.
func writeStatus(w io.Writer, s director.Status, now time.Time) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: lvsd %s, pid %d, up %s\n", s.RouterID, s.Version, s.PID, ago(now, s.Started))
	if !s.Ready {
		b.WriteString("waiting for the first answers of the checks\n")
	}
	for _, n := range s.CheckNotices {
		fmt.Fprintf(&b, "checks are %s for %s: %s\n", n.Kind, ago(now, n.Since), n.Reason)
	}
	if s.Reload.Error != "" {
		fmt.Fprintf(&b, "last reload %s %s ago: %s\n", reloadOutcomeWord(s.Reload), ago(now, s.Reload.At), s.Reload.Error)
	}
	if s.FileDiffers {
		fmt.Fprintf(&b, "the file is not what runs, and a restart would begin with it: lvsd plan\n")
	}
	for _, beside := range s.Beside {
		b.WriteString(printableLine("%s does not work for %s, and is tried again: %s", beside.Name, ago(now, beside.Since), beside.Error) + "\n")
	}
	if s.Reconcile.Error != "" {
		fmt.Fprintf(&b, "kernel not as planned: %s\n", s.Reconcile.Error)
	}
	writeOrders(&b, s, now)
	writeInstances(&b, s, now)
	writeTrackers(&b, s.Trackers, now)
	for _, daemon := range s.Daemons {
		fmt.Fprintf(&b, "connections are synchronised: %s on %s, id %d\n", daemon.State, daemon.Interface, daemon.ID)
	}
	writeNodes(&b, s, now)
	writeServices(&b, s.Services, now)
	writeHosts(&b, s.Hosts, now)
	for _, c := range s.Conflicts {
		if !c.Ended {
			fmt.Fprintf(&b, "address conflict: %s on %s is also at %s, for %s\n", c.VIP, c.Interface, c.MAC, ago(now, c.First))
		}
	}
	for _, drift := range s.Drift {
		fmt.Fprintf(&b, "changed by somebody else %s ago, left alone: %s; to repair: %s\n", ago(now, drift.Since), drift.Found, drift.Op)
	}
	for _, foreign := range s.Foreign {
		fmt.Fprintf(&b, "not lvsd's, left alone: %s\n", foreign)
	}
	for _, sysctl := range s.Sysctls {
		fmt.Fprintf(&b, "%s is %q, should be %q: %s\n", sysctl.Name, sysctl.Have, sysctl.Want, sysctl.Why)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// reloadOutcomeWord is how a reload failed.
func reloadOutcomeWord(r director.ReloadStatus) string {
	if r.RolledBack {
		return "rolled back"
	}
	return "refused"
}

func writeInstances(b *strings.Builder, s director.Status, now time.Time) {
	if len(s.Instances) == 0 {
		return
	}
	b.WriteString("\n")
	table := tabwriter.NewWriter(b, 0, 8, 2, ' ', 0)
	fmt.Fprintln(table, "INSTANCE\tVRID\tINTERFACE\tSTATE\tPRIORITY\tMASTER\tSINCE\tREASON")
	for _, i := range s.Instances {
		fmt.Fprintf(table, "%s\t%d\t%s\t%s\t%d\t%s\t%s\t%s\n", i.Name, i.VRID, i.Interface,
			strings.ToUpper(i.State), i.Priority, orDash(i.Master), ago(now, i.Since), i.Reason)
	}
	_ = table.Flush() // a strings.Builder does not fail
	for _, i := range s.Instances {
		writeInstance(b, i, len(s.Instances) > 1, now)
	}
	for _, g := range s.Groups {
		fmt.Fprintf(b, "  sync group %s: %s for %s: %s\n", g.Name, strings.ToUpper(g.State), ago(now, g.Since),
			strings.Join(g.Instances, ", "))
	}
}

// writeInstance prints what does not fit into the table, with the instance's
// name if there are several.
func writeInstance(b *strings.Builder, i director.InstanceStatus, named bool, now time.Time) {
	prefix := "  "
	if named {
		prefix = "  " + i.Name + ": "
	}
	line := func(format string, args ...any) { fmt.Fprintf(b, prefix+format+"\n", args...) }
	if i.Explanation != "" && i.Explanation != fmt.Sprint(i.Priority) {
		line("priority: %s", i.Explanation)
	}
	if i.Waiting != "" {
		line("waiting for %s", i.Waiting)
	}
	if i.Settling {
		line("settling: it only listens yet")
	}
	if i.Yielded {
		line("gave up MASTER")
	}
	if i.Held {
		line("held, BACKUP until: lvsd vrrp release %s", i.Name)
	}
	for _, vip := range i.VIPs {
		line("VIP %s %s", vip.Address, describeVIP(vip))
	}
	for _, fault := range i.Faults {
		line("fault: %s", fault)
	}
	for _, notice := range i.Notices {
		line("%s: %s: %s, for %s", notice.Kind, notice.Peer, notice.Detail, ago(now, notice.First))
	}
}

func writeTrackers(b *strings.Builder, trackers []director.TrackerStatus, now time.Time) {
	if len(trackers) == 0 {
		return
	}
	b.WriteString("\n")
	table := tabwriter.NewWriter(b, 0, 8, 2, ' ', 0)
	fmt.Fprintln(table, "TRACKER\tKIND\tSTATE\tSINCE\tINSTANCES\tREASON")
	for _, t := range trackers {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", t.Name, t.Kind, t.State, ago(now, t.Since),
			orDash(strings.Join(t.Instances, ",")), orDash(t.Reason))
	}
	_ = table.Flush()
}

func describeVIP(v director.VIPStatus) string {
	switch {
	case v.Held && v.Redirected:
		return "held, and redirected to this node's own sockets"
	case v.Held:
		return "held"
	case v.Redirected:
		return "not held, served on behalf of the MASTER"
	default:
		return "not held"
	}
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// ago is the time since then, to the second.
func ago(now, then time.Time) string {
	if then.IsZero() {
		return "-"
	}
	return now.Sub(then).Round(time.Second).String()
}
