package director

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/lvsd/lvsd/config"
)

// reloadRequest asks the loop to go over to another configuration.
type reloadRequest struct {
	config *config.Config
	// cause is why the one before is gone back to; nil otherwise.
	cause error
	done  chan error
}

// Reload goes over to another valid configuration and returns when the routers,
// checks and ownership are the new ones; the kernel follows at once, which Settle
// waits for. Only what differs changes: an instance keeps its role and a check its
// history. After an error all is as it was before.
func (d *Director) Reload(ctx context.Context, c *config.Config) error {
	return d.goOver(ctx, c, nil)
}

// RollBack is Reload of the configuration that was in force before. Cause is why, for
// the status and the event.
func (d *Director) RollBack(ctx context.Context, c *config.Config, cause error) error {
	return d.goOver(ctx, c, cause)
}

func (d *Director) goOver(ctx context.Context, c *config.Config, cause error) error {
	d.names.resolve(ctx, c.Names(), firstLookups)
	// A copy, so that one that was in force before is another one.
	own := *c
	request := reloadRequest{config: &own, cause: cause, done: make(chan error, 1)}
	select {
	case d.reloads <- request:
	case <-ctx.Done():
		return fmt.Errorf("reload: %w", context.Cause(ctx))
	}
	return <-request.done
}

// ReloadFailed records that a new configuration was refused.
func (d *Director) ReloadFailed(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.status.reload = ReloadStatus{At: time.Now(), Error: err.Error()}
	d.Record(refusedEvent(err))
}

// apply goes over to the configuration of the request, in the loop's goroutine, or
// back again if that fails. If the kernel cannot do what it needs, nothing changes.
func (d *Director) apply(background context.Context, request reloadRequest) {
	if err := d.Kernel.Prepare(d.addressed(request.config)); err != nil && request.cause == nil {
		request.done <- err
		return
	}
	before, worked := d.file, d.working()
	if err := d.missingLinks(request.config, worked); err != nil && request.cause == nil {
		request.done <- err
		return
	}
	atStake := d.atStake(request.config, worked)
	d.settleAnew(atStake, request.cause != nil)
	err := d.replace(background, request.config)
	if err != nil && request.cause == nil {
		own := *before
		d.resolve(err)
		d.settleAnew(atStake, true)
		err = errors.Join(err, d.replace(background, &own))
	}
	d.noteReload(err, request.cause)
	request.done <- err
}

// noteReload records how going over to a configuration ended. That it was gone over to
// is an event only when it has settled.
func (d *Director) noteReload(err, cause error) {
	d.mu.Lock()
	d.status.reload = ReloadStatus{
		At: time.Now(), OK: err == nil && cause == nil, Error: errorText(errors.Join(cause, err)), RolledBack: cause != nil,
	}
	d.mu.Unlock()
	if cause != nil {
		d.Record(rolledBackEvent(cause))
	}
}

// replace goes over to a configuration as read. What links and trackers mean is
// not looked at while only half of it is new.
func (d *Director) replace(background context.Context, file *config.Config) error {
	d.evaluating.Lock()
	defer d.evaluating.Unlock()
	d.configure(file)
	c := d.derived.config
	err := d.check(c, d.view.have)
	d.setStandings(background, c)
	gone := d.setGroups(background, c)
	err = errors.Join(err, d.replaceInstances(background, c))
	for _, g := range gone {
		d.retire(g.config.Name, g.hooks)
	}
	d.evaluateLocked()
	return err
}

// replaceInstances stops the instances that are gone or became other virtual
// routers, changes the others and makes the new ones, which the loop starts.
func (d *Director) replaceInstances(background context.Context, c *config.Config) error {
	wanted := map[string]config.VRRP{}
	for _, v := range c.VRRP {
		wanted[v.Router.Name] = v
	}
	var errs []error
	for _, i := range d.currentInstances() {
		name := i.config.Router.Name
		next, kept := wanted[name]
		if kept && sameRouter(i.config, next) {
			delete(wanted, name)
			errs = append(errs, d.reconfigure(i, next))
			continue
		}
		d.drop(i)
	}
	for _, v := range c.VRRP {
		if _, missing := wanted[v.Router.Name]; !missing {
			continue
		}
		i, err := d.newInstance(background, v, false)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		d.mu.Lock()
		d.instances[v.Router.Name] = i
		d.mu.Unlock()
	}
	return errors.Join(errs...)
}

// drop stops an instance for good.
func (d *Director) drop(i *instance) {
	name := i.config.Router.Name
	stopAll([]*instance{i})
	// It would keep the group from being MASTER.
	i.router.SetGroup(nil)
	transitions, again := d.takeTransitions()
	for _, t := range transitions {
		d.logTransition(t)
		d.notify(t)
	}
	d.notifyGroups(transitions)
	d.mu.Lock()
	d.again = append(again, d.again...)
	delete(d.instances, name)
	d.mu.Unlock()
	d.retire(name, i.hooks)
}

// sameRouter reports whether a configuration only changes a virtual router and
// does not make another of it.
func sameRouter(a, b config.VRRP) bool {
	return a.Interface == b.Interface && a.Router.VRID == b.Router.VRID
}

// reconfigure changes an instance that keeps its role. A priority that an
// operator set is for the configured one of that time.
func (d *Director) reconfigure(i *instance, next config.VRRP) error {
	if err := i.router.Reconfigure(next.Router); err != nil {
		return err
	}
	i.router.SetGroup(d.meetingOf(d.currentConfig(), next.Router.Name))
	if !slices.Equal(next.VIPs, i.config.VIPs) {
		// What the kernel refused may be gone.
		d.forgive(i)
		i.router.ClearFault(causeVIP)
	}
	d.mu.Lock()
	if next.Router.Priority != i.config.Router.Priority {
		i.override = 0
	}
	i.config = next
	d.mu.Unlock()
	// The router's own reckoning of the priority is not known here.
	i.priority = 0
	i.hooks.reconfigure(commands(next.Hooks))
	return nil
}
