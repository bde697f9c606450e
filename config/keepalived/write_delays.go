package keepalived

import (
	"maps"
	"slices"
	"time"
)

// linkDelays writes how long the instance's own interface may be down.
func (w *writing) linkDelays(t *table, i *Instance) {
	d, ok := w.c.Delays[i.Interface]
	if !ok {
		return
	}
	if down := w.bounded(d.at, d.Down, 0, time.Minute); down > 0 {
		t.set("link_down_delay", down, d.at)
	}
	if d.Up > 0 {
		w.lost(d.at, "%s %s up: the interface of an instance counts as up at once; a [[tracker]] of type \"interface\" with up_delay = %q in track of %s waits",
			d.at.Word(), spell(d.Up), spell(d.Up), i.Name)
	}
}

// unusedDelays reports the delays of interfaces that nothing here watches.
func (w *writing) unusedDelays() {
	used := map[string]bool{}
	tracked := func(all []Tracked) {
		for _, t := range all {
			used[t.Name] = used[t.Name] || t.Kind == "interface"
		}
	}
	for _, i := range w.c.Instances {
		used[i.Interface] = used[i.Interface] || w.instances[i.Name] != nil
		tracked(i.Track)
	}
	for _, g := range w.c.Groups {
		tracked(g.Track)
	}
	for _, name := range slices.Sorted(maps.Keys(w.c.Delays)) {
		if d := w.c.Delays[name]; !used[name] {
			w.lost(d.at, "%s: no instance is on the interface and nothing tracks it, so its delays %s down and %s up count nowhere", name, spell(d.Down), spell(d.Up))
		}
	}
}
