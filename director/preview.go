package director

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/vrrp"
)

// Preview is what lvsd would change in the kernel now, and from which facts that
// follows. As JSON its fields are only ever added to.
type Preview struct {
	// Schema is "lvsd.plan/1".
	Schema string `json:"schema"`
	// Of is what would make the changes.
	Of PreviewOf `json:"of"`
	// Roles holds the role of each instance by name: "master", "backup", "fault"
	// or "initialize".
	Roles map[string]string `json:"roles"`
	// Services counts the virtual services of the configuration.
	Services int `json:"services"`
	// Health is where the verdicts come from; Unanswered counts the checks that
	// have none and count as down.
	Health     Health `json:"health"`
	Unanswered int    `json:"unanswered"`
	// Changes stand in the order in which they would be made.
	Changes []Change `json:"changes"`
	Summary Summary  `json:"summary"`
	// Drift is what somebody else changed and on_drift = "report" leaves.
	Drift []Change `json:"drift"`
	// Foreign is what stands in the kernel beside lvsd's own, left alone.
	Foreign []string `json:"foreign"`
	// Sysctls are the kernel parameters that would not be as they should be.
	Sysctls []SysctlStatus `json:"sysctls"`

	ops []Op
}

// PreviewOf is what would make the changes of a Preview.
type PreviewOf string

// The occasions.
const (
	// PreviewStart: a daemon that starts now, in its first step.
	PreviewStart PreviewOf = "start"
	// PreviewReload: the running daemon, at a reload.
	PreviewReload PreviewOf = "reload"
)

// Health is where a Preview takes the verdicts of checks from.
type Health string

// The sources. The first three are for a Start to choose.
const (
	// HealthKernel: the weights in the kernel, as a daemon that starts.
	HealthKernel Health = "kernel"
	// HealthUp: every check passes.
	HealthUp Health = "up"
	// HealthProbe: every check is carried out once, now.
	HealthProbe Health = "probe"
	// HealthDaemon: the running daemon.
	HealthDaemon Health = "daemon"
)

// Summary counts the changes of a Preview by what they do.
type Summary struct {
	Add    int `json:"add"`
	Change int `json:"change"`
	Delete int `json:"delete"`
}

// Empty reports whether there is nothing to do.
func (p Preview) Empty() bool { return len(p.Changes) == 0 }

// Preview is what a reload of c would change now. It reads through a kernel of
// its own, not the director's, and holds nothing up. Roles and verdicts are those
// of this moment: an instance that c makes another virtual router would start as
// BACKUP, a new check from what the kernel's weights say. What Reload would refuse is an
// error.
func (d *Director) Preview(ctx context.Context, kernel Kernel, c *config.Config) (Preview, error) {
	twin := newTwin(Options{Config: c, Kernel: kernel, Lookup: d.names.lookup})
	var missing error
	if err := d.ask(ctx, func() { d.lend(twin); missing = d.missingLinks(c, d.working()) }); err != nil {
		return Preview{}, err
	}
	if missing != nil {
		return Preview{}, missing
	}
	twin.names.resolve(ctx, c.Names(), firstLookups)
	twin.configure(c)
	first, err := twin.read(ctx)
	if err != nil {
		return Preview{}, err
	}
	if err := twin.adopt(Memory{}, first); err != nil {
		return Preview{}, err
	}
	if err := twin.hear(d.pool.All()); err != nil {
		return Preview{}, err
	}
	return twin.preview(PreviewReload, HealthDaemon), nil
}

// ask runs f in the loop's goroutine, between two steps, and waits for it.
func (d *Director) ask(ctx context.Context, f func()) error {
	asked := make(chan struct{})
	select {
	case d.questions <- func() { defer close(asked); f() }:
		<-asked
		return nil
	case <-ctx.Done():
		return fmt.Errorf("the director is busy: %w", context.Cause(ctx))
	}
}

