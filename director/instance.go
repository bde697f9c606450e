package director

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/director/netif"
	"github.com/lvsd/lvsd/vrrp"
)

// instance is one VRRP instance at work: its router and its hooks.
type instance struct {
	config config.VRRP
	router *vrrp.Router
	hooks  *hooks

	// role is the last one reported, told the last one that hooks were called
	// for; epoch counts the times the role became MASTER and those the VIPs are
	// to be announced again. These and what follows are guarded by Director.mu,
	// as config is.
	role, told vrrp.Role
	epoch      uint64
	// override is the priority set by an operator; 0 is none.
	override int
	// fit is how links and trackers were weighed last.
	fit     fitness
	rivalry rivalry

	// What the router was told last, and the links and the source that were looked
	// at: for who has Director.evaluating.
	priority uint8
	faults   map[string]string
	links    map[string]*debounced
	source   debounced

	// cancel and done, closed when the router has ended, are nil before it was
	// started. They are for the loop.
	cancel context.CancelFunc
	done   chan struct{}
}

// newInstance makes an instance that takes no part in the election yet. One
// that resumes counts as MASTER from the start, so that nothing of what its
// predecessor left is touched.
func (d *Director) newInstance(background context.Context, c config.VRRP, resume bool) (*instance, error) {
	name := c.Router.Name
	held := d.isHeld(name) || d.holdNew(name)
	router, err := vrrp.NewRouter(vrrp.RouterConfig{
		Config:    c.Router,
		Interface: c.Interface,
		Resume:    resume,
		Hold:      held,
		Group:     d.meetingOf(d.currentConfig(), name),
		Observe:   d.roleChanged,
		Notice:    func(n vrrp.Notice, over bool) { d.noticed(notice{n, name, over}) },
		Dial:      d.Dial,
	})
	if err != nil {
		return nil, err
	}
	i := &instance{
		config: c, router: router, hooks: d.newHooks(background, commands(c.Hooks)),
		priority: c.Router.Priority, fit: fitness{Priority: c.Router.Priority},
	}
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

// stopAll ends the routers and waits for them: a MASTER says goodbye. All are
// told first, so that no group goes to pieces.
func stopAll(instances []*instance) {
	for _, i := range instances {
		if i.done != nil {
			i.cancel()
		}
	}
	for _, i := range instances {
		if i.done != nil {
			<-i.done
		}
	}
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
	c := d.currentConfig()
	d.setGroups(background, c)
	var resumed []*instance
	for _, v := range c.VRRP {
		name := v.Router.Name
		held := d.isHeld(name)
		resume := d.resumes(v, memory, first)
		i, err := d.newInstance(background, v, resume)
		if err != nil {
			return err
		}
		d.mu.Lock()
		d.instances[name] = i
		d.mu.Unlock()
		if held {
			d.Log.Warn("held: not to be MASTER until it is released", "instance", name)
		}
		if resume {
			resumed = append(resumed, i)
		}
	}
	d.evaluate()
	for _, i := range resumed {
		d.Log.Info("going on as MASTER", "instance", i.config.Router.Name,
			"reason", "the predecessor was MASTER less than three advert intervals ago and the VIPs are in place")
		i.start(background)
	}
	return nil
}

// join lets the instances take part in the election.
func (d *Director) join(reason string) {
	d.mu.Lock()
	ready := d.status.ready
	d.status.ready = true
	d.changed = true
	d.mu.Unlock()
	if ready {
		return
	}
	d.Log.Info("ready", "reason", reason)
	if d.Ready != nil {
		d.Ready()
	}
}

// startReady starts the instances that need not wait any more: for the checks of
// all real servers, or for a tracker of their own that may keep them in FAULT.
func (d *Director) startReady(background context.Context) {
	var ready []*instance
	d.mu.Lock()
	for _, i := range d.instances {
		if d.status.ready && i.fit.Waiting == "" {
			ready = append(ready, i)
		}
	}
	d.mu.Unlock()
	for _, i := range ready {
		i.start(background)
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
			if t.Reason != vrrp.ReasonResumed {
				d.assumed[t.Name] = time.Now()
			}
		} else if i.role == vrrp.Master {
			d.relinquished[t.Name] = time.Now()
		}
		i.role = t.To
		d.desist(i)
	}
	d.mu.Unlock()
	nudge(d.wake) // the kernel is as it was
}

// desistLost is desist for every instance whose role changed while it was looked
// up what is held.
func (d *Director) desistLost() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, i := range d.instances {
		d.desist(i)
	}
}

// desist ends announcing and defending the VIPs of an instance that is not MASTER.
// It does not wait until they are off their interfaces, which takes long where
// somebody holds the xtables lock: to defend them meanwhile would lead the
// neighbours back here, away from the new MASTER. It needs d.mu.
func (d *Director) desist(i *instance) {
	if i.role == vrrp.Master {
		return
	}
	for _, vip := range i.config.VIPs {
		d.announcer.forget(vip.Address)
		d.conflicts.forget(vip.Address)
	}
}

// takeTransitions returns the transitions since the last call, and the instances
// whose MASTER hooks are to be run again.
func (d *Director) takeTransitions() (transitions []vrrp.Transition, again []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	transitions, again = d.transitions, d.again
	d.transitions, d.again = nil, nil
	return transitions, again
}

func (d *Director) logTransition(t vrrp.Transition) {
	d.happened(slog.LevelInfo, "Entering "+t.To.String()+" STATE", transitionEvent(t),
		"instance", t.Name, "vrid", t.VRID, "interface", t.Interface, "from", t.From, "priority", t.Priority)
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

// holdsAll reports whether every VIP of the instance is on its interface, with
// whatever label and scope.
func (s Snapshot) holdsAll(c config.VRRP) bool {
	held := Set[netif.Address]{}
	for _, address := range s.Addresses {
		held.Add(address.Address)
	}
	return !slices.ContainsFunc(c.VIPs, func(vip config.VIP) bool { return !held.Has(vip.Address) })
}
