package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
)

func writeProbes(w io.Writer, report probeReport, verbose bool, colors palette) error {
	// The lines without tabs go past the table, or they would end its columns.
	table := probeTable(report.Probes, colors)
	var b strings.Builder
	of := ""
	for i, p := range report.Probes {
		if next := p.heading(); next != of {
			of = next
			fmt.Fprintln(&b, colors.paint(bold, of))
		}
		fmt.Fprintln(&b, table[i])
		if !verbose {
			continue
		}
		for _, line := range p.Transcript {
			fmt.Fprintf(&b, "    %s\n", line)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(report.Names)) {
		fmt.Fprintf(&b, "%s has no address: %s\n", name, report.Names[name])
	}
	if len(report.Probes)+len(report.Names) == 0 {
		fmt.Fprintln(&b, "no checks")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// probeTable is a line for each, with the columns of all aligned.
func probeTable(all []probed, colors palette) []string {
	var b strings.Builder
	table := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, p := range all {
		sgr := green
		if !p.OK {
			sgr = red
		}
		fmt.Fprintf(table, "  %s\t%s\t%.1f ms\t%s\n", p.asked(), colors.paint(sgr, p.Code), p.Duration.Seconds()*1e3, p.outcome())
	}
	_ = table.Flush() // never fails
	return strings.Split(b.String(), "\n")
}

// asked is the check, with the server where that is not whom it asks.
func (p probed) asked() string {
	_, target, _ := strings.Cut(p.Check, " ")
	if p.Server == "" || target == p.Server || strings.HasPrefix(p.Server, target+":") {
		return p.Check
	}
	return p.Check + " (" + p.Server + ")"
}

func (p probed) heading() string {
	if p.Tracker != "" {
		return "tracker " + p.Tracker
	}
	return p.Service
}

// outcome is the reason, which has the weight, and the warning.
func (p probed) outcome() string {
	if p.Warning == "" {
		return p.Reason
	}
	return p.Reason + "; " + p.Warning
}
