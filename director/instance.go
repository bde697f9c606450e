package director

import (
	"context"
	"maps"
	"slices"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/director/netif"
	"github.com/lvsd/lvsd/vrrp"
)

// instance is one VRRP instance at work: its router and its hooks.
type instance struct {
	config config.VRRP
	router *vrrp.Router
	hooks  *hooks

	// role is the last one reported; epoch counts the times the role became
	// MASTER. Both are guarded by Director.mu.
	role  vrrp.Role
	epoch uint64
	// quiet is the epoch, and heard the count of adverts received, at the last
	// look for a rival.
	quiet, heard uint64

	cancel context.CancelFunc
	// done is closed when the router has ended; nil before it was started.
	done chan struct{}
}

// newInstance makes an instance that takes no part in the election yet. One
// that resumes counts as MASTER from the start, so that nothing of what its
// predecessor left is touched.
func (d *Director) newInstance(background context.Context, c config.VRRP, resume bool) (*instance, error) {
	router, err := vrrp.NewRouter(vrrp.RouterConfig{
		Config:    c.Router,
		Interface: c.Interface,
		Resume:    resume,
		Observe:   d.roleChanged,
		Dial:      d.Dial,
	})
	if err != nil {
		return nil, err
	}
	i := &instance{config: c, router: router, hooks: d.newHooks(background, c)}
	if resume {
		i.role, i.epoch = vrrp.Master, 1
	}
	return i, nil
}

// start lets the router take part in the election.
func (i *instance) start(background context.Context) {
	if i.done != nil {
		return
	}
	ctx, cancel := context.WithCancel(background)
	i.cancel, i.done = cancel, make(chan struct{})
	go func() {
		defer close(i.done)
		// Run returns nil: what goes wrong is a FAULT of the router.
		_ = i.router.Run(ctx)
	}()
}

// stop ends the router and waits for it: a MASTER says goodbye.
func (i *instance) stop() {
	if i.done == nil {
		return
	}
	i.cancel()
	<-i.done
}

// detach ends the router without a word and waits for it.
func (i *instance) detach() {
	if i.done == nil {
		return
	}
	i.router.Detach()
	<-i.done
	i.cancel()
}

// startInstances makes every instance of the configuration. One that was MASTER
// just now goes on at once; the others wait until the checks have answered,
// because a director that does not know its real servers must not preempt.
func (d *Director) startInstances(background context.Context, memory Memory, first Snapshot) error {
	for _, c := range d.currentConfig().VRRP {
		resume := memory.wasMasterJustNow(c.Router, sinceBoot()) && first.holdsAll(c)
		i, err := d.newInstance(background, c, resume)
		if err != nil {
			return err
		}
		d.mu.Lock()
		d.instances[c.Router.Name] = i
		d.mu.Unlock()
		if resume {
			d.Log.Info("going on as MASTER", "instance", c.Router.Name,
				"reason", "the predecessor was MASTER less than three advert intervals ago and the VIPs are in place")
			i.start(background)
		}
	}
	d.checkLinks()
	return nil
}

// join lets every instance that still waits take part in the election.
func (d *Director) join(background context.Context, reason string) {
	d.mu.Lock()
	ready := d.status.ready
	d.status.ready = true
	d.mu.Unlock()
	for _, i := range d.currentInstances() {
		i.start(background)
	}
	if ready {
		return
	}
	d.Log.Info("ready", "reason", reason)
	if d.Ready != nil {
		d.Ready()
	}
}

// roleChanged takes a transition from a router's goroutine. It does not block.
func (d *Director) roleChanged(t vrrp.Transition) {
	d.mu.Lock()
	d.transitions = append(d.transitions, t)
	d.changed = true
	if i, ok := d.instances[t.Name]; ok {
		if t.To == vrrp.Master {
			i.epoch++
		}
		i.role = t.To
	}
	d.mu.Unlock()
	d.signal()
}

// heardRival reports whether adverts of another MASTER came in since the last
// call, while this instance was MASTER all the time. Neighbours may then believe
// the other, so a new epoch begins, in which the VIPs are announced again.
func (i *instance) heardRival() bool {
	received := i.router.Status().Received
	rival := i.quiet == i.epoch && received > i.heard
	if rival {
		i.epoch++
	}
	i.quiet, i.heard = i.epoch, received
	return rival
}

func (d *Director) takeTransitions() []vrrp.Transition {
	d.mu.Lock()
	defer d.mu.Unlock()
	transitions := d.transitions
	d.transitions = nil
	return transitions
}

func (d *Director) logTransition(t vrrp.Transition) {
	d.Log.Info("Entering "+t.To.String()+" STATE",
		"instance", t.Name, "vrid", t.VRID, "interface", t.Interface,
		"from", t.From, "priority", t.Priority, "reason", t.Why())
}

// currentInstances returns the instances by name.
func (d *Director) currentInstances() []*instance {
	d.mu.Lock()
	defer d.mu.Unlock()
	all := make([]*instance, 0, len(d.instances))
	for _, name := range slices.Sorted(maps.Keys(d.instances)) {
		all = append(all, d.instances[name])
	}
	return all
}

// holdsAll reports whether every VIP of the instance is on its interface.
func (s Snapshot) holdsAll(c config.VRRP) bool {
	for _, vip := range c.VIPs {
		if !slices.Contains(s.Addresses, netif.Address{Interface: c.Interface, Addr: vip}) {
			return false
		}
	}
	return true
}
