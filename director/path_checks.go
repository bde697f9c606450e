package director

import (
	"fmt"
	"maps"
	"sync/atomic"
	"time"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/healthcheck"
)

// pathless are the path checks that are kept from asking, with where they stand.
// Without the service that takes its probe to the one server, a path check is
// answered by any: on a MASTER by one that the virtual service chooses, on a
// BACKUP by way of the MASTER.
type pathless struct {
	// The map is replaced and never changed.
	statuses atomic.Pointer[map[healthcheck.Spec]healthcheck.Status]
}

func (p *pathless) all() map[healthcheck.Spec]healthcheck.Status {
	if all := p.statuses.Load(); all != nil {
		return *all
	}
	return nil
}

// setChecks makes the checks of c the ones that run, except path checks without
// their path. The verdicts are for checks that have none of their own.
func (d *Director) setChecks(c *config.Config, verdicts map[healthcheck.Spec]bool) error {
	var asked []healthcheck.Spec
	seeds, waiting := map[healthcheck.Spec]bool{}, map[healthcheck.Spec]healthcheck.Status{}
	before := d.pathless.all()
	for _, spec := range specs(c) {
		if !d.mayAsk(spec) {
			waiting[spec] = d.pathlessStatus(spec, verdicts)
			continue
		}
		asked = append(asked, spec)
		if up, known := verdicts[spec]; known {
			seeds[spec] = up
		}
		if was := before[spec]; was.State != healthcheck.Unknown || was.Inherited {
			seeds[spec] = was.Up
		}
	}
	// Who asks meanwhile where a check stands finds it here or in the pool.
	both := maps.Clone(waiting)
	maps.Copy(both, before)
	d.pathless.statuses.Store(&both)
	defer d.pathless.statuses.Store(&waiting)
	if err := d.pool.Update(asked); err != nil {
		return fmt.Errorf("checks: %w", err)
	}
	for spec, up := range seeds {
		if err := d.pool.Seed(spec, up); err != nil {
			return fmt.Errorf("checks: %w", err)
		}
	}
	return nil
}

// pathlessStatus is where a path check stands that may not ask: where it stood,
// or as a new one.
func (d *Director) pathlessStatus(spec healthcheck.Spec, verdicts map[healthcheck.Spec]bool) healthcheck.Status {
	status, known := d.pool.Status(spec)
	if !known {
		status, known = d.pathless.all()[spec]
	}
	if !known {
		status = healthcheck.Status{Verdict: healthcheck.Verdict{Up: spec.Check().InitiallyUp}, Since: time.Now()}
	}
	if up, seeded := verdicts[spec]; seeded && status.State == healthcheck.Unknown {
		status.Verdict = healthcheck.Verdict{Up: up, Inherited: true}
	}
	return status
}

// hasPath reports whether the check is no path check, or the kernel has its
// service as planned.
func (d *Director) hasPath(spec healthcheck.Spec) bool {
	if spec.Mark == 0 {
		return true
	}
	key := pathKey(spec)
	planned, wanted := d.derived.paths[key]
	present, there := d.view.have.Services[key]
	return wanted && there && present.equal(planned)
}

// followPaths lets path checks ask whose services a pass has made, and withholds
// those whose services are gone.
func (d *Director) followPaths(p pass) error {
	if len(d.derived.paths) == 0 || p.facts.Stopping || !d.touchesPaths(p) {
		return nil
	}
	for _, spec := range specs(d.derived.config) {
		if spec.Mark == 0 {
			continue
		}
		if _, waits := d.pathless.all()[spec]; waits == d.mayAsk(spec) {
			return d.setChecks(d.derived.config, nil)
		}
	}
	return nil
}

func (d *Director) touchesPaths(p pass) bool {
	for key := range p.keys {
		if _, path := d.derived.paths[key]; path {
			return true
		}
	}
	return p.keys == nil
}

// answered returns a channel that is closed when every check has answered. While
// one is withheld, it never is.
func (d *Director) answered() <-chan struct{} {
	if len(d.pathless.all()) > 0 {
		return nil
	}
	return d.pool.Answered()
}
