package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/lvsd/lvsd/director"
)

// planView prints plans for people, or for programs.
type planView struct {
	w       io.Writer
	json    bool
	palette palette
}

func (f *planFlags) view(w io.Writer) (planView, error) {
	palette, err := newPalette(f.color, w)
	return planView{w: w, json: f.asJSON, palette: palette}, err
}

func (v planView) plan(p director.Preview) error {
	if v.json {
		return writeJSON(v.w, p)
	}
	var b strings.Builder
	v.facts(&b, p)
	v.changes(&b, p.Changes)
	v.notes(&b, p)
	b.WriteString("\n" + summary(p) + "\n")
	_, err := io.WriteString(v.w, b.String())
	return err
}

// facts says what the plan follows from.
func (v planView) facts(b *strings.Builder, p director.Preview) {
	line := func(format string, args ...any) {
		b.WriteString(v.palette.paint(dim, fmt.Sprintf(format, args...)) + "\n")
	}
	if p.Of == director.PreviewReload {
		line("what the running daemon would change at a reload")
	} else {
		line("what a daemon that starts would change first; none runs")
	}
	for _, name := range slices.Sorted(maps.Keys(p.Roles)) {
		line("  instance %s is %s", name, strings.ToUpper(p.Roles[name]))
	}
	if p.Services == 0 {
		return
	}
	line("  real servers are %s", map[director.Health]string{
		director.HealthDaemon: "as the daemon's checks say",
		director.HealthKernel: "as the weights in the kernel say",
		director.HealthUp:     "taken to be up",
		director.HealthProbe:  "as checks say that were made now",
	}[p.Health])
	if p.Unanswered > 0 {
		line("  %d checks have no answer yet and count as down", p.Unanswered)
	}
}

// headings are the titles of groups of operations.
var headings = map[director.ChangeKind]string{
	director.ChangeIPVS:     "virtual services and real servers",
	director.ChangeAddress:  "VIPs",
	director.ChangeRoute:    "virtual routes",
	director.ChangeRule:     "virtual rules",
	director.ChangeFirewall: "firewall rules",
	director.ChangeSysctl:   "kernel parameters",
	director.ChangeSync:     "connection synchronisation",
	director.ChangeTunnel:   "tunnels",
}

// changes prints the operations in their order, with a heading where the next
// ones concern something else.
func (v planView) changes(b *strings.Builder, changes []director.Change) {
	heading := ""
	for _, change := range changes {
		next := headings[change.Kind]
		if next == "" {
			next = string(change.Kind) // of a daemon of another version
		}
		if next != heading {
			heading = next
			b.WriteString("\n" + v.palette.paint(bold, heading) + "\n")
		}
		v.change(b, change)
	}
}

func (v planView) change(b *strings.Builder, c director.Change) {
	sign, color := "+", green
	switch c.Action {
	case director.ActionEdit, director.ActionSet:
		sign, color = "~", yellow
	case director.ActionDelete:
		sign, color = "-", red
	case director.ActionAdd:
	}
	b.WriteString(v.palette.paint(color, "  "+sign+" "+c.Command) + "\n")
	if sign == "~" && c.Before != "" {
		b.WriteString(v.palette.paint(dim, fmt.Sprintf("      %s → %s", c.Before, c.After)) + "\n")
	}
}

// notes tells what is seen and not changed.
func (v planView) notes(b *strings.Builder, p director.Preview) {
	var notes []string
	for _, drift := range p.Drift {
		notes = append(notes, fmt.Sprintf("changed by somebody else, left alone (on_drift = \"report\"): %s", drift.Command))
	}
	for _, foreign := range p.Foreign {
		notes = append(notes, "not lvsd's, left alone: "+foreign)
	}
	for _, s := range p.Sysctls {
		notes = append(notes, fmt.Sprintf("%s is %q, should be %q: %s", s.Name, s.Have, s.Want, s.Why))
	}
	if len(notes) > 0 {
		b.WriteString("\n")
	}
	for _, note := range notes {
		b.WriteString(v.palette.paint(yellow, "note: "+note) + "\n")
	}
}

// summary counts the changes.
func summary(p director.Preview) string {
	if p.Empty() {
		return "nothing to do"
	}
	return fmt.Sprintf("%d to add, %d to change, %d to delete", p.Summary.Add, p.Summary.Change, p.Summary.Delete)
}
