package director

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/director/hook"
	"github.com/lvsd/lvsd/vrrp"
)

// group is one sync group at work: where its members' routers meet, and its
// hooks.
type group struct {
	config config.SyncGroup
	router *vrrp.SyncGroup
	hooks  *hooks
	// role is what all members agreed on last, since when, and mixed says that
	// they do not now. They are guarded by Director.mu.
	role  vrrp.Role
	since time.Time
	mixed bool
}

// groupOf returns the sync group that the instance is a member of.
func groupOf(c *config.Config, instance string) (config.SyncGroup, bool) {
	for _, g := range c.Groups {
		if slices.Contains(g.Instances, instance) {
			return g, true
		}
	}
	return config.SyncGroup{}, false
}

// setGroups makes the groups of c the ones there are. Members join when they are
// made or reconfigured. It returns the groups that are gone.
func (d *Director) setGroups(background context.Context, c *config.Config) (gone []*group) {
	next := make(map[string]*group, len(c.Groups))
	for _, wanted := range c.Groups {
		g := d.groups[wanted.Name]
		if g == nil {
			g = &group{
				router: vrrp.NewGroup(wanted.Name),
				hooks:  d.newHooks(background, commands(wanted.Hooks)),
				since:  time.Now(),
			}
		}
		g.hooks.reconfigure(commands(wanted.Hooks))
		d.mu.Lock()
		g.config = wanted
		d.mu.Unlock()
		next[wanted.Name] = g
	}
	for name, g := range d.groups {
		if next[name] == nil {
			gone = append(gone, g)
		}
	}
	d.mu.Lock()
	d.groups = next
	d.mu.Unlock()
	return gone
}

// meetingOf is where the instance's router meets those of its group; nil if it
// has none.
func (d *Director) meetingOf(c *config.Config, instance string) *vrrp.SyncGroup {
	if g, ok := groupOf(c, instance); ok {
		return d.groups[g.Name].router
	}
	return nil
}

// notifyGroups tells the hooks of each group whose members have agreed on
// another role. The transitions are those that the members' hooks were just
// told.
func (d *Director) notifyGroups(transitions []vrrp.Transition) {
	for _, e := range d.agreements(transitions) {
		d.happened(slog.LevelInfo, "sync group is "+strings.ToUpper(e.To), e, "group", e.Group, "from", e.From)
	}
}

// agreements hands what groups have agreed on to their hooks, and returns it.
func (d *Director) agreements(transitions []vrrp.Transition) []Event {
	d.mu.Lock()
	defer d.mu.Unlock()
	var events []Event
	for _, name := range slices.Sorted(maps.Keys(d.groups)) {
		g := d.groups[name]
		role, agreed := d.agreed(g)
		g.mixed = !agreed
		if !agreed || role == g.role {
			continue
		}
		previous := g.role
		g.role, g.since = role, time.Now()
		why := whyOf(g, transitions)
		g.hooks.runner.Notify(d.groupEvent(g, previous, why))
		events = append(events, agreementEvent(name, previous, role, why))
	}
	return events
}

// agreed returns the role that all members are known to have. It needs d.mu.
func (d *Director) agreed(g *group) (vrrp.Role, bool) {
	var role vrrp.Role
	for n, name := range g.config.Instances {
		i, ok := d.instances[name]
		if !ok || n > 0 && i.told != role {
			return role, false
		}
		role = i.told
	}
	return role, true
}

// groupEvent needs d.mu.
func (d *Director) groupEvent(g *group, previous vrrp.Role, why string) hook.Event {
	return hook.Event{
		Group: g.config.Name, RouterID: d.config.Global.RouterID,
		State: hookState(g.role), Previous: hookState(previous), Reason: why,
	}
}

// whyOf is the reason of the last transition of a member.
func whyOf(g *group, transitions []vrrp.Transition) string {
	for _, t := range slices.Backward(transitions) {
		if slices.Contains(g.config.Instances, t.Name) {
			return t.Name + ": " + t.Why()
		}
	}
	return "the configuration changed"
}
