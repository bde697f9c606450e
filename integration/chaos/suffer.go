package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"
)

// suffer has the site go through a fault and measures. Ready is called right before
// the injection: it waits for the other contestant.
func (s *Site) suffer(f Fault, ready func()) Result {
	r := Result{Fault: f.Name, Contestant: s.Contestant.Name(), Allowed: s.allowed(f.Want)}
	if r.Err = s.prepare(&r); r.Err != nil {
		return r
	}
	ready()
	before := s.beginStory()
	still := startStall()
	broken := time.Now()
	mend, err := f.Inject(s)
	if err == nil && f.Hold != nil {
		s.Pause(f.Hold(s))
	}
	if mend != nil {
		broken = time.Now()
		err = errors.Join(err, mend())
	}
	if err != nil {
		still.end()
		s.Load.finish()
		r.Err = fmt.Errorf("inject: %w", err)
		return r
	}
	r.Err = s.awaitSettled()
	r.Repair = time.Since(broken)
	s.measure(&r, before)
	if stood := still.end(); stood > s.Config.Interval {
		r.Excused = fmt.Sprintf("the machine stood still for %s", seconds(stood))
	}
	if f.Check != nil && r.Err == nil {
		s.check(f, &r)
	}
	if s.Contestant.Name() == lvsdName {
		r.Broke = append(r.Broke, f.Want.broken(r, s.MasterDown(), len(s.Nodes))...)
	}
	return r
}

// prepare brings the site to rest under load.
func (s *Site) prepare(r *Result) error {
	if err := s.awaitSettled(); err != nil {
		return fmt.Errorf("before: %w", err)
	}
	if err := s.Load.begin(); err != nil {
		return fmt.Errorf("before: %w", err)
	}
	// What the other nodes do not know yet, no failover can keep.
	if err := s.awaitWithin(s.Lab.Scaled(15*time.Second), "the other nodes know the connections", s.known); err != nil {
		r.Remarks = append(r.Remarks, err.Error())
	}
	var err error
	r.Before, err = s.usage()
	return err
}

// known is an error unless every node's IPVS has the held connections.
func (s *Site) known() error {
	var ports []uint16
	for _, h := range s.Load.heldNow() {
		ports = append(ports, h.conn.port)
	}
	var errs []error
	for _, n := range s.Nodes {
		errs = append(errs, n.knows(ports))
	}
	return errors.Join(errs...)
}

// chapter is where a node's log stood, and its role.
type chapter struct {
	mark int
	role string
}

func (s *Site) beginStory() []chapter {
	s.watch.forget()
	s.Load.forget()
	var all []chapter
	for _, n := range s.Nodes {
		all = append(all, chapter{n.Mark(), n.Role()})
	}
	return all
}

// measure fills in what came of it.
func (s *Site) measure(r *Result, before []chapter) {
	s.Load.finish()
	t := s.Load.tally()
	r.New, r.Failed, r.Held, r.Broken, r.Outage = t.New, t.Failed, t.Held, t.Broken, t.Outage
	for _, what := range slices.Sorted(maps.Keys(t.Errors)) {
		r.Remarks = append(r.Remarks, fmt.Sprintf("%s: %d", what, t.Errors[what]))
	}
	r.Two, r.None = s.watch.split()
	var log string
	for i, n := range s.Nodes {
		part := n.Log(before[i].mark)
		r.Changes += changes(before[i].role, part)
		log += part
	}
	r.Said, r.Lines = telling(log)
	var err error
	if r.After, err = s.usageAfter(r.Before); err != nil {
		r.Err = errors.Join(r.Err, err)
	}
}

// check is the fault's own.
func (s *Site) check(f Fault, r *Result) {
	err := f.Check(s, r)
	switch {
	case err == nil:
	case s.Contestant.Name() == lvsdName:
		r.Broke = append(r.Broke, err.Error())
	default:
		r.Remarks = append(r.Remarks, err.Error())
	}
}

// allowed is what the protocol allows under a promise.
func (s *Site) allowed(p Promise) time.Duration {
	if p.Lossless || p.KeepsMaster {
		return 0
	}
	return s.MasterDown()
}

// broken are the promises that a result breaks.
func (p Promise) broken(r Result, masterDown time.Duration, nodes int) []string {
	var all []string
	broke := func(is bool, format string, args ...any) {
		if is {
			all = append(all, fmt.Sprintf(format, args...))
		}
	}
	broke(r.Err != nil, "%v", r.Err)
	if r.Excused != "" {
		p = Promise{Two: true}
	}
	broke(p.Lossless && r.Failed > 0, "%d of %d new connections failed", r.Failed, r.New)
	broke((p.Lossless || p.KeepsHeld) && r.Broken > 0, "%d of %d held connections broke", r.Broken, r.Held)
	broke(p.KeepsMaster && r.Changes > 0, "%d changes of role", r.Changes)
	// A hand-over of the VIP has a moment with two, which is as long as the machine
	// makes it. What lasts longer than an election twice is no hand-over.
	broke(!p.Two && r.Two > 2*masterDown, "two nodes had the VIP for %v", r.Two)
	if r.Err == nil {
		for _, more := range grown(r.Before, r.After, nodes) {
			broke(true, "%s", more)
		}
	}
	return all
}

// A meeting has everybody wait for everybody else.
type meeting struct{ waiting sync.WaitGroup }

// guest returns the two ways to come: to wait for the others, and not to come.
// Either may be called again.
func (m *meeting) guest() (arrive, excuse func()) {
	m.waiting.Add(1)
	var once sync.Once
	excuse = func() { once.Do(m.waiting.Done) }
	return func() { excuse(); m.waiting.Wait() }, excuse
}
