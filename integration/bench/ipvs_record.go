package main

import (
	"cmp"
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

// measurement is one figure of one round: milliseconds, megabytes, percent or a
// number.
type measurement struct {
	work, contestant string
	size, repetition int
	value            float64
	// speed is that of the machine before the round: more is slower.
	speed time.Duration
}

// record collects the measurements of a run.
type record struct {
	all      []measurement
	failures []failure
}

// failure is a round that came to no end.
type failure struct {
	contestant string
	size       int
	err        error
}

func newRecord() *record { return &record{} }

// add records a figure of the round's own contestant, and shows it as progress.
func (d *record) add(r *round, work string, value float64) {
	d.addAs(r, r.contestant.name, work, value)
}

func (d *record) addAs(r *round, contestant, work string, value float64) {
	if !r.only.MatchString(work) {
		return
	}
	d.all = append(d.all, measurement{work, contestant, len(r.site.services), r.repetition, value, r.speed})
	r.Logf("%5.0f s  %5d services  #%d  %-11s %-56s %12.2f", time.Since(r.began).Seconds(), len(r.site.services),
		r.repetition+1, contestant, work, value)
}

func (d *record) fail(contestant string, size int, err error) {
	d.failures = append(d.failures, failure{contestant, size, err})
}

// values are the figures of one cell of the table, sorted.
func (d *record) values(work, contestant string, size int) []float64 {
	var all []float64
	for _, m := range d.all {
		if m.work == work && m.contestant == contestant && m.size == size {
			all = append(all, m.value)
		}
	}
	slices.Sort(all)
	return all
}

// middle is the median of one cell, false if it is empty.
func (d *record) middle(work, contestant string, size int) (float64, bool) {
	values := d.values(work, contestant, size)
	if len(values) == 0 {
		return 0, false
	}
	return values[len(values)/2], true
}

// cell prints median, least and most.
func (d *record) cell(work, contestant string, size int, format func(float64) string) string {
	values := d.values(work, contestant, size)
	switch len(values) {
	case 0:
		return "-"
	case 1:
		return format(values[0])
	}
	return fmt.Sprintf("%s (%s–%s)", format(values[len(values)/2]), format(values[0]), format(values[len(values)-1]))
}

// goal is a line of the table with its target.
type goal struct {
	work string
	// columns are the contestants that do it.
	columns []string
	format  func(float64) string
	// target is the least ratio of the others' median to lvsd's, or the most
	// that lvsd's own figure may be; zero is none.
	ratio, most float64
	bounded     bool
	// inverse makes the ratio one of lvsd's to the others', to be at most ratio.
	inverse bool
	// timed goals are not judged on a busy machine.
	timed bool
}

func number(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

func short(v float64) string {
	if v < 10 {
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.0f", v)
}

func unit(name string) func(float64) string {
	return func(v float64) string { return short(v) + " " + name }
}

// goals are the lines of the table.
var goals = []goal{
	{work: workProgram, columns: []string{nameLVSD, nameApply, nameKeepalived, nameIPVSADM}, format: unit("ms"), ratio: 3},
	{work: workStart, columns: []string{nameLVSD, nameKeepalived}, format: unit("ms"), ratio: 10},
	{work: workReload, columns: []string{nameLVSD, nameKeepalived}, format: unit("ms"), ratio: 10},
	{work: workVerdict, columns: []string{nameLVSD, nameKeepalived}, format: unit("ms"), ratio: 3},
	{work: workFirst, columns: []string{nameLVSD}, format: unit("ms"), most: 5, bounded: true},
	{work: workRack, columns: []string{nameLVSD, nameKeepalived}, format: unit("ms")},
	{work: workList, columns: []string{nameLVSD, nameIPVSADM}, format: unit("ms"), ratio: 3},
	{work: workMemory, columns: []string{nameLVSD, nameKeepalived}, format: unit("MB"), ratio: 1, inverse: true},
	{work: workRest, columns: []string{nameLVSD, nameKeepalived}, format: unit("%")},
	{work: countSyscalls, columns: []string{nameLVSD, nameApply, nameKeepalived, nameIPVSADM}, format: short},
	{work: countFull, columns: []string{nameLVSD, nameKeepalived}, format: number, bounded: true},
	{work: countReload, columns: []string{nameLVSD, nameKeepalived}, format: number, most: 5, bounded: true},
}

// verdict is the ratio to the best of the others, and whether the target is met.
func (d *record) verdict(g goal, size int) (ratio, target string) {
	own, ok := d.middle(g.work, nameLVSD, size)
	if !ok {
		return "-", ""
	}
	if g.bounded {
		return "", met(own <= g.most, "≤ "+g.format(g.most))
	}
	best := 0.0
	for _, name := range g.columns {
		other, ok := d.middle(g.work, name, size)
		if ok && name != nameLVSD && name != nameApply && (best == 0 || other < best) {
			best = other
		}
	}
	if best == 0 || own == 0 {
		return "-", ""
	}
	value := best / own
	if g.inverse {
		value = own / best
	}
	ratio = fmt.Sprintf("%.2f ×", value)
	switch {
	case g.ratio == 0:
		return ratio, ""
	case g.inverse:
		return ratio, met(value <= g.ratio, fmt.Sprintf("≤ %.1f ×", g.ratio))
	default:
		return ratio, met(value >= g.ratio, fmt.Sprintf("≥ %.0f ×", g.ratio))
	}
}

func met(ok bool, target string) string {
	if ok {
		return target + " met"
	}
	return target + " missed"
}

// print prints the table of the benchmark of IPVS.
func (d *record) print(w io.Writer, sizes []int, o options) {
	fmt.Fprintf(w, "Medians (least–most) of %d rounds, the contestants taking turns, each round in a network namespace of its own.\n", o.repeat)
	fmt.Fprintf(w, "Ratio: the best of the others to lvsd; of memory, lvsd to keepalived. Every service has %d real servers.\n\n", serversPerService)
	d.printTable(w, layout{
		sizes: sizes, objects: "services", perService: 1, goals: goals,
		columns: []string{nameLVSD, nameApply, nameKeepalived, nameIPVSADM},
	})
	d.printRest(w, o)
}

// layout is what a table has in it.
type layout struct {
	// sizes are numbers of services; objects, perService to one of them, are what
	// the first column counts.
	sizes      []int
	objects    string
	perService int
	goals      []goal
	columns    []string
	// busy tells with which sizes the machine was too busy for timed goals; nil
	// does not look.
	busy func(size int) bool
}

func (d *record) printTable(w io.Writer, l layout) {
	fmt.Fprintf(w, "| %s | work | %s | ratio | target |\n", l.objects, strings.Join(l.columns, " | "))
	fmt.Fprintf(w, "|--:|---|%s--:|---|\n", strings.Repeat("--:|", len(l.columns)))
	for _, size := range l.sizes {
		for _, g := range l.goals {
			if len(d.values(g.work, nameLVSD, size)) == 0 && len(d.values(g.work, nameKeepalived, size)) == 0 {
				continue
			}
			fmt.Fprintf(w, "| %d | %s |", size*l.perService, g.work)
			for _, name := range l.columns {
				fmt.Fprintf(w, " %s |", d.cell(g.work, name, size, g.format))
			}
			ratio, target := d.verdict(g, size)
			if g.timed && l.busy != nil && l.busy(size) {
				target = "too busy to judge"
			}
			fmt.Fprintf(w, " %s | %s |\n", ratio, target)
		}
	}
}

// printRest tells how even the machine was and what failed, and prints every
// measurement if that was asked for.
func (d *record) printRest(w io.Writer, o options) {
	d.printSpeed(w)
	for _, f := range d.failures {
		reason, _, _ := strings.Cut(f.err.Error(), "\n")
		fmt.Fprintf(w, "\n%s, %d services: a round came to no end: %s\n", f.contestant, f.size, reason)
	}
	if o.csv {
		d.csv(w)
	}
}

// printSpeed tells how even the machine was.
func (d *record) printSpeed(w io.Writer) {
	if len(d.all) == 0 {
		return
	}
	bySpeed := func(a, b measurement) int { return cmp.Compare(a.speed, b.speed) }
	best, worst := slices.MinFunc(d.all, bySpeed).speed, slices.MaxFunc(d.all, bySpeed).speed
	slow := map[[2]any]bool{}
	rounds := map[[2]any]bool{}
	for _, m := range d.all {
		key := [2]any{m.contestant, [2]int{m.size, m.repetition}}
		rounds[key] = true
		if m.speed > best*3/2 {
			slow[key] = true
		}
	}
	fmt.Fprintf(w, "\nThe same piece of work took %v to %v before the rounds; %d of %d rounds began on a machine half as slow again as its best.\n",
		best.Round(time.Microsecond), worst.Round(time.Microsecond), len(slow), len(rounds))
	if len(slow)*4 > len(rounds) {
		fmt.Fprintln(w, "That is too busy to judge.")
	}
}

// csv prints every measurement.
func (d *record) csv(w io.Writer) {
	fmt.Fprintln(w)
	out := csv.NewWriter(w)
	_ = out.Write([]string{"services", "work", "contestant", "round", "value", "speed_us"})
	for _, m := range d.all {
		_ = out.Write([]string{
			strconv.Itoa(m.size), m.work, m.contestant, strconv.Itoa(m.repetition + 1),
			strconv.FormatFloat(m.value, 'f', 4, 64), strconv.FormatInt(m.speed.Microseconds(), 10),
		})
	}
	out.Flush() // what it writes to reports its own errors
}
