package director

import (
	"context"
	"time"

	"github.com/lvsd/lvsd/vrrp"
)

// causeLink is the cause of a fault that the link of the instance's interface
// is not up.
const causeLink = "link"

// watchNetwork puts instances into FAULT and out of it with their links, and
// makes the loop look when links or addresses change. It has its own goroutine:
// a link that goes down must not wait for kernel work.
func (d *Director) watchNetwork(ctx context.Context) {
	for {
		err := d.Network.Watch(ctx, func() {
			d.checkLinks()
			d.signal()
		})
		if ctx.Err() != nil {
			return
		}
		d.Log.Warn("no events from the network, trying again", "err", err)
		pause(ctx, time.Second)
	}
}

// checkLinks sets or clears the fault of every instance by its link.
func (d *Director) checkLinks() {
	for router, name := range d.links() {
		up, err := d.Network.LinkUp(name)
		switch {
		case err != nil:
			router.SetFault(causeLink, err.Error())
		case !up:
			router.SetFault(causeLink, name+" is down")
		default:
			router.ClearFault(causeLink)
		}
	}
}

// links returns the interface of every router.
func (d *Director) links() map[*vrrp.Router]string {
	d.mu.Lock()
	defer d.mu.Unlock()
	links := make(map[*vrrp.Router]string, len(d.instances))
	for _, i := range d.instances {
		links[i.router] = i.config.Interface
	}
	return links
}
