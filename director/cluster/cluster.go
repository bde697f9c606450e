// Package cluster is the channel between the directors that serve the same file:
// each tells the others of itself and of the overrides that it knows. Nodes know each
// other by a key; what they say is encrypted. It must not know what an override does,
// and decides nothing: who is MASTER is VRRP's word alone.
//
// Every node asks every other one each Interval, over TLS 1.3 with one connection
// that stays open. An answer tells of the node and has a digest of the overrides that
// it knows; where that is not this node's own, both hand each other all of theirs. So
// nodes come to agree whoever could reach whom when an order was given.
package cluster

import (
	"context"
	"log/slog"
	"sync"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/director"
)

// Self is the node that speaks here.
type Self interface {
	// Report is what it tells of itself.
	Report() director.NodeReport
	// Overrides are those that it knows, cleared ones too.
	Overrides() []director.Override
	// Merge takes in the overrides of another node, those that make sense. The error
	// is that they could not be written down.
	Merge(ctx context.Context, overrides []director.Override) (changed bool, err error)
	// Agreed tells that another node has told all that it knows, and that it was taken
	// in.
	Agreed()
	// Record makes an event.
	Record(event director.Event)
}

// Channel speaks with the other nodes. Create it with New, run it with Run; the
// other methods may be called from any goroutine, before Run too.
type Channel struct {
	self    Self
	log     *slog.Logger
	network network

	mu sync.Mutex
	// now is what runs; nil is nothing. before is where the nodes stood when it
	// ended, by name.
	now    *session
	before map[string]standing
}

// New returns a channel that does not speak yet.
func New(self Self, log *slog.Logger) *Channel {
	return &Channel{self: self, log: log, network: tcp{}}
}

// Run speaks with the nodes of c until ctx ends; nil is none. It may be run again
// then, with others, and goes on with what it knew of those that stayed. An own
// address that is not there yet is waited for; the error is another reason why it
// cannot listen.
func (c *Channel) Run(ctx context.Context, cluster *config.Cluster) error {
	if cluster == nil {
		<-ctx.Done()
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s, err := newSession(ctx, c, cluster)
	if err != nil {
		return err
	}
	c.begin(s)
	defer c.end(s)
	var polling sync.WaitGroup
	defer polling.Wait()
	defer cancel()
	for _, p := range s.peers {
		polling.Go(func() { s.follow(ctx, p) })
	}
	return s.serve(ctx)
}

// begin makes s the session that runs.
func (c *Channel) begin(s *session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range s.peers {
		if was, known := c.before[p.name]; known && was.status.Address == p.standing.status.Address {
			p.standing = was
		}
	}
	c.now = s
}

func (c *Channel) end(s *session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now, c.before = nil, map[string]standing{}
	for _, p := range s.peers {
		p.transport.CloseIdleConnections()
		c.before[p.name] = p.now()
	}
}

func (c *Channel) session() *session {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Nodes are the other nodes by name, as last heard.
func (c *Channel) Nodes() []director.NodeStatus {
	all := []director.NodeStatus{}
	if s := c.session(); s != nil {
		for _, p := range s.peers {
			all = append(all, p.now().status)
		}
	}
	return all
}

// Spread implements director.SpreadFunc. It does not call Self but for Overrides.
func (c *Channel) Spread(ctx context.Context, overrides []director.Override) (told []string, untold map[string]string) {
	s := c.session()
	if s == nil {
		return nil, nil
	}
	return s.spread(ctx, overrides)
}
