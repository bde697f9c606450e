package config

// group is a sync group and where its keys are.
type group struct {
	SyncGroup
	*table
	members []located[string]
	track   []located[Tracked]
}

// readGroups reads each [[sync_group]] for the node.
func readGroups(tables []*table, node string, instances []instance, trackers []tracker) []group {
	var all []group
	names := make(seen[string])
	for _, t := range tables {
		g := readGroup(t.as(node), instances, trackers)
		names.again(g.table, g.Name, g.at("name"), "%q is already the name of a sync group", g.Name)
		all = append(all, g)
	}
	checkMembers(all)
	return all
}

func readGroup(main *table, instances []instance, trackers []tracker) group {
	name := read(main, "name", label()).required()
	t := main.forNode()
	defer t.close()
	g := group{SyncGroup: SyncGroup{Name: name}, table: t}
	var whole bool
	g.members, whole = readList(t, "instances", label(), "required")
	g.Instances = plain(g.members)
	g.track = readTrack(t, trackers)
	g.Track = plain(g.track)
	g.Hooks = readHooks(t.subOrEmpty("notify"))
	if len(g.members) == 1 && whole {
		t.fail(t.at("instances"), "has one instance, expected at least 2: it moves with no other")
	}
	g.checkInstances(instances)
	return g
}

// checkInstances reports members that are not there, and what they do not
// stand.
func (g group) checkInstances(instances []instance) {
	var names []string
	byName := make(map[string]instance)
	for _, i := range instances {
		names = append(names, i.Router.Name)
		byName[i.Router.Name] = i
	}
	for _, m := range g.members {
		i, ok := byName[m.value]
		if !ok {
			g.fail(m.at, "no [[vrrp]] is called %q%s", m.value, nearestName(m.value, names))
			continue
		}
		checkWeights(g.table, g.track, i)
		for _, l := range g.track {
			if i.tracks(l.value.Tracker) {
				g.fail(l.at, "%q is tracked by instance %q too (line %d), expected it in one of the two places: it would count twice",
					l.value.Tracker, i.Router.Name, i.line(i.at("track")))
			}
		}
	}
}

// checkMembers reports instances that are in two groups, or twice in one.
func checkMembers(all []group) {
	members := make(seen[string])
	for _, g := range all {
		for _, m := range g.members {
			members.again(g.table, m.value, m.at, "%q is already in a sync group", m.value)
		}
	}
}
