package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/lvsd/lvsd/director"
)

// writeOrders prints what operators ordered, and a reload that waits.
func writeOrders(b *strings.Builder, s director.Status, now time.Time) {
	if !s.Confirm.IsZero() {
		fmt.Fprintf(b, "the last reload is rolled back in %s unless confirmed: lvsd confirm\n",
			max(0, s.Confirm.Sub(now)).Round(time.Second))
	}
	if s.Maintenance != nil {
		fmt.Fprintf(b, "in maintenance %s; to end it: lvsd maintenance off\n", orderedBy(*s.Maintenance, now))
	}
	if s.OverrideTrouble != "" {
		b.WriteString(printableLine("what was ordered before the start is not known, what had weight 0 stays drained: %s", s.OverrideTrouble) + "\n")
	}
	for _, o := range standing(s) {
		b.WriteString(printableLine("order: %s is %s %s%s", o.Target.String(), overrideState(o), orderedBy(o, now), takeBack(o.Target)) + "\n")
	}
}

// standing are the orders that stand, but for this node's maintenance.
func standing(s director.Status) []director.Override {
	return slices.DeleteFunc(slices.Clone(s.Overrides), func(o director.Override) bool {
		return o.Cleared || s.Maintenance != nil && o.Target == s.Maintenance.Target
	})
}

// orderedBy says since when an override stands, by whose order, why and how long.
func orderedBy(o director.Override, now time.Time) string {
	text := "for " + ago(now, o.At)
	if o.By != "" {
		text += ", by " + o.By
	}
	if o.Node != "" && !strings.HasSuffix(o.By, " on "+o.Node) {
		text += " on " + o.Node
	}
	if o.Reason != "" {
		text += fmt.Sprintf(" (%s)", o.Reason)
	}
	if !o.Until.IsZero() {
		text += fmt.Sprintf(", ends in %s", max(0, o.Until.Sub(now)).Round(time.Second))
	}
	return text
}

// takeBack is the command that ends an override.
func takeBack(t director.Target) string {
	switch {
	case t.Node != "":
		return ""
	case t.Server == "":
		return "; to end it: lvsd service enable " + t.Service
	default:
		return fmt.Sprintf("; to end it: lvsd server enable %s %s", t.Service, t.Server)
	}
}

// writeNodes prints the other nodes of the cluster and where they see real servers
// otherwise.
func writeNodes(b *strings.Builder, s director.Status, now time.Time) {
	if len(s.Nodes) == 0 {
		return
	}
	b.WriteString("\n")
	table := tabwriter.NewWriter(b, 0, 8, 2, ' ', 0)
	fmt.Fprintln(table, "NODE\tADDRESS\tROLES\tVERSION\tCONFIGURATION\tHEARD\tREMARKS")
	for _, n := range s.Nodes {
		fmt.Fprintln(table, printableCells(n.Name, n.Address, orDash(roles(n)), orDash(n.Version), configuration(s, n), lastHeard(n, now), orDash(nodeRemarks(n))))
	}
	_ = table.Flush()
	for _, d := range s.Disagreements() {
		for _, other := range d.Others {
			line := printableLine("  %s sees %s in %s %s, here it is %s", other.Node, d.Address, d.Service, other.State, d.State)
			if other.Reason != "" {
				line += printableLine("; it says %s", other.Reason)
			}
			b.WriteString(line + "\n")
		}
	}
}

// printableCells are the cells of a row, none of which ends it.
func printableCells(cells ...string) string {
	for i, cell := range cells {
		cells[i] = strings.Map(printable, cell)
	}
	return strings.Join(cells, "\t")
}

// roles are the states of a node's instances, as "mail MASTER, web BACKUP".
func roles(n director.NodeStatus) string {
	var texts []string
	for _, instance := range slices.Sorted(maps.Keys(n.Roles)) {
		texts = append(texts, instance+" "+strings.ToUpper(n.Roles[instance]))
	}
	return strings.Join(texts, ", ")
}

// differs reports whether a node is known to have another configuration.
func differs(s director.Status, n director.NodeStatus) bool {
	return n.ConfigHash != "" && s.ConfigHash != "" && n.ConfigHash != s.ConfigHash
}

func configuration(s director.Status, n director.NodeStatus) string {
	switch {
	case n.ConfigHash == "" || s.ConfigHash == "":
		return "-"
	case differs(s, n):
		return "differs"
	default:
		return "same"
	}
}

func lastHeard(n director.NodeStatus, now time.Time) string {
	switch {
	case n.Reachable:
		return "yes"
	case n.Last.IsZero():
		return "never"
	default:
		return fmt.Sprintf("not for %s", ago(now, n.Last))
	}
}

func nodeRemarks(n director.NodeStatus) string {
	var texts []string
	if n.Maintenance {
		texts = append(texts, "in maintenance")
	}
	if n.Reachable && !n.Ready {
		texts = append(texts, "waiting for its checks")
	}
	if n.Error != "" {
		texts = append(texts, n.Error)
	}
	return strings.Join(texts, "; ")
}
