package director

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/lvsd/lvsd/config"
)

// reloadRequest asks the loop to go over to another configuration.
type reloadRequest struct {
	config *config.Config
	done   chan error
}

// Reload goes over to another valid configuration and returns when the routers,
// checks and ownership are the new ones; the kernel follows at once. Only what
// differs changes: an instance keeps its role and a check its history.
func (d *Director) Reload(ctx context.Context, c *config.Config) error {
	request := reloadRequest{config: c, done: make(chan error, 1)}
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
}

// apply goes over to the configuration of the request, in the loop's goroutine,
// or changes nothing if the kernel cannot do what it needs.
func (d *Director) apply(background context.Context, request reloadRequest) {
	if err := d.Kernel.Prepare(request.config); err != nil {
		request.done <- err
		return
	}
	d.mu.Lock()
	d.config = request.config
	d.owned.Merge(OwnedBy(request.config))
	d.changed = true
	have := d.status.have
	d.mu.Unlock()
	err := errors.Join(
		d.check(request.config, have),
		d.replaceInstances(background, request.config),
	)

	d.mu.Lock()
	d.status.reload = ReloadStatus{At: time.Now(), OK: err == nil, Error: errorText(err)}
	d.mu.Unlock()
	request.done <- err
}

// replaceInstances stops the instances that are gone or became other virtual
// routers, changes the others and starts the new ones.
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
		i.stop()
		d.retire(i)
		d.mu.Lock()
		delete(d.instances, name)
		d.mu.Unlock()
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
		joined := d.status.ready
		d.mu.Unlock()
		if joined {
			i.start(background)
		}
	}
	d.checkLinks()
	return errors.Join(errs...)
}

// sameRouter reports whether a configuration only changes a virtual router and
// does not make another of it.
func sameRouter(a, b config.VRRP) bool {
	return a.Interface == b.Interface && a.Router.VRID == b.Router.VRID
}

// retire lets the hooks of a stopped instance run their last event while the
// loop goes on; Run waits for them.
func (d *Director) retire(i *instance) {
	for _, t := range d.takeTransitions() {
		d.logTransition(t)
		d.notify(t)
	}
	d.retired.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), d.hookTime())
		defer cancel()
		if err := i.hooks.end(ctx); err != nil {
			d.Log.Warn("hooks of a removed instance", "instance", i.config.Router.Name, "err", err)
		}
	})
}

func (d *Director) reconfigure(i *instance, next config.VRRP) error {
	if err := i.router.Reconfigure(next.Router); err != nil {
		return err
	}
	d.mu.Lock()
	i.config = next
	d.mu.Unlock()
	i.hooks.reconfigure(next)
	return nil
}
