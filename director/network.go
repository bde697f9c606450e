package director

import (
	"context"
	"net/netip"
	"time"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/track"
)

// causeLink is the cause of a fault that the link of the instance's interface
// is not up; that of another interface with VIPs follows it.
const causeLink = "link"

// causeSource is the cause of a fault that the address which adverts are sent from
// is gone.
const causeSource = "source"

// links are links as one evaluation sees them: each is asked for once.
type links struct {
	ask   func(name string) (bool, error)
	found map[string]finding
}

// find asks whether the link is up. One that is absent is down.
func (l *links) find(name string) finding {
	if f, ok := l.found[name]; ok {
		return f
	}
	f := finding{State: track.Up, Reason: name + " is up"}
	switch up, err := l.ask(name); {
	case err != nil:
		f = finding{State: track.Down, Reason: err.Error()}
	case !up:
		f = finding{State: track.Down, Reason: name + " is down"}
	}
	l.found[name] = f
	return f
}

// linkFaults are the causes of FAULT among the links that the instance needs:
// that of its interface and those of its VIPs. One that went down counts after
// LinkDownDelay. It returns when the next change counts, too.
func (i *instance) linkFaults(c config.VRRP, seen *links, now time.Time) (faults map[string]string, due time.Time) {
	faults = map[string]string{}
	needed := map[string]*debounced{}
	need := func(name, cause string) {
		if needed[name] != nil {
			return
		}
		link := i.links[name]
		if link == nil {
			link = &debounced{}
		}
		needed[name] = link
		due = sooner(due, link.take(seen.find(name), delays{down: c.Router.LinkDownDelay}, now))
		if link.State == track.Down {
			faults[cause] = link.Reason
		}
	}
	need(c.Interface, causeLink)
	for _, vip := range c.VIPs {
		need(vip.Interface, causeLink+" "+vip.Interface)
	}
	i.links = needed
	return faults, due
}

// sourceLost is why the instance must not be MASTER although its link is up: without
// the address that its adverts bear it reaches no real server, and still the kernel
// would send them: over IPv4, over IPv6 it refuses. After the fault the router looks
// for an address itself. A loss counts after LinkDownDelay, as that of the link.
func (i *instance) sourceLost(c config.VRRP, network Network, now time.Time) (lost string, due time.Time) {
	f := finding{State: track.Up}
	if source := i.router.Status().Source; source.Is4() && isLost(network, c.Interface, source) {
		f = finding{State: track.Down, Reason: c.Interface + " has lost " + source.String()}
	}
	due = i.source.take(f, delays{down: c.Router.LinkDownDelay}, now)
	if i.source.State == track.Down {
		lost = i.source.Reason
	}
	return lost, due
}

// isLost reports whether an address is gone from an interface that is up: while it is
// down, the kernel takes none of its addresses for the host's. What cannot be found
// out is not lost.
func isLost(network Network, ifname string, addr netip.Addr) bool {
	local, err := network.Local(ifname, addr)
	if err != nil || local {
		return false
	}
	// Asked after that: the interface may have just gone down.
	up, err := network.LinkUp(ifname)
	return err == nil && up
}

// watchNetwork makes the election and the loop look when links or addresses
// change.
func (d *Director) watchNetwork(ctx context.Context) {
	for {
		err := d.Network.Watch(ctx, func() {
			d.lookAgain()
			d.signal()
		})
		if ctx.Err() != nil {
			return
		}
		d.Log.Warn("no events from the network, trying again", "err", err)
		pause(ctx, time.Second)
	}
}
