package director

import (
	"slices"
	"strings"

	"github.com/lvsd/lvsd/config"
)

// describeGroups needs d.mu.
func (d *Director) describeGroups() []GroupStatus {
	all := []GroupStatus{}
	for _, c := range d.config.Groups {
		g := d.groups[c.Name]
		if g == nil {
			continue // the loop is just about to make it
		}
		status := GroupStatus{
			Name: c.Name, State: strings.ToLower(g.role.String()), Since: g.since, Instances: c.Instances,
		}
		if g.mixed {
			status.State = stateMixed
		}
		all = append(all, status)
	}
	return all
}

// stateMixed is the state of a group whose members do not agree.
const stateMixed = "mixed"

// describeTrackers needs d.mu.
func (d *Director) describeTrackers() []TrackerStatus {
	all := []TrackerStatus{}
	for _, c := range d.config.Trackers {
		t := d.trackers[c.Name]
		if t == nil {
			continue // as above
		}
		all = append(all, TrackerStatus{
			Name:      c.Name,
			Kind:      string(c.Kind),
			State:     t.State.String(),
			Since:     t.since,
			Reason:    t.Reason,
			Value:     t.Value,
			Instances: dependents(d.config, c.Name),
		})
	}
	return all
}

// dependents are the instances that the tracker matters to, by themselves or by
// their sync group.
func dependents(c *config.Config, name string) []string {
	tracks := func(list []config.Tracked) bool {
		return slices.ContainsFunc(list, func(t config.Tracked) bool { return t.Tracker == name })
	}
	all := []string{}
	for _, v := range c.VRRP {
		g, grouped := groupOf(c, v.Router.Name)
		if tracks(v.Track) || grouped && tracks(g.Track) {
			all = append(all, v.Router.Name)
		}
	}
	return all
}
