package cluster

import (
	"fmt"
	"strings"
	"time"

	"github.com/lvsd/lvsd/director"
)

// differsFor is how long two nodes may differ before it is told: who upgrades or
// reloads does that on one after the other.
const differsFor = 30 * time.Second

// difference is how a node differs from this one.
type difference struct {
	// since is when it began to; zero if it does not. Told tells that it was said.
	since time.Time
	told  bool
}

// differing says how a node differs from this one; empty is not at all. What either
// does not tell is no difference.
func differing(own, other director.NodeReport) string {
	var all []string
	if own.Version != "" && other.Version != "" && own.Version != other.Version {
		all = append(all, fmt.Sprintf("version %s, this node has %s", other.Version, own.Version))
	}
	if own.ConfigHash != "" && other.ConfigHash != "" && own.ConfigHash != other.ConfigHash {
		all = append(all, fmt.Sprintf("configuration %s, this node has %s", other.ConfigHash, own.ConfigHash))
	}
	return strings.Join(all, "; ")
}

// see takes in whether they differ now. It returns whether that is to be told.
func (d *difference) see(differ bool, now time.Time) (tell bool) {
	switch {
	case !differ:
		tell = d.told
		*d = difference{}
	case d.since.IsZero():
		d.since = now
	case !d.told && now.Sub(d.since) >= differsFor:
		d.told, tell = true, true
	}
	return tell
}
