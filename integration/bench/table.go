package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// result is one case with all its repetitions.
type result struct {
	trial   trial
	samples map[string][]sample
	// failed says why a contestant was given up.
	failed map[string]error
	// busy counts the repetitions during which the machine was busy, again and
	// again.
	busy int
}

// judged reports whether the machine was quiet enough to tell.
func (r result) judged() bool {
	total := 0
	for _, samples := range r.samples {
		total += len(samples)
	}
	return r.busy*4 <= total
}

func (r result) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%v:", r.trial)
	for _, c := range contestants() {
		s := r.samples[c.name]
		if err := r.failed[c.name]; err != nil {
			fmt.Fprintf(&b, "  %s given up after %d repetitions: %v", c.name, len(s), err)
			continue
		}
		fmt.Fprintf(&b, "  %s outage %v, beyond %v, gap %.2f", c.name,
			milliseconds(median(s, outage)), milliseconds(median(s, beyond)), slices.Max(each(s, gap)))
	}
	if r.busy > 0 {
		fmt.Fprintf(&b, "  (%d repetitions on a busy machine)", r.busy)
	}
	return b.String()
}

func outage(s sample) time.Duration { return s.outage }
func beyond(s sample) time.Duration { return s.beyond }
func gap(s sample) float64          { return s.gap }

func each[T any](samples []sample, field func(sample) T) []T {
	values := make([]T, len(samples))
	for i, s := range samples {
		values[i] = field(s)
	}
	return values
}

// median is the middle of what the samples say; zero of none.
func median[T cmp.Ordered](samples []sample, field func(sample) T) T {
	values := each(samples, field)
	slices.Sort(values)
	if len(values) == 0 {
		var none T
		return none
	}
	return values[len(values)/2]
}

func milliseconds(d time.Duration) string {
	return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
}

// printFailover prints the table.
func printFailover(w io.Writer, o options, results []result) {
	fmt.Fprintf(w, "Medians of %d repetitions, lvsd and keepalived taking turns. Outage: the longest row of probes, one each\n", o.repeat)
	fmt.Fprintf(w, "millisecond, that the first, the middle or the last VIP left unanswered. Beyond: from the old MASTER's last advert until they answer\n")
	fmt.Fprintf(w, "from the new one, less what the protocol allows. Gap: the longest pause between two adverts of the new MASTER,\n")
	fmt.Fprintf(w, "the worst of all repetitions, in intervals. No rest: the two daemons did not come to have one MASTER.\n\n")
	table := tabwriter.NewWriter(w, 0, 8, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "protocol\tfault\tVIPs\toutage lvsd\tkeepalived\tbeyond lvsd\tkeepalived\tgap lvsd\tkeepalived\t")
	for _, r := range results {
		fmt.Fprintf(table, "%v\t%s\t%d\t", r.trial.protocol, r.trial.fault, r.trial.vips)
		if !r.judged() {
			fmt.Fprintf(table, "too busy to tell\t\t\t\t\t\t\n")
			continue
		}
		for _, field := range []func(contestant) string{r.outage, r.beyond, r.gap} {
			for _, c := range contestants() {
				fmt.Fprintf(table, "%s\t", field(c))
			}
		}
		fmt.Fprintln(table)
	}
	_ = table.Flush() // what it writes to reports its own errors
	for _, r := range results {
		for _, c := range contestants() {
			if err := r.failed[c.name]; err != nil {
				fmt.Fprintf(w, "\n%v: given up after %d repetitions: %v\n", r.trial, len(r.samples[c.name]), err)
			}
		}
	}
}

// unsteady stands for the figures of a contestant that was given up.
const unsteady = "no rest"

func (r result) outage(c contestant) string {
	if r.failed[c.name] != nil {
		return unsteady
	}
	return milliseconds(median(r.samples[c.name], outage))
}

func (r result) beyond(c contestant) string {
	if r.failed[c.name] != nil {
		return unsteady
	}
	return milliseconds(median(r.samples[c.name], beyond))
}

func (r result) gap(c contestant) string {
	if r.failed[c.name] != nil {
		return unsteady
	}
	return fmt.Sprintf("%.2f", slices.Max(each(r.samples[c.name], gap)))
}
