package main

import (
	"fmt"
	"time"

	"github.com/lvsd/lvsd/director"
)

// resultRun is some results in a row that came to the same.
type resultRun struct {
	first, last      *director.ResultExplanation
	count            int
	fastest, slowest time.Duration
}

// history prints the last results, the newest last. Equal ones in a row are one
// line, unless x is verbose.
func (x *explainer) history(results []director.ResultExplanation) {
	if len(results) == 0 {
		return
	}
	x.line(2, "the last %s:", count(len(results), "result"))
	for _, r := range x.fold(results) {
		text := said(r.first)
		if r.first.Told != nil {
			text += fmt.Sprintf(", weight %d", *r.first.Told)
		}
		if r.count == 1 {
			x.line(3, "%s  %s, %s%s", x.clock(r.first.At), text, took(r.first.Duration), tried(r.first))
			continue
		}
		x.line(3, "%s  %d times until %s: %s, %s", x.clock(r.first.At), r.count, x.clock(r.last.At), text, r.took())
	}
}

// fold joins results in a row that came to the same.
func (x *explainer) fold(results []director.ResultExplanation) []resultRun {
	var runs []resultRun
	for i := range results {
		r := &results[i]
		if n := len(runs) - 1; n >= 0 && !x.verbose && same(runs[n].last, r) {
			run := &runs[n]
			run.last, run.count = r, run.count+1
			run.fastest, run.slowest = min(run.fastest, r.Duration), max(run.slowest, r.Duration)
			continue
		}
		runs = append(runs, resultRun{r, r, 1, r.Duration, r.Duration})
	}
	return runs
}

// same reports whether two results say the same, whenever and however fast.
func same(a, b *director.ResultExplanation) bool {
	toldSame := a.Told == nil && b.Told == nil || a.Told != nil && b.Told != nil && *a.Told == *b.Told
	return a.Code == b.Code && a.Reason == b.Reason && toldSame
}

// took is how long the probes of the run took.
func (r resultRun) took() string {
	fastest, slowest := took(r.fastest), took(r.slowest)
	if fastest == slowest {
		return fastest
	}
	return fastest + " to " + slowest
}

func tried(r *director.ResultExplanation) string {
	if r.Tries < 2 {
		return ""
	}
	return fmt.Sprintf(", at the %s try", ordinal(r.Tries))
}
