package cluster

import (
	"context"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/lvsd/lvsd/director"
)

const (
	// downAfter is how many polls in a row a node must miss to be down.
	downAfter = 3
	// maxPause bounds the pause between polls of a node that is down, unless the
	// Interval is longer.
	maxPause = 30 * time.Second
)

// peer is another node.
type peer struct {
	name      string
	address   netip.AddrPort
	transport *http.Transport
	// soon makes its poll be the next thing that is done, but for soonest.
	soon chan struct{}

	mu       sync.Mutex
	standing standing
}

// standing is what is known of a node.
type standing struct {
	status director.NodeStatus
	// missed counts polls in a row, unreached tells that nobody was there at the last
	// of them. Told tells that it was said to be up or down.
	missed    int
	unreached bool
	told      bool
	// uneven is why overrides were not exchanged, although it answers.
	uneven     string
	difference difference
}

func (s *session) newPeer(ctx context.Context, name string) *peer {
	p := &peer{name: name, address: netip.AddrPortFrom(s.cluster.Nodes[name], s.cluster.Port), soon: make(chan struct{}, 1)}
	p.standing.status = director.NodeStatus{Name: name, Address: p.address.Addr().String(), Error: "not heard from yet"}
	p.transport = s.newTransport(ctx, p)
	return p
}

// now is where it stands.
func (p *peer) now() standing {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.standing
}

// nudge has it polled as soon as may be. It does not block.
func (p *peer) nudge() {
	select {
	case p.soon <- struct{}{}:
	default:
	}
}

// follow polls the node until ctx ends.
func (s *session) follow(ctx context.Context, p *peer) {
	for ctx.Err() == nil {
		began := time.Now()
		s.poll(ctx, p)
		if await(ctx, began.Add(jittered(p.pause(s.cluster.Interval))), p.soon) {
			await(ctx, began.Add(s.soonest()), nil)
		}
	}
}

// soonest is the least time from one poll of a node to the next, whoever nudges.
func (s *session) soonest() time.Duration { return s.cluster.Interval / 4 }

// await waits for the time, for a word or for the end of ctx, and reports whether there
// was a word.
func await(ctx context.Context, until time.Time, word <-chan struct{}) bool {
	pause := time.NewTimer(time.Until(until))
	defer pause.Stop()
	select {
	case <-ctx.Done():
	case <-pause.C:
	case <-word:
		return true
	}
	return false
}

// poll asks the node once, and where it knows other overrides than this one, evens
// that out.
func (s *session) poll(ctx context.Context, p *peer) {
	asking, cancel := context.WithTimeout(ctx, s.timeout())
	defer cancel()
	answer, err := s.ask(asking, p, http.MethodGet, nil)
	switch {
	case ctx.Err() != nil:
		return
	case err != nil:
		s.missed(p, err)
		return
	}
	s.heard(p, *answer.Report)
	if answer.Digest != digest(s.self.Overrides()) {
		evening, cancel := context.WithTimeout(ctx, s.timeout())
		defer cancel()
		err = s.even(evening, p)
	}
	if err == nil {
		s.self.Agreed()
	}
	if ctx.Err() == nil {
		s.evened(p, err)
	}
}

// pause is how long until the next poll: longer and longer for a node that is down.
func (p *peer) pause(interval time.Duration) time.Duration {
	missed := p.now().missed
	for range missed - downAfter + 1 {
		if interval *= 2; interval >= maxPause {
			return max(interval/2, maxPause)
		}
	}
	return interval
}

// jittered is within a tenth of d, so that nodes that started together do not ask
// together for ever.
func jittered(d time.Duration) time.Duration {
	return d - d/10 + rand.N(d/5+1)
}
