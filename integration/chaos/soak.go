package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"
)

// samples is how many a soak takes of each of its parts.
const samples = 100

// A soaking is one contestant's way through a soak.
type soaking struct {
	name string
	// reloads and faults are the samples of the two parts.
	reloads, faults series
	results         []Result
	took            time.Duration
	err             error
}

// soak has a contestant reload without end, and then live under load with faults.
func (r *run) soak(ctx context.Context, c Contestant, draw func() Fault, reloads int, last time.Duration) soaking {
	all := soaking{name: c.Name()}
	st, err := openStand(ctx, r.trouble, c, Config{}, r.scale)
	if err == nil {
		err = st.do(func(s *Site) { all.err = all.goThrough(s, r.progress, draw, reloads, last) })
	}
	if err != nil {
		all.err = err
	}
	r.closed(st)
	return all
}

func (all *soaking) goThrough(s *Site, progress io.Writer, draw func() Fault, reloads int, last time.Duration) error {
	if err := s.Load.begin(); err != nil {
		return err
	}
	begun := time.Now()
	err := all.reloadOften(s, progress, reloads)
	all.took = time.Since(begun)
	s.Load.finish()
	t := s.Load.tally()
	fmt.Fprintf(progress, "%s: %d reloads in %s, %d of %d new connections failed, %d of %d held ones broke\n",
		all.name, reloads, all.took.Round(time.Second), t.Failed, t.New, t.Broken, t.Held)
	all.results = append(all.results, Result{
		Fault: fmt.Sprintf("%d reloads", reloads), Contestant: all.name, Err: err,
		New: t.New, Failed: t.Failed, Held: t.Held, Broken: t.Broken, Outage: t.Outage,
	})
	if err != nil {
		return err
	}
	return all.live(s, progress, draw, last)
}

// reloadOften has every node reload in turn, one real server more or less each time.
func (all *soaking) reloadOften(s *Site, progress io.Writer, reloads int) error {
	begun := time.Now()
	for i := range reloads {
		n := s.Nodes[i/2%len(s.Nodes)]
		if err := n.reloadWith(i%2 == 0); err != nil {
			return fmt.Errorf("reload %d: %w", i+1, err)
		}
		if s.Context().Err() != nil {
			return s.Context().Err()
		}
		if (i+1)%max(1, reloads/samples) == 0 {
			if err := take(&all.reloads, s, begun); err != nil {
				return err
			}
			fmt.Fprintf(progress, "%s: %d reloads in %s\n", all.name, i+1, time.Since(begun).Round(time.Second))
		}
	}
	return nil
}

// live goes on under load, with faults that leave the daemons alive.
func (all *soaking) live(s *Site, progress io.Writer, draw func() Fault, last time.Duration) error {
	for begun := time.Now(); time.Since(begun) < last && s.Context().Err() == nil; {
		r := s.suffer(draw(), func() {})
		fmt.Fprintln(progress, r)
		all.results = append(all.results, r)
		if r.Err != nil {
			return r.Err
		}
		all.faults = append(all.faults, sample{time.Since(begun), r.After})
	}
	return nil
}

// take adds a sample.
func take(to *series, s *Site, begun time.Time) error {
	u, err := s.usage()
	if err == nil {
		*to = append(*to, sample{time.Since(begun), u})
	}
	return err
}

// survivors are the faults that end no daemon: one that has been started anew has
// nothing left of what it had gathered.
func survivors(some []Fault) []Fault {
	ending := processFaults()
	return slices.DeleteFunc(slices.Clone(some), func(f Fault) bool {
		return slices.ContainsFunc(ending, func(e Fault) bool { return e.Name == f.Name && e.Name != "freeze" })
	})
}

// broken are the promises that a soak broke.
func (all soaking) broken(nodes int) []string {
	var broke []string
	if all.err != nil {
		broke = append(broke, all.err.Error())
	}
	for _, r := range all.results {
		broke = append(broke, r.Broke...)
		if r.Fault == all.results[0].Fault && r.Failed+r.Broken > 0 {
			broke = append(broke, fmt.Sprintf("%d connections failed during reloads", r.Failed+r.Broken))
		}
	}
	for _, part := range []series{all.reloads, all.faults} {
		if len(part) > 0 {
			broke = append(broke, part.growth(nodes)...)
		}
	}
	return broke
}
