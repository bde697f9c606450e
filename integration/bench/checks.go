package main

import (
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/lvsd/lvsd/integration/lab"
)

// What is measured of checks, as the table names it after their kind.
const (
	checkCPU     = "CPU per check"
	checkMemory  = "memory"
	checkPeak    = "most checks in 100 ms, to the mean"
	checkTypical = "the same of the typical second"
	checkMade    = "checks made, of those due"
	checkUp      = "servers up, of all that are"
	checkServers = "CPU of the servers per check"
	checkStalled = "time in which processes waited for a CPU"
	deathMiddle  = "death to weight, p50"
	deathMost    = "death to weight, p99"
	refuseMiddle = "first refusal to weight, p50"
	refuseMost   = "first refusal to weight, p99"
)

// mostHTTP is the most servers that are asked over HTTP.
const mostHTTP = 1000

// checkKinds are the kinds of checks that every server has.
var checkKinds = []siteChecks{everyTCP, everyHTTP}

// checkWork is how the table names what is measured.
func checkWork(checks siteChecks, what string) string {
	return map[siteChecks]string{everyTCP: "TCP", everyHTTP: "HTTP"}[checks] + ": " + what
}

// benchChecks measures every size and prints a table.
func benchChecks(t lab.TB, o options, w io.Writer) {
	sizes, err := parseChecks(o.sizes)
	if err != nil {
		t.Fatalf("-sizes: %v", err)
	}
	if o.interval < time.Second || o.interval%time.Second != 0 {
		t.Fatalf("-interval: %v, expected whole seconds", o.interval)
	}
	b := newIPVSBench(t, o)
	b.every = o.interval
	for _, size := range sizes {
		for n := range o.repeat {
			b.repeatChecks(size, n)
		}
	}
	b.record.printChecks(w, sizes, o)
}

// parseChecks reads numbers of checks, and returns as many services as have so
// many real servers.
func parseChecks(text string) ([]int, error) {
	sizes, err := parseSizes(text)
	if err != nil {
		return nil, err
	}
	for i, size := range sizes {
		if size%serversPerService != 0 {
			return nil, fmt.Errorf("%d is no number of checks, expected a multiple of %d", size, serversPerService)
		}
		sizes[i] /= serversPerService
	}
	return sizes, nil
}

// repeatChecks lets both daemons check every server once.
func (b *ipvsBench) repeatChecks(size, n int) {
	for _, checks := range checkKinds {
		if checks == everyHTTP && size*serversPerService > mostHTTP || !b.wanted(works(checkGoals(checks, b.every))...) {
			continue
		}
		for _, c := range turns(n) {
			if c.daemon {
				b.inRound(c, newSite(size).withChecks(checks, b.every), n, (*round).check)
			}
		}
	}
}

func works(goals []goal) []string {
	var all []string
	for _, g := range goals {
		all = append(all, g.work)
	}
	return all
}

// checkGoals are the lines of the table for one kind of checks at an interval.
func checkGoals(checks siteChecks, every time.Duration) []goal {
	longest := milliseconds64(every) + 10
	all := []goal{
		{work: checkCPU, format: unit("µs"), ratio: 1, inverse: true},
		{work: checkMemory, format: unit("MB"), ratio: 1.5, inverse: true},
		{work: checkPeak, format: short, most: 1.5, bounded: true, timed: true},
		{work: checkTypical, format: short},
		{work: checkMade, format: unit("%")},
		{work: checkUp, format: unit("%")},
	}
	if checks == everyTCP {
		all = append(
			all,
			goal{work: deathMiddle, format: unit("ms")},
			goal{work: deathMost, format: unit("ms"), most: longest, bounded: true, timed: true},
			goal{work: refuseMiddle, format: unit("ms")},
			goal{work: refuseMost, format: unit("ms")},
		)
	}
	all = append(all, goal{work: checkServers, format: unit("µs")}, goal{work: checkStalled, format: unit("%")})
	for i := range all {
		all[i].work = checkWork(checks, all[i].work)
		all[i].columns = []string{nameLVSD, nameKeepalived}
	}
	return all
}

// printChecks prints the table.
func (d *record) printChecks(w io.Writer, sizes []int, o options) {
	fmt.Fprintf(w, "Medians (least–most) of %d rounds, the contestants taking turns, each round in a network namespace of its own.\n", o.repeat)
	fmt.Fprintf(w, "Ratio: keepalived to lvsd; where a target is a most, lvsd to keepalived. Every service has %d real servers, all asked every %v.\n", serversPerService, o.interval)
	fmt.Fprintf(w, "Times are not judged where processes waited for a CPU for more than %g %% of the time.\n\n", o.busy)
	l := layout{sizes: sizes, objects: "checks", perService: serversPerService, columns: []string{nameLVSD, nameKeepalived}}
	for _, checks := range checkKinds {
		l.goals = slices.Concat(l.goals, checkGoals(checks, o.interval))
	}
	l.busy = func(size int) bool {
		waited, _ := d.middle(checkWork(everyTCP, checkStalled), nameLVSD, size)
		return waited > o.busy
	}
	d.printTable(w, l)
	d.printRest(w, o)
}
