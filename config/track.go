package config

import (
	"slices"

	"github.com/lvsd/lvsd/vrrp"
)

// readTrack reads what an instance or a group depends on.
func readTrack(t *table, trackers []tracker) []located[Tracked] {
	list, _ := readElements(t, "track", listOf[Tracked]{
		plural: "names", allowed: "NAME or table", fallback: "[]",
		read: func(at path, raw any) (Tracked, bool) {
			if values, ok := raw.(map[string]any); ok {
				return readTracked(t.element(at, values), trackers)
			}
			name, err := label().parse(raw)
			if err != nil {
				t.fail(at, "%s", err)
				return Tracked{}, false
			}
			tr, ok := findTracker(t, at, name, trackers)
			return tr.defaults, ok
		},
	})
	first := make(seen[string])
	for _, l := range list {
		first.again(t, l.value.Tracker, l.at, "%q is already in the list", l.value.Tracker)
	}
	return list
}

// readTracked reads a tracker that stands with options of its own.
func readTracked(t *table, trackers []tracker) (Tracked, bool) {
	defer t.close()
	name := read(t, "tracker", label()).required()
	tr, ok := findTracker(t, t.at("tracker"), name, trackers)
	return Tracked{
		Tracker: name,
		Weight:  readWeight(t, tr.defaults.Weight, "the tracker's"),
		Reverse: read(t, "reverse", boolean()).orElse(tr.defaults.Reverse, "the tracker's"),
	}, ok
}

// findTracker is the tracker of the name; its absence is reported.
func findTracker(t *table, at path, name string, trackers []tracker) (tracker, bool) {
	var names []string
	for _, tr := range trackers {
		if tr.Name == name {
			return tr, name != ""
		}
		names = append(names, tr.Name)
	}
	if name != "" {
		t.fail(at, "no [[tracker]] is called %q%s", name, nearestName(name, names))
	}
	return tracker{}, false
}

// checkWeights reports weights for an instance whose priority never changes.
func checkWeights(t *table, track []located[Tracked], i instance) {
	for _, l := range track {
		if i.Router.Priority == vrrp.Owner && l.value.Weight != 0 {
			t.fail(l.at, "%q has weight %d, but the priority of instance %q is %d, which never changes, expected weight 0 or another priority",
				l.value.Tracker, l.value.Weight, i.Router.Name, vrrp.Owner)
		}
	}
}

// tracks reports whether the instance depends on the tracker.
func (v VRRP) tracks(name string) bool {
	return slices.ContainsFunc(v.Track, func(t Tracked) bool { return t.Tracker == name })
}
