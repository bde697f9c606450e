package main

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"regexp"
	"time"

	"github.com/lvsd/lvsd/integration/lab"
)

const (
	// tries is how often a repetition is done again that fell on a busy time.
	tries = 4
	// longWatch covers the second burst of gratuitous ARP, 5 s after a takeover.
	longWatch  = 7 * time.Second
	shortWatch = 300 * time.Millisecond
	// steadyWatch is how long nothing may be in motion before a fault.
	steadyWatch = 200 * time.Millisecond
	// pollInterval is short, because most of a run is waiting.
	pollInterval = 10 * time.Millisecond
	// hopeless is when a wait is given up.
	hopeless = time.Minute
)

// sample is what one repetition measured.
type sample struct {
	// outage is the longest row of unanswered probes of a VIP, as a time.
	outage time.Duration
	// beyond is the time from the old MASTER's last advert until every probed
	// VIP has answered from the new one, less what the protocol allows.
	beyond time.Duration
	// gap is the longest pause between two adverts of the new MASTER, in
	// intervals.
	gap float64
}

// pair is two nodes of one contestant and a client on a network of their own.
type pair struct {
	lab.TB
	contestant contestant
	trial      trial
	lab        *lab.Lab
	client     *lab.Host
	nodes      [2]*node
	// master is the index of the MASTER.
	master   int
	observer *observer
	prober   *prober
	probed   []netip.Addr
}

// benchFailover runs every case and prints a table.
func benchFailover(t lab.TB, o options, w io.Writer) {
	only, err := regexp.Compile(o.only)
	if err != nil {
		t.Fatalf("-only: %v", err)
	}
	var results []result
	for _, trial := range trials(only) {
		r := runTrial(t, o, trial)
		t.Logf("%s", r)
		results = append(results, r)
	}
	printFailover(w, o, results)
}

// runTrial repeats one case, the contestants taking turns.
func runTrial(t lab.TB, o options, c trial) result {
	r := result{trial: c, samples: map[string][]sample{}, failed: map[string]error{}}
	var pairs []*pair
	for _, contestant := range contestants() {
		p := newPair(t, contestant, c)
		defer p.close()
		pairs = append(pairs, p)
	}
	for n := range o.repeat {
		watch := shortWatch
		if n == 0 {
			watch = longWatch
		}
		for _, p := range pairs {
			name := p.contestant.name
			if r.failed[name] != nil {
				continue
			}
			s, busy, err := p.quietSample(o, watch)
			if err != nil {
				r.failed[name] = err
				continue
			}
			if busy {
				r.busy++
			}
			r.samples[name] = append(r.samples[name], s)
		}
	}
	return r
}

// newPair starts two nodes and waits until one is MASTER.
func newPair(t lab.TB, c contestant, tr trial) *pair {
	l := lab.New(t)
	p := &pair{TB: t, contestant: c, trial: tr, lab: l}
	vips := addresses(tr.vips)
	routers := []virtualRouter{{name: "VI_1", vrid: 51, protocol: tr.protocol, vips: vips}}
	p.client = l.Host("client", "10.0.0.9/16")
	for i, name := range []string{"a", "b"} {
		h := l.Host(name, fmt.Sprintf("10.0.0.%d/16", i+1))
		p.nodes[i] = newNode(t, l, h, c, routers)
	}
	p.probed = []netip.Addr{vips[0], vips[len(vips)/2], vips[len(vips)-1]}[:min(3, len(vips))]
	var err error
	if p.observer, err = observe(p.client); err != nil {
		t.Fatalf("bench: %v", err)
	}
	p.nodes[0].start()
	l.WaitFor("a to be MASTER", func() error { return p.nodes[0].is("MASTER") })
	p.nodes[1].start()
	l.WaitFor("one MASTER and one BACKUP", p.settled)
	if p.prober, err = probe(p.client, p.probed); err != nil {
		t.Fatalf("bench: %v", err)
	}
	return p
}

func (p *pair) close() {
	p.prober.close()
	p.observer.close()
	for _, n := range p.nodes {
		_ = n.daemon.Stop()
	}
}

// quietSample repeats a repetition that fell on a busy time, a few times.
func (p *pair) quietSample(o options, watch time.Duration) (s sample, busy bool, err error) {
	for range tries {
		l := lab.StartBusy()
		if s, err = p.repetition(watch); err != nil {
			return s, false, err
		}
		if busy = l.Percent() > o.busy; !busy {
			break
		}
	}
	return s, busy, nil
}

// repetition lets the MASTER fail, waits for the other to take over, watches it
// for a while and brings the first back as BACKUP. It fails if the daemons do
// not come to rest.
func (p *pair) repetition(watch time.Duration) (sample, error) {
	if err := p.await("rest", p.steady); err != nil {
		return sample{}, err
	}
	old, next := p.nodes[p.master], p.nodes[1-p.master]
	p.fail(old)
	err := p.await("the other to be MASTER", func() error { return errors.Join(next.is("MASTER"), p.answered(next)) })
	p.pause(watch)
	s := p.measure(p.observer.take(), old, next)
	p.repair(old)
	return s, err
}

