package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/lvsd/lvsd/integration/lab"
)

// A run goes through faults with all contestants.
type run struct {
	lanes []*lane
	scale float64
	// progress and trouble are written to while it goes on.
	progress, trouble io.Writer
}

// A lane is one contestant's way through the faults.
type lane struct {
	Contestant
	// plain is the site of faults without Edit, which share it; nil if there is none.
	plain    *stand
	topology Topology
}

// newRun measures the machine.
func newRun(t lab.TB, contestants []Contestant, progress, trouble io.Writer) *run {
	r := &run{scale: lab.New(t).Scale(), progress: progress, trouble: trouble}
	for _, c := range contestants {
		r.lanes = append(r.lanes, &lane{Contestant: c})
	}
	return r
}

// all goes through the faults and returns what came of each, in their order: faults
// of one topology are done together.
func (r *run) all(ctx context.Context, some []Fault) []Result {
	ordered := slices.Clone(some)
	slices.SortStableFunc(ordered, func(a, b Fault) int { return int(a.Topology) - int(b.Topology) })
	byFault := map[string][]Result{}
	for _, f := range ordered {
		if ctx.Err() == nil {
			byFault[f.Name] = r.one(ctx, f)
		}
	}
	var results []Result
	for _, f := range some {
		results = append(results, byFault[f.Name]...)
	}
	return results
}

// random goes through faults that a lottery draws, so many or for so long, whichever
// is over first; zero is no bound.
func (r *run) random(ctx context.Context, draw func() Fault, count int, last time.Duration) []Result {
	var results []Result
	for begun := time.Now(); ctx.Err() == nil; {
		if count > 0 && len(results) >= count*len(r.lanes) || last > 0 && time.Since(begun) >= last {
			break
		}
		results = append(results, r.one(ctx, draw())...)
	}
	return results
}

// one has all contestants go through a fault: at the same time, or in turns.
func (r *run) one(ctx context.Context, f Fault) []Result {
	if f.Alone && f.Edit != nil {
		r.close() // what is shared would be in the way, too
	}
	var asked []*lane
	for _, l := range r.lanes {
		if l.Name() == lvsdName || f.Without == "" {
			asked = append(asked, l)
		}
	}
	results := make([]Result, len(asked))
	var together meeting
	var turns sync.Mutex
	var going sync.WaitGroup
	for i, l := range asked {
		ready, excuse := func() {}, func() {}
		if !f.Alone {
			ready, excuse = together.guest()
		}
		going.Go(func() {
			defer excuse()
			if f.Alone {
				turns.Lock()
				defer turns.Unlock()
			}
			results[i] = r.suffer(ctx, f, l, ready)
		})
	}
	going.Wait()
	for _, result := range results {
		fmt.Fprintln(r.progress, result)
	}
	return results
}

// suffer finds the contestant a site, and goes through the fault.
func (r *run) suffer(ctx context.Context, f Fault, l *lane, ready func()) Result {
	begun := time.Now()
	result := Result{Fault: f.Name, Contestant: l.Name()}
	st, err := r.site(ctx, f, l)
	if err == nil {
		var measured Result
		if err = st.do(func(s *Site) { measured = s.suffer(f, ready) }); err == nil {
			result = measured
		}
	}
	if err != nil {
		result.Err = err
	}
	if result.Err != nil && l.Name() == lvsdName && len(result.Broke) == 0 {
		result.Broke = []string{result.Err.Error()}
	}
	result.Took = time.Since(begun)
	switch {
	case st != l.plain:
		r.closed(st)
	case result.Err != nil:
		// Nobody knows what is left of it.
		l.plain = nil
		r.closed(st)
	}
	return result
}

// site is the shared one, or one of the fault's own.
func (r *run) site(ctx context.Context, f Fault, l *lane) (*stand, error) {
	config := Config{Topology: f.Topology}
	if f.Edit != nil {
		f.Edit(&config)
		return openStand(ctx, r.trouble, l.Contestant, config, r.scale)
	}
	if l.plain != nil && l.topology == f.Topology {
		return l.plain, nil
	}
	r.closed(l.plain)
	var err error
	l.topology = f.Topology
	l.plain, err = openStand(ctx, r.trouble, l.Contestant, config, r.scale)
	return l.plain, err
}

// closed takes a site down. Why a run had ended has been told.
func (r *run) closed(st *stand) {
	if st != nil {
		_ = st.close()
	}
}

// close takes down what is shared.
func (r *run) close() {
	for _, l := range r.lanes {
		r.closed(l.plain)
		l.plain = nil
	}
}
