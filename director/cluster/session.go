package cluster

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/director"
)

// session is the channel at work, by one configuration.
type session struct {
	*Channel
	cluster  *config.Cluster
	identity *identity
	// peers are the other nodes by name. The slice does not change.
	peers []*peer
	// context is the session's: what is asked by others ends with it too.
	context context.Context

	// reported guards the last report of this node and when it was made.
	reported sync.Mutex
	report   director.NodeReport
	at       time.Time
}

func newSession(ctx context.Context, c *Channel, cluster *config.Cluster) (*session, error) {
	identity, err := newIdentity(cluster.Key)
	if err != nil {
		return nil, err
	}
	s := &session{Channel: c, cluster: cluster, identity: identity, context: ctx}
	for _, name := range slices.Sorted(maps.Keys(cluster.Nodes)) {
		if name != cluster.Self {
			s.peers = append(s.peers, s.newPeer(ctx, name))
		}
	}
	return s, nil
}

// own is the address of this node.
func (s *session) own() netip.Addr { return s.cluster.Nodes[s.cluster.Self] }

// ownReport is what this node tells of itself. It is made anew for each Interval, not
// for each node that asks: thousands of servers take a while to look at.
func (s *session) ownReport() director.NodeReport {
	s.reported.Lock()
	defer s.reported.Unlock()
	if now := time.Now(); s.at.IsZero() || now.Sub(s.at) >= s.cluster.Interval/2 {
		s.report, s.at = s.self.Report(), now
	}
	return s.report
}

// document is what this node says: of itself, or with the overrides.
func (s *session) document(overrides []director.Override) document {
	return document{Node: s.cluster.Self, Digest: digest(s.self.Overrides()), Overrides: overrides}
}

// timeout bounds an exchange: it is long enough for a packet that is lost twice.
func (s *session) timeout() time.Duration {
	return min(max(2*s.cluster.Interval, 3*time.Second), 10*time.Second)
}

// spread hands the overrides to all nodes at once.
func (s *session) spread(ctx context.Context, overrides []director.Override) (told []string, untold map[string]string) {
	var mu sync.Mutex
	var pushing sync.WaitGroup
	for _, p := range s.peers {
		pushing.Go(func() {
			err := s.push(ctx, p, overrides)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				told = append(told, p.name)
				return
			}
			if untold == nil {
				untold = map[string]string{}
			}
			untold[p.name] = s.explain(p, err).Error()
		})
	}
	pushing.Wait()
	slices.Sort(told)
	return told, untold
}

// lost is how long a node that does not answer is waited for with an order.
const lost = time.Second

// push hands the overrides to a node. What else either knows is left to the next
// poll, which it brings about: Spread is called in the middle of an order.
func (s *session) push(ctx context.Context, p *peer, overrides []director.Override) error {
	wait := s.timeout()
	if now := p.now(); now.told && !now.status.Reachable {
		wait = min(wait, lost)
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	d := s.document(overrides)
	answer, err := s.ask(ctx, p, http.MethodPost, &d)
	if err != nil {
		p.nudge()
		return err
	}
	if answer.Digest == d.Digest {
		return nil
	}
	p.nudge()
	return taken(overrides, answer.Overrides)
}

// taken is an error unless all of the overrides are among theirs. Where a node has
// another one of the same target, that is a later one.
func taken(overrides, theirs []director.Override) error {
	all := make(map[director.Target]director.Override, len(theirs))
	for _, o := range theirs {
		all[o.Target] = o
	}
	for _, o := range overrides {
		have, there := all[o.Target]
		switch {
		case !there:
			return fmt.Errorf("it does not take the order about %s", o.Target)
		case digest([]director.Override{have}) != digest([]director.Override{o}):
			return fmt.Errorf("it has a later order about %s, given on %s at %s", o.Target, printable(have.Node), have.At.Format(time.RFC3339))
		}
	}
	return nil
}

// even makes both nodes know what either knows.
func (s *session) even(ctx context.Context, p *peer) error {
	d := s.document(s.self.Overrides())
	answer, err := s.ask(ctx, p, http.MethodPost, &d)
	if err != nil || len(answer.Overrides) == 0 {
		return err
	}
	_, err = s.self.Merge(ctx, answer.Overrides)
	return err
}