// settled is nil when the roles are dealt, and remembers how. A daemon that
// starts may have missed adverts of 10 ms, and taken over.
func (p *pair) settled() error {
	var errs []error
	for i := range p.nodes {
		err := errors.Join(p.nodes[i].is("MASTER"), p.nodes[1-i].is("BACKUP"))
		if err == nil {
			p.master = i
			return nil
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// steady is nil when the roles are dealt and nothing is in motion: for a while,
// only the MASTER has advertised and answered.
func (p *pair) steady() error {
	if err := p.settled(); err != nil {
		return err
	}
	master := p.nodes[p.master]
	p.observer.take()
	p.pause(max(steadyWatch, 6*p.trial.protocol.interval/5))
	seen := p.observer.peek()
	for _, s := range seen {
		if s.mac != master.mac {
			return fmt.Errorf("not only %s: %s", master.Name, summary(seen))
		}
	}
	if lastAdvert(seen, master.mac).IsZero() {
		return fmt.Errorf("no advert: %s", summary(seen))
	}
	return p.answered(master)
}

// answered is nil when every probed VIP has answered from the node.
func (p *pair) answered(n *node) error {
	seen := p.observer.peek()
	for _, vip := range p.probed {
		if firstReply(seen, vip, n.mac).IsZero() {
			return fmt.Errorf("%v did not answer from %s; %s", vip, n.Name, summary(seen))
		}
	}
	return nil
}

// await waits until the condition is nil, but not for ever.
func (p *pair) await(what string, condition func() error) error {
	deadline := time.Now().Add(p.lab.Scaled(hopeless))
	for {
		err := condition()
		switch {
		case err == nil:
			return nil
		case time.Now().After(deadline) || p.Context().Err() != nil:
			return fmt.Errorf("%s: waiting for %s: %w", p.contestant.name, what, err)
		}
		p.pause(pollInterval)
	}
}

func (p *pair) pause(d time.Duration) {
	select {
	case <-time.After(d):
	case <-p.Context().Done():
	}
}

// summary counts adverts and answers by sender.
func summary(seen []sighting) string {
	counts := map[string]int{}
	for _, s := range seen {
		what := "adverts"
		if !s.advert {
			what = s.vip.String()
		}
		counts[what+" from "+s.mac]++
	}
	return fmt.Sprintf("seen %v", counts)
}

func (p *pair) fail(n *node) {
	switch p.trial.fault {
	case sigkill:
		n.kill()
	case stop:
		n.stop()
	case linkDown:
		n.SetCable(false)
	}
}

func (p *pair) repair(n *node) {
	if p.trial.fault == linkDown {
		n.SetCable(true)
		return
	}
	<-n.daemon.Done()
	n.start()
}

// measure works out what the client saw.
func (p *pair) measure(seen []sighting, old, next *node) sample {
	var s sample
	last := lastAdvert(seen, old.mac)
	for _, vip := range p.probed {
		s.outage = max(s.outage, longestSilence(seen, vip))
		s.beyond = max(s.beyond, firstReply(seen, vip, next.mac).Sub(last))
	}
	s.beyond -= p.trial.allowed()
	s.gap = float64(longestPause(seen, next.mac)) / float64(p.trial.protocol.interval)
	return s
}

// firstReply is when the VIP first answered from the hardware address.
func firstReply(seen []sighting, vip netip.Addr, mac string) time.Time {
	for _, s := range seen {
		if !s.advert && s.vip == vip && s.mac == mac {
			return s.at
		}
	}
	return time.Time{}
}

// lastAdvert is when the old MASTER said its last, be it a goodbye.
func lastAdvert(seen []sighting, mac string) time.Time {
	var last time.Time
	for _, s := range seen {
		if s.advert && s.mac == mac {
			last = s.at
		}
	}
	return last
}

// longestSilence is the longest row of probes of a VIP that nobody answered, as
// a time. When the probes were sent does not matter: a client that was held up
// has not lost anything.
func longestSilence(seen []sighting, vip netip.Addr) time.Duration {
	var longest, lost uint16
	var before *sighting
	for i, s := range seen {
		if s.advert || s.vip != vip {
			continue
		}
		if before != nil {
			lost = s.probe - before.probe - 1 // the number wraps around
		}
		if lost < 1<<15 { // else it is an older one, late
			longest = max(longest, lost)
		}
		before = &seen[i]
	}
	return time.Duration(longest) * probeInterval
}

// longestPause is the longest time between two adverts of one sender.
func longestPause(seen []sighting, mac string) time.Duration {
	var longest time.Duration
	var before time.Time
	for _, s := range seen {
		if !s.advert || s.mac != mac {
			continue
		}
		if !before.IsZero() {
			longest = max(longest, s.at.Sub(before))
		}
		before = s.at
	}
	return longest
}
