package director

import (
	"time"

	"github.com/lvsd/lvsd/vrrp"
)

// notice is something that a router saw to be wrong, or not to be any more.
type notice struct {
	vrrp.Notice
	instance string
	over     bool
}

// noticed takes a notice from the router's goroutine. It does not block: the log
// may.
func (d *Director) noticed(n notice) {
	d.mu.Lock()
	d.notices = append(d.notices, n)
	d.mu.Unlock()
	d.lookAgain()
}

// logNotices tells of each notice when it begins and when it is over.
func (d *Director) logNotices() {
	d.mu.Lock()
	notices := d.notices
	d.notices = nil
	d.mu.Unlock()
	for _, n := range notices {
		d.Record(n.event())
		arguments := []any{"kind", n.Kind, "instance", n.instance, "peer", n.Peer, "detail", n.Detail}
		if n.over {
			d.Log.Info("VRRP notice is over", append(arguments,
				"count", n.Count, "lasted", n.Last.Sub(n.First).Round(time.Second))...)
			continue
		}
		d.Log.Warn("VRRP notice", arguments...)
	}
}
