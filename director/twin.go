package director

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/healthcheck"
	"github.com/lvsd/lvsd/vrrp"
)

// twin is a director that never runs: it plans by the same rules from the facts
// that it is given, for a Preview.
type twin struct {
	*Director
	// instancesBefore is what a predecessor remembered of instances.
	instancesBefore map[string]InstanceMemory
	// answers are where checks stand that have answered somebody else.
	answers map[healthcheck.Spec]healthcheck.Status
}

func newTwin(o Options) *twin {
	o.Network = noNetwork{}
	o.Log = slog.New(slog.DiscardHandler)
	t := &twin{Director: New(o), answers: map[healthcheck.Spec]healthcheck.Status{}}
	t.mayAsk = func(healthcheck.Spec) bool { return true } // it asks nobody
	t.statusOf = func(spec healthcheck.Spec) healthcheck.Status {
		if status, ok := t.answers[spec]; ok {
			return status
		}
		status, _ := t.pool.Status(spec)
		return status
	}
	return t
}

// hear takes over where the checks stand that the twin has too. What a check told
// beside its verdict counts only if it has answered.
func (t *twin) hear(statuses map[healthcheck.Spec]healthcheck.Status) error {
	for spec, status := range statuses {
		answered := status.State != healthcheck.Unknown
		if _, kept := t.pool.Status(spec); !kept || !answered && !status.Inherited {
			continue
		}
		if err := t.pool.Seed(spec, status.Up); err != nil {
			return err
		}
		if answered {
			t.answers[spec] = status
		}
	}
	return nil
}

// noNetwork is for who never asks.
type noNetwork struct{ Network }

// play gives an instance its role.
func (t *twin) play(v config.VRRP, role vrrp.Role) {
	t.instances[v.Router.Name] = &instance{config: v, role: role}
}

// read reads the kernel.
func (t *twin) read(ctx context.Context) (Snapshot, error) {
	if err := t.Kernel.Prepare(t.derived.config); err != nil {
		return Snapshot{}, err
	}
	s, err := t.Kernel.Read(ctx, t.watchedSysctls())
	if err != nil {
		return Snapshot{}, fmt.Errorf("read the kernel's state: %w", err)
	}
	return s, nil
}

// resumes reports whether an instance goes on as MASTER at a start: its
// predecessor was that just now, and nothing is missing.
func (d *Director) resumes(v config.VRRP, memory Memory, first Snapshot) bool {
	return !d.isHeld(v.Router.Name) && memory.wasMasterJustNow(v.Router, sinceBoot()) && first.holdsAll(v)
}

// examine gives the checks verdicts beside those that the kernel has.
func (t *twin) examine(ctx context.Context, health Health) error {
	switch health {
	case HealthUp:
		clear(t.toldBefore) // weight 0 would not be up
		for _, spec := range specs(t.derived.config) {
			if err := t.pool.Seed(spec, true); err != nil {
				return err
			}
		}
	case HealthProbe:
		answers, err := t.firstAnswers(ctx)
		return errors.Join(err, t.hear(answers))
	case HealthKernel, HealthDaemon:
	}
	return nil
}

// firstAnswers runs the checks until each has answered once, or for as long as a
// daemon that starts waits for that. A path check without its path is left out.
func (t *twin) firstAnswers(ctx context.Context) (map[healthcheck.Spec]healthcheck.Status, error) {
	c := t.derived.config
	asked := slices.DeleteFunc(specs(c), func(spec healthcheck.Spec) bool { return !t.hasPath(spec) })
	pool := healthcheck.NewPool(c.Checks, func(healthcheck.Change) {}, func(healthcheck.Notice) {})
	if err := pool.Update(asked); err != nil {
		return nil, fmt.Errorf("checks: %w", err)
	}
	end := begin(ctx, func(ctx context.Context) { _ = pool.Run(ctx) }) // it fails only if run twice
	patience := time.NewTimer(grace(c))
	defer patience.Stop()
	select {
	case <-ctx.Done():
	case <-pool.Answered():
	case <-patience.C:
	}
	end()
	return pool.All(), context.Cause(ctx)
}

// preview plans everything and describes it.
func (t *twin) preview(of PreviewOf, health Health) Preview {
	pass := t.planAll(false)
	ops, drift := Diff(pass.have, pass.want), []Op(nil)
	if reportsDrift(pass.facts.Config) {
		ops, drift = t.sort(ops, pass)
	}
	p := Preview{
		Schema: "lvsd.plan/1", Of: of, Health: health, Unanswered: t.unanswered(),
		Services: len(t.derived.config.Services), Roles: map[string]string{}, Changes: []Change{}, Drift: []Change{},
		Foreign: append([]string{}, t.view.snapshot.Foreign(t.owned)...),
		Sysctls: []SysctlStatus{}, ops: ops,
	}
	for name, role := range pass.facts.Roles {
		p.Roles[name] = strings.ToLower(role.String())
	}
	for _, op := range drift {
		p.Drift = append(p.Drift, Describe(op, pass.have))
	}
	after := pass.have.Clone()
	for _, op := range ops {
		change := Describe(op, after)
		p.Changes = append(p.Changes, change)
		p.Summary.count(change)
		op.applyTo(after)
	}
	p.Sysctls = append(p.Sysctls, mismatches(t.derived.requirements, after)...)
	return p
}

func (s *Summary) count(c Change) {
	switch c.Action {
	case ActionAdd:
		s.Add++
	case ActionEdit, ActionSet:
		s.Change++
	case ActionDelete:
		s.Delete++
	}
}

// unanswered counts the checks that nothing is known of and that count as down.
func (t *twin) unanswered() int {
	n := 0
	for _, status := range t.pool.All() {
		if !status.Up && !status.Inherited && status.State == healthcheck.Unknown {
			n++
		}
	}
	return n
}

// bequeath remembers what a daemon that starts must know.
func (t *twin) bequeath() error {
	t.mu.Lock()
	m := Memory{
		Instances: t.instancesBefore,
		Sysctls:   maps.Clone(t.sysctls),
		Quorate:   t.quorateToRemember(),
	}
	m.remember(t.owned)
	t.mu.Unlock()
	m.Hosts = t.names.answers()
	return t.Memory.Save(m)
}
