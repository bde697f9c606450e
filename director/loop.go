package director

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/lvsd/lvsd/director/ipvs"
)

// loop reconciles whenever something changed, and every Resync in any case, or
// less often where to read the kernel takes long, until ctx ends.
func (d *Director) loop(ctx, background context.Context) {
	due := time.NewTimer(0)
	defer due.Stop()
	grace := time.NewTimer(grace(d.config))
	defer grace.Stop()
	joined := false
	for {
		var answered <-chan struct{}
		if !joined {
			answered = d.answered()
		}
		select {
		case <-ctx.Done():
			return
		case <-d.wake:
		case <-due.C:
		case request := <-d.reloads:
			d.apply(background, request)
		case <-d.names.changed:
			d.readdress(background)
		case question := <-d.questions:
			question()
		case <-answered:
			joined = true
			d.join("every check has answered")
		case <-grace.C:
			d.join("checks took too long to answer")
		}
		d.startReady(background)
		_ = d.step(ctx, false) // it is in log and status, and tried again
		due.Reset(time.Until(d.wakeAt()))
	}
}

// wakeAt is when the loop has work although nothing happens.
func (d *Director) wakeAt() time.Time {
	return sooner(sooner(d.readAt, d.admin.until), sooner(d.riseAt, d.switchEnd))
}

// step handles the transitions that are waiting, brings the kernel to the
// planned state and then tells the hooks.
func (d *Director) step(ctx context.Context, stopping bool) error {
	transitions, again := d.takeTransitions()
	for _, t := range transitions {
		d.logTransition(t)
	}
	err := d.bring(ctx, stopping)
	for _, t := range transitions {
		d.notify(t)
	}
	for _, name := range again {
		d.notifyAgain(name)
	}
	d.notifyGroups(transitions)
	return err
}

// bring brings the kernel to the planned state: at once and without reading it
// where only verdicts changed.
func (d *Director) bring(ctx context.Context, stopping bool) error {
	now := time.Now()
	d.reordered = append(d.reordered, d.enact()...)
	changed, stale := d.takeReasons()
	if stale {
		d.first = nil
	}
	ended := !d.switchEnd.IsZero() && !now.Before(d.switchEnd)
	d.complete = d.complete || changed || stopping || ended
	if !d.complete && !stale && now.Before(d.readAt) {
		touched := d.takeVerdicts()
		if !d.riseAt.IsZero() && !now.Before(d.riseAt) {
			touched = d.withRising(touched)
		}
		err := d.quick(ctx, touched)
		d.riseAt = d.nextRise(time.Now())
		if err != nil {
			d.complete, d.readAt = true, time.Now().Add(d.patience(err))
		}
		return err
	}
	err := d.reconcile(ctx, d.complete, stopping)
	d.judgeReload(err)
	d.complete = err != nil
	// From the time before the plan: what ends while it is carried out must not be
	// missed.
	d.switchEnd = d.nextSwitchEnd(now)
	now = time.Now()
	d.riseAt = d.nextRise(now)
	d.readAt = now.Add(d.patience(err))
	return err
}

// patience is how long to wait for the next complete look at the kernel. Where
// somebody else came between reading and doing, there is nothing to wait for;
// but not for ever.
func (d *Director) patience(err error) time.Duration {
	resync := d.derived.config.Global.Resync
	switch {
	case err == nil:
		d.races = 0
		return max(resync, min(restShare*d.lookCost, maxRest))
	case raced(err) && d.races < maxRaces:
		d.races++
		return 0
	default:
		return min(resync, retryDelay)
	}
}

// raced reports whether the kernel may be other than it was read, by somebody
// else's doing or because an answer was lost.
func raced(err error) bool {
	return errors.Is(err, ipvs.ErrExists) || errors.Is(err, ipvs.ErrNotExist) || errors.Is(err, ipvs.ErrUncertain)
}

// takeReasons returns why the loop was woken, and forgets it.
func (d *Director) takeReasons() (changed, stale bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	changed, stale = d.changed, d.stale
	d.changed, d.stale = false, false
	return changed, stale
}

// takeVerdicts returns the services that verdicts or orders changed for, by their
// place in the configuration.
func (d *Director) takeVerdicts() []int {
	d.mu.Lock()
	changes := d.verdicts
	d.verdicts = nil
	d.mu.Unlock()
	touched := SetOf(d.reordered...)
	d.reordered = nil
	for _, change := range changes {
		for n, server := range d.derived.checks.servers(change.Spec) {
			touched.Add(n)
			service := &d.derived.config.Services[n]
			d.recover(service, &service.RealServers[server], change)
		}
	}
	return slices.Sorted(maps.Keys(touched))
}

// lingerEnd is when a former MASTER need not do any longer what the switch needs
// of it; zero if it does nothing.
func (d *Director) lingerEnd(now time.Time) time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.switchFacts(now).lingersUntil()
}

// nextSwitchEnd is lingerEnd, or when a new MASTER need not do any longer what the
// switch needs of that.
func (d *Director) nextSwitchEnd(now time.Time) time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	f := d.switchFacts(now)
	return earlier(f.lingersUntil(), f.settlesUntil())
}

// switchFacts needs d.mu, also while they are used.
func (d *Director) switchFacts(now time.Time) Facts {
	return Facts{
		Config: d.derived.config, Now: now, Roles: d.roles(),
		Relinquished: d.relinquished, Assumed: d.assumed,
	}
}
