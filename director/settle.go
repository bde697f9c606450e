package director

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/track"
	"github.com/lvsd/lvsd/vrrp"
)

// errSuperseded is what Settle returns where another reload came first.
var errSuperseded = errors.New("another configuration has taken its place")

// reloadWait is a reload until the kernel is as the new configuration says.
type reloadWait struct {
	// atStake are the instances that took part in the election before, and of which
	// the configuration changes what may end that.
	atStake Set[string]
	// back tells that the configuration is the one before another.
	back bool
	// resolved is closed when it is known how it ended, in err. Until then err is
	// why the kernel is not as planned yet. Director.mu guards err.
	resolved chan struct{}
	err      error
}

// Settle waits until the kernel is as the configuration of the last Reload says: all
// of it has been carried out, and no instance that worked before is in FAULT because it
// has another interface or other VIPs now. The error says what could not be done: at once if it cannot
// become better, or when ctx ends.
func (d *Director) Settle(ctx context.Context) error {
	d.mu.Lock()
	s := d.settling
	d.mu.Unlock()
	if s == nil {
		return nil
	}
	select {
	case <-s.resolved:
		return s.err
	case <-ctx.Done():
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if s.err != nil {
		return fmt.Errorf("the kernel is not as the file says: %w", s.err)
	}
	return fmt.Errorf("the kernel is not as the file says yet: %w", context.Cause(ctx))
}

// settleAnew begins to wait for the configuration that is applied now. Back is that
// another configuration is gone back from.
func (d *Director) settleAnew(atStake Set[string], back bool) {
	d.resolve(errSuperseded)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.settling = &reloadWait{atStake: atStake, back: back, resolved: make(chan struct{})}
}

// isSettling reports whether a reload still waits. It is for the loop.
func (d *Director) isSettling() bool {
	if d.settling == nil {
		return false
	}
	select {
	case <-d.settling.resolved:
		return false
	default:
		return true
	}
}

// resolve ends the waiting. It is for the loop.
func (d *Director) resolve(err error) {
	if !d.isSettling() {
		return
	}
	if err == nil && !d.settling.back {
		d.recordReload()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.settling.err = err
	close(d.settling.resolved)
}

// judgeReload takes the outcome of a reconciliation. The first after a reload, and each
// until one succeeds, is of everything.
func (d *Director) judgeReload(err error) {
	if !d.isSettling() {
		return
	}
	s := d.settling
	if err != nil {
		d.mu.Lock()
		s.err = err
		d.mu.Unlock()
		return
	}
	faulty, waits := d.standingOf(s.atStake)
	switch {
	case faulty != nil:
		d.resolve(faulty)
	case waits == nil:
		d.resolve(nil)
	default:
		d.mu.Lock()
		s.err = waits
		d.mu.Unlock()
	}
}

// standingOf returns what is wrong with one of the instances, and otherwise why one
// does not take part in the election yet.
func (d *Director) standingOf(names Set[string]) (faulty, waits error) {
	d.mu.Lock()
	instances := maps.Clone(d.instances)
	d.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(names)) {
		i := instances[name]
		if i == nil {
			continue
		}
		status := i.router.Status()
		if status.Role == vrrp.Initialize && waits == nil {
			waits = fmt.Errorf("instance %q does not take part in the election yet", name)
		}
		for _, cause := range slices.Sorted(maps.Keys(status.Faults)) {
			if isOwnFault(cause) {
				return fmt.Errorf("instance %q worked before and is in FAULT now: %s", name, status.Faults[cause]), nil
			}
		}
	}
	return nil, waits
}

// isOwnFault tells a cause that the file brings about from a tracker's, which the
// file asks for.
func isOwnFault(cause string) bool {
	return cause == vrrp.CauseInterface || cause == causeVIP || strings.HasPrefix(cause, causeLink)
}

// missingLinks is an error if an instance that works would get an interface, for itself
// or a VIP, that is absent or down. It would lose its role at once, which going back
// later does not give back. It is for the loop.
func (d *Director) missingLinks(c *config.Config, worked Set[string]) error {
	seen := &links{ask: d.Network.LinkUp, found: map[string]finding{}}
	used := map[string]Set[string]{}
	for _, i := range d.currentInstances() {
		used[i.config.Router.Name] = interfacesOf(i.config)
	}
	var errs []error
	for _, v := range c.VRRP {
		name := v.Router.Name
		if !worked.Has(name) {
			continue
		}
		for _, link := range slices.Sorted(maps.Keys(interfacesOf(v))) {
			if f := seen.find(link); !used[name].Has(link) && f.State == track.Down {
				errs = append(errs, fmt.Errorf("instance %q works and would get the interface %s: %s", name, link, f.Reason))
			}
		}
	}
	return errors.Join(errs...)
}

// interfacesOf are the interfaces whose links an instance needs.
func interfacesOf(v config.VRRP) Set[string] {
	names := Set[string]{}
	names.Add(v.Interface)
	for _, vip := range v.VIPs {
		names.Add(vip.Interface)
	}
	return names
}

// atStake are those of the working instances that c gives another interface, VRID or
// other VIPs. What befalls the others meanwhile is not its doing.
func (d *Director) atStake(c *config.Config, worked Set[string]) Set[string] {
	names := Set[string]{}
	for _, i := range d.currentInstances() {
		for _, next := range c.VRRP {
			if name := next.Router.Name; name == i.config.Router.Name && worked.Has(name) &&
				(!sameRouter(i.config, next) || !slices.Equal(i.config.VIPs, next.VIPs)) {
				names.Add(name)
			}
		}
	}
	return names
}

// working are the instances that take part in the election.
func (d *Director) working() Set[string] {
	names := Set[string]{}
	for _, i := range d.currentInstances() {
		if role := i.router.Status().Role; role == vrrp.Master || role == vrrp.Backup {
			names.Add(i.config.Router.Name)
		}
	}
	return names
}
