package director

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/vrrp"
)

var (
	// ErrUnknownInstance means that no VRRP instance has the name.
	ErrUnknownInstance = errors.New("no such VRRP instance")
	// ErrNoTakeover means that no other node became MASTER.
	ErrNoTakeover = errors.New("no other node became MASTER")
)

// pollTakeover is how often the router is asked whether another is MASTER.
const pollTakeover = 20 * time.Millisecond

// GiveUp makes this node BACKUP and waits until another is MASTER, whose address
// it returns. The other instances of a sync group move with it. The error is
// ErrUnknownInstance, ErrNoTakeover if this node became MASTER again or ctx
// ended first, or that the instance is not MASTER here.
func (d *Director) GiveUp(ctx context.Context, instance string) (master string, err error) {
	i, err := d.instance(instance)
	if err != nil {
		return "", err
	}
	before := i.router.Status()
	if before.Role != vrrp.Master {
		return "", fmt.Errorf("instance %q is %s, %s", instance, before.Role, masterOf(before))
	}
	d.Log.Info("giving up on request", "instance", instance)
	began := time.Now()
	i.router.GiveUp()
	poll := time.NewTicker(pollTakeover)
	defer poll.Stop()
	for {
		now := i.router.Status()
		if peer, ok := successor(now, began); ok {
			return peer.Address.String(), nil
		}
		if now.MasterTransitions > before.MasterTransitions {
			return "", fmt.Errorf("instance %q: %w, this one is it again: %s", instance, ErrNoTakeover, now.Why())
		}
		select {
		case <-ctx.Done():
			return "", fmt.Errorf("instance %q: %w: %w", instance, ErrNoTakeover, context.Cause(ctx))
		case <-poll.C:
		}
	}
}

// successor is another MASTER, heard after this one gave up.
func successor(s vrrp.Status, began time.Time) (vrrp.Peer, bool) {
	if s.Role == vrrp.Master {
		return vrrp.Peer{}, false
	}
	at := slices.IndexFunc(s.Peers, func(p vrrp.Peer) bool { return speaks(p) && p.Last.After(began) })
	if at < 0 {
		return vrrp.Peer{}, false
	}
	return s.Peers[at], true
}

// masterOf says who is MASTER, in words.
func masterOf(s vrrp.Status) string {
	for _, p := range s.Peers {
		if speaks(p) {
			return fmt.Sprintf("%v is MASTER", p.Address)
		}
	}
	return "no MASTER is heard"
}

// Hold keeps the instance, and the others of its sync group, from being MASTER
// until Release: a restart or boot does not end it. The error is
// ErrUnknownInstance, or that it could not be written down; then nothing changed.
func (d *Director) Hold(_ context.Context, instance string) error {
	i, err := d.instance(instance)
	if err != nil {
		return err
	}
	if err := d.setHeld(d.together(instance), true); err != nil {
		return fmt.Errorf("instance %q is not held: %w", instance, err)
	}
	if err := d.holdForGood(d.together(instance)); err != nil {
		return fmt.Errorf("instance %q is released when maintenance ends: %w", instance, err)
	}
	i.router.Hold()
	d.Log.Info("held on request", "instance", instance)
	return nil
}

// Release ends what Hold and GiveUp began, for the others of the sync group too.
// The errors are as for Hold.
func (d *Director) Release(_ context.Context, instance string) error {
	i, err := d.instance(instance)
	if err != nil {
		return err
	}
	if err := d.setHeld(d.together(instance), false); err != nil {
		return fmt.Errorf("instance %q is not released: %w", instance, err)
	}
	i.router.Release()
	d.Log.Info("released on request", "instance", instance)
	return nil
}

// SetPriority sets the priority that tracking starts from, 1..254, until it is 0,
// which is as configured, the daemon is restarted, or a reload brings another
// configured one. The error is ErrUnknownInstance, or that the priority cannot
// be set.
func (d *Director) SetPriority(_ context.Context, instance string, priority int) error {
	i, err := d.instance(instance)
	if err != nil {
		return err
	}
	if priority < 0 || priority >= vrrp.Owner {
		return fmt.Errorf("instance %q: priority %d: want 1..254, or 0 for the configured one", instance, priority)
	}
	d.mu.Lock()
	owner := i.config.Router.Priority == vrrp.Owner
	if !owner {
		i.override = priority
	}
	d.mu.Unlock()
	if owner {
		return fmt.Errorf("instance %q: its configured priority is %d, which never changes", instance, vrrp.Owner)
	}
	d.Log.Info("priority set on request", "instance", instance, "priority", priority)
	d.evaluate()
	return nil
}

// instance finds an instance by name. The error names the nearest.
func (d *Director) instance(name string) (*instance, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if i, ok := d.instances[name]; ok {
		return i, nil
	}
	var names []string
	for _, c := range d.config.VRRP {
		names = append(names, c.Router.Name)
	}
	if near := config.Nearest(name, names); near != "" {
		return nil, fmt.Errorf("%q: %w, nearest is %q", name, ErrUnknownInstance, near)
	}
	return nil, fmt.Errorf("%q: %w", name, ErrUnknownInstance)
}

// together are the instances that move with one: its sync group's, or itself.
func (d *Director) together(instance string) []string {
	if g, ok := groupOf(d.currentConfig(), instance); ok {
		return g.Instances
	}
	return []string{instance}
}
