package keepalived

import "slices"

// prepareGroups finds out what groups say of their instances, before these are
// written: a group of one is that instance, and a group whose scripts install the
// REDIRECT rule makes every instance of it serve as BACKUP.
func (w *writing) prepareGroups() {
	for _, original := range w.c.Groups {
		g := *original // what is read stays as it is
		var members []*Instance
		for _, i := range w.c.Instances {
			if slices.Contains(g.Members, i.Name) {
				members = append(members, i)
			}
		}
		w.groupRedirect(&g, members)
		if len(members) == 1 && w.alone[members[0].Name] == nil {
			w.alone[members[0].Name] = &g
		}
		w.groups = append(w.groups, &g)
	}
}

// groupRedirect takes the scripts that install the rule from the group.
func (w *writing) groupRedirect(g *SyncGroup, members []*Instance) {
	n := &g.Notify
	if len(members) == 0 || !w.redirects(n.Backup) && !w.redirects(n.Any) {
		return
	}
	at := n.Backup.statement(n.Any.statement(g.head))
	if problem := w.noRedirect(); problem != "" {
		w.lost(at, "the script installs the REDIRECT rule by which a BACKUP accepts its share; lvsd cannot do that here, since %s", problem)
		return
	}
	for _, i := range members {
		w.relays[i.Name] = at
	}
	w.withoutRedirects(n)
}

// withoutRedirects leaves out the scripts that lvsd's own rule stands for.
func (w *writing) withoutRedirects(n *Notify) {
	for _, script := range []**Script{&n.Master, &n.Backup, &n.Fault, &n.Stop, &n.Any} {
		if w.redirects(*script) {
			*script = nil
		}
	}
}

// join gives an instance that is a group by itself what the group has.
func (w *writing) join(i *Instance, g *SyncGroup) {
	if g == nil {
		return
	}
	i.Track = append(slices.Clone(i.Track), g.Track...)
	for _, hook := range []struct{ own, group **Script }{
		{&i.Notify.Master, &g.Notify.Master},
		{&i.Notify.Backup, &g.Notify.Backup},
		{&i.Notify.Fault, &g.Notify.Fault},
		{&i.Notify.Stop, &g.Notify.Stop},
		{&i.Notify.Any, &g.Notify.Any},
	} {
		switch {
		case *hook.group == nil:
		case *hook.own == nil:
			*hook.own = *hook.group
		default:
			w.lost((*hook.group).at, "%s of the group: %s has one too, and lvsd runs one command; write one that runs both", (*hook.group).at.Word(), i.Name)
		}
	}
}

// group writes a sync group; one of a single instance is none.
func (w *writing) group(g *SyncGroup) {
	var members []string
	for _, m := range g.Members {
		switch {
		case w.instances[m] == nil:
			w.broken(g.from("group"), "vrrp_sync_group %s: there is no instance %q", g.Name, m)
		case slices.Contains(members, m):
		default:
			members = append(members, m)
		}
	}
	if len(members) < 2 {
		if len(members) == 1 && w.alone[members[0]] != nil {
			w.differs(g.head, "vrrp_sync_group %s: a group has two instances or more, so track and notify of it are those of %s; the commands get INSTANCE and its name", g.Name, members[0])
			return
		}
		w.lost(g.head, "vrrp_sync_group %s: a group has two instances or more", g.Name)
		return
	}
	t := w.doc.add("[[sync_group]]", g.head)
	t.set("name", g.Name, nil)
	t.set("instances", members, g.at["group"])
	w.groupTrack(t, g)
	w.notify(t, g.Notify)
}

// groupTrack is track of a group, whose trackers lose their weights in keepalived.
func (w *writing) groupTrack(t *table, g *SyncGroup) {
	all := slices.Clone(g.Track)
	for n := range all {
		weight, _, known := w.defaultWeight(all[n])
		if all[n].Weight != nil {
			weight = *all[n].Weight
		}
		if zero := 0; known && weight != 0 && !g.TrackingWeight {
			w.differs(all[n].at, "%s: in a sync group keepalived sets the weight to zero, so the group is in FAULT while it is down", all[n].Name)
			all[n].Weight = &zero
		}
	}
	w.track(t, all, false, false)
}