// lend tells a twin what a reload keeps. It is for the loop, between two steps.
func (d *Director) lend(t *twin) {
	t.names.recall(d.names.answers())
	maps.Copy(t.recovered, d.recovered)
	t.setAdmin(d.admin)
	if reportsDrift(t.file) {
		t.view.expected, t.view.left = d.view.expected.Clone(), d.view.left
	}
	quorate := map[string]bool{}

	d.mu.Lock()
	defer d.mu.Unlock()
	t.owned = merged(d.owned, t.owned)
	maps.Copy(t.sysctls, d.sysctls)
	maps.Copy(t.relinquished, d.relinquished)
	maps.Copy(t.assumed, d.assumed)
	for _, v := range t.file.VRRP {
		i := d.instances[v.Router.Name]
		if i == nil || !sameRouter(i.config, v) {
			t.play(v, vrrp.Backup)
			continue
		}
		t.play(v, i.role)
	}
	for name, s := range d.standings {
		if s.known {
			quorate[name] = s.quorate
		}
	}
	t.recallQuorums(quorate)
}

// Start is a daemon that starts, or rather does not: it finds out what its first
// step would change, and may change that.
type Start struct {
	Config *config.Config
	Kernel Kernel
	// Memory and Holds are the files that a predecessor left.
	Memory MemoryFile
	Holds  HoldFile
	// OverrideFile is as in Options.
	OverrideFile string
	// Health is where verdicts come from, HealthKernel unless set.
	Health Health
	// Roles are assumed; an instance that is not in it goes on as MASTER where a
	// predecessor was that just now, or is BACKUP.
	Roles map[string]vrrp.Role
	// Lookup is as in Options.
	Lookup LookupFunc

	twin *twin
}

// Preview is what the first step would change. Of the system it changes nothing,
// except that to read IPVS and rules loads the kernel's modules for them.
func (s *Start) Preview(ctx context.Context) (Preview, error) {
	memory, err := s.Memory.Load()
	if err != nil {
		memory = Memory{} // as a daemon that starts
	}
	s.twin = newTwin(Options{
		Config: s.Config, Kernel: s.Kernel, Memory: s.Memory, Holds: s.Holds, Lookup: s.Lookup, OverrideFile: s.OverrideFile,
	})
	s.twin.recallHolds()
	damage := s.twin.recallOverrides()
	s.twin.setAdmin(adminOf(s.twin.overridesNow(), time.Now()))
	s.twin.names.recall(memory.Hosts)
	s.twin.names.resolve(ctx, s.Config.Names(), firstLookups)
	s.twin.configure(s.Config)
	maps.Copy(s.twin.sysctls, memory.Sysctls)
	s.twin.instancesBefore = memory.Instances
	first, err := s.twin.read(ctx)
	if err != nil {
		return Preview{}, err
	}
	if damage != nil {
		s.twin.guessOrders(first, s.twin.config)
	}
	if err := s.twin.adopt(memory, first); err != nil {
		return Preview{}, err
	}
	for _, v := range s.Config.VRRP {
		s.twin.play(v, s.role(v, memory, first))
	}
	health := s.Health
	if health == "" {
		health = HealthKernel
	}
	if err := s.twin.examine(ctx, health); err != nil {
		return Preview{}, err
	}
	return s.twin.preview(PreviewStart, health), nil
}

// role is the instance's in the first step.
func (s *Start) role(v config.VRRP, memory Memory, first Snapshot) vrrp.Role {
	if role, ok := s.Roles[v.Router.Name]; ok {
		return role
	}
	if s.twin.resumes(v, memory, first) {
		return vrrp.Master
	}
	return vrrp.Backup
}

// Apply makes the changes of the Preview that this Start returned last, and
// returns what is left to do after that: nothing, unless somebody else changes
// the kernel too. What a daemon that starts later must know is remembered. The
// error is that of the operations that failed, joined.
func (s *Start) Apply(ctx context.Context, p Preview) (left Preview, err error) {
	t := s.twin
	if t == nil {
		return Preview{}, errors.New("apply: nothing was planned")
	}
	t.saveSysctls(p.ops, t.view.have)
	// A run that is cut short must not lose the values that it replaced.
	if err := t.bequeath(); err != nil {
		return Preview{}, err
	}
	done, err := Apply(ctx, s.Kernel, p.ops)
	t.did(done)
	if err == nil {
		t.settled(t.derived.config)
	}
	err = errors.Join(err, t.bequeath())
	now, readErr := t.read(ctx)
	if readErr != nil {
		return Preview{}, errors.Join(err, readErr)
	}
	t.see(now, t.owned)
	return t.preview(p.Of, p.Health), err
}
