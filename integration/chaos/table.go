package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// String is a result in a few lines, for who watches.
func (r Result) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s: %d of %d new connections failed, %d of %d held ones broke, outage %s (allowed %s), repaired after %s, %d changes, two %s, none %s",
		r.Fault, r.Contestant, r.Failed, r.New, r.Broken, r.Held, seconds(r.Outage), seconds(r.Allowed), seconds(r.Repair), r.Changes,
		seconds(r.Two), seconds(r.None))
	fmt.Fprintf(&b, "\n    %v before, %v after, %d lines of log, %s in all", r.Before, r.After, r.Lines, seconds(r.Took))
	for _, line := range r.Said {
		fmt.Fprintf(&b, "\n    said: %s", line)
	}
	for _, line := range r.Remarks {
		fmt.Fprintf(&b, "\n    remark: %s", line)
	}
	if r.Excused != "" {
		fmt.Fprintf(&b, "\n    not judged: %s", r.Excused)
	}
	if r.Err != nil {
		fmt.Fprintf(&b, "\n    error: %v", r.Err)
	}
	for _, line := range r.Broke {
		fmt.Fprintf(&b, "\n    BROKEN: %s", line)
	}
	return b.String()
}

// String is the usage in a few words.
func (u Usage) String() string {
	text := fmt.Sprintf("%.1f MB, %d descriptors", float64(u.Resident)/1e6, u.Descriptors)
	if u.Goroutines > 0 {
		text += fmt.Sprintf(", %d goroutines", u.Goroutines)
	}
	return text
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }

// MarshalJSON writes errors as text.
func (r Result) MarshalJSON() ([]byte, error) {
	type plain Result
	text := ""
	if r.Err != nil {
		text = r.Err.Error()
	}
	return json.Marshal(struct {
		plain
		Err string `json:",omitempty"`
	}{plain(r), text})
}

// printJSON prints one result a line.
func printJSON(w io.Writer, results []Result) error {
	lines := json.NewEncoder(w)
	for _, r := range results {
		if err := lines.Encode(r); err != nil {
			return err
		}
	}
	return nil
}

const legend = `Failed: new connections, of how many. Broke: held ones. Outage: the longest time without a new connection that
succeeded, with what the protocol allows in brackets. Back: from the injection, or the mending where there is one, until
everything was as desired. Roles: changes of role. Two, none: how long two nodes had the VIP, and how long none.

`

// printTable prints the results in Markdown, the contestants beside each other.
func printTable(w io.Writer, facts []string, results []Result) {
	fmt.Fprintf(w, "%s.\n\n%s", strings.Join(facts, "; "), legend)
	var names []string
	for _, r := range results {
		if !slices.Contains(names, r.Contestant) {
			names = append(names, r.Contestant)
		}
	}
	columns := []string{"failed", "broke", "outage", "back", "roles", "two", "none", "what it said"}
	fmt.Fprint(w, "| fault |")
	for _, name := range names {
		for i, column := range columns {
			if i == 0 {
				column = name + ": " + column
			}
			fmt.Fprintf(w, " %s |", column)
		}
	}
	fmt.Fprintf(w, "\n|---|%s\n", strings.Repeat("---|", len(names)*len(columns)))
	for i := 0; i < len(results); {
		row := results[i:]
		row = row[:rowLength(row)]
		i += len(row)
		fmt.Fprintf(w, "| %s |", row[0].Fault)
		for _, name := range names {
			at := slices.IndexFunc(row, func(r Result) bool { return r.Contestant == name })
			if at < 0 {
				fmt.Fprint(w, strings.Repeat(" |", len(columns)-1)+" not asked |")
				continue
			}
			fmt.Fprintf(w, " %s |", strings.Join(row[at].cells(), " | "))
		}
		fmt.Fprintln(w)
	}
	printRemarks(w, results)
}

// rowLength is how many of the results, from the first on, are of one fault and of
// contestants that differ.
func rowLength(results []Result) int {
	for i, r := range results {
		if r.Fault != results[0].Fault || slices.ContainsFunc(results[:i], func(e Result) bool { return e.Contestant == r.Contestant }) {
			return i
		}
	}
	return len(results)
}

// cells are the columns of a contestant.
func (r Result) cells() []string {
	back := seconds(r.Repair)
	if r.Err != nil {
		back = "not"
	}
	said := strings.Join(r.Said[:min(1, len(r.Said))], "")
	return []string{
		fmt.Sprintf("%d/%d", r.Failed, r.New), fmt.Sprintf("%d/%d", r.Broken, r.Held),
		fmt.Sprintf("%s (%s)", seconds(r.Outage), seconds(r.Allowed)), back, fmt.Sprint(r.Changes), seconds(r.Two), seconds(r.None),
		strings.ReplaceAll(said, "|", "/"),
	}
}

// printRemarks prints what has no column.
func printRemarks(w io.Writer, results []Result) {
	for _, r := range results {
		lines := slices.Clone(r.Remarks)
		if r.Excused != "" {
			lines = append(lines, "not judged: "+r.Excused)
		}
		if r.Err != nil {
			lines = append(lines, r.Err.Error())
		}
		for _, broke := range r.Broke {
			lines = append(lines, "BROKEN: "+broke)
		}
		if len(lines) > 0 {
			fmt.Fprintf(w, "\n- %s, %s: %s", r.Fault, r.Contestant, strings.ReplaceAll(strings.Join(lines, "; "), "\n", " "))
		}
	}
	fmt.Fprintln(w)
}

// printSoak prints what a soak used over time: the medians of each tenth.
func printSoak(w io.Writer, facts []string, all []soaking) {
	fmt.Fprintf(w, "%s.\n\n", strings.Join(facts, "; "))
	fmt.Fprintf(w, "| | memory in MB, by tenths of the time | descriptors | goroutines |\n|---|---|---|---|\n")
	for _, one := range all {
		one.reloads.print(w, one.name+", reloads")
		one.faults.print(w, one.name+", faults")
	}
	for _, one := range all {
		fmt.Fprintf(w, "\n%s: reloads took %s; %d faults", one.name, one.took.Round(time.Second), max(0, len(one.results)-1))
		for _, r := range one.results {
			if r.Failed+r.Broken > 0 {
				fmt.Fprintf(w, "\n- %s: %d of %d new connections failed, %d of %d held ones broke", r.Fault, r.Failed, r.New, r.Broken, r.Held)
			}
		}
	}
	fmt.Fprintln(w)
}

func (s series) print(w io.Writer, what string) {
	if len(s) == 0 {
		return
	}
	var memory, files, routines []string
	for n := range 10 {
		part := s.tenth(n)
		memory = append(memory, fmt.Sprintf("%.1f", float64(median(part, resident))/1e6))
		files = append(files, fmt.Sprint(median(part, descriptors)))
		routines = append(routines, fmt.Sprint(median(part, goroutineCount)))
	}
	fmt.Fprintf(w, "| %s | %s | %s | %s |\n", what, strings.Join(memory, " "), strings.Join(files, " "), strings.Join(routines, " "))
}
