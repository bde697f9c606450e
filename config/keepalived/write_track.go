package keepalived

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// nameTrackers gives each tracker a name of its own: keepalived's are one set for
// each kind, lvsd's are one.
func (w *writing) nameTrackers() {
	for _, t := range w.c.Scripts {
		w.nameTracker("script", t.Name)
	}
	for _, t := range w.c.Processes {
		w.nameTracker("process", t.Name)
	}
	for _, t := range w.c.Files {
		w.nameTracker("file", t.Name)
	}
	tracked := func(all []Tracked) {
		for _, t := range all {
			if t.Kind == "interface" {
				w.nameTracker("interface", t.Name)
			}
		}
	}
	for _, i := range w.c.Instances {
		tracked(i.Track)
	}
	for _, g := range w.c.Groups {
		tracked(g.Track)
	}
}

func (w *writing) nameTracker(kind, name string) {
	key := kind + " " + name
	if w.trackers[key] != "" || name == "" {
		return
	}
	unique := name
	if w.names[unique] {
		unique = name + " (" + kind + ")"
	}
	w.names[unique], w.trackers[key] = true, unique
}

// weightless reports whether keepalived sets the weights of the instance to zero.
func (w *writing) weightless(instance string) bool {
	return slices.ContainsFunc(w.c.Groups, func(g *SyncGroup) bool { return slices.Contains(g.Members, instance) && !g.TrackingWeight })
}

// track writes what an instance or group depends on.
func (w *writing) track(t *table, all []Tracked, owner, weightless bool) {
	s := &setting{key: "track", at: t.at}
	seen := map[string]bool{}
	for _, tracked := range all {
		name := w.trackers[tracked.Kind+" "+tracked.Name]
		weight, reverse, known := w.defaultWeight(tracked)
		switch {
		case tracked.Kind == "bfd":
			w.lost(tracked.at, "track_bfd %s: lvsd speaks no BFD", tracked.Name)
			continue
		case !known:
			w.broken(tracked.at, "%s %s: there is none, or none with a command; keepalived goes on without it", tracked.Kind, tracked.Name)
			continue
		case seen[name]:
			w.broken(tracked.at, "%s is tracked already", tracked.Name)
			continue
		}
		seen[name] = true
		value, ok := w.tracked(tracked, name, weight, reverse, owner, weightless)
		if ok {
			s.elements = append(s.elements, &element{value: value, at: tracked.at})
		}
	}
	if s.elements != nil {
		t.settings = append(t.settings, s)
	}
}

// tracked is the name, or a table where weight or direction are not the tracker's.
func (w *writing) tracked(t Tracked, name string, weight int, reverse, owner, weightless bool) (string, bool) {
	own, ownReverse := weight, reverse
	if t.Weight != nil {
		own = *t.Weight
	}
	if t.Reverse != nil {
		ownReverse = *t.Reverse
	}
	if own != 0 && owner {
		w.differs(t.at, "%s: with priority 255 no tracker changes the priority, as with keepalived; it is left out", t.Name)
		return "", false
	}
	if own != 0 && weightless && t.Kind != "process" {
		if t.Kind == "script" || t.Kind == "file" && t.Weight != nil {
			w.differs(t.at, "%s: in a sync group keepalived ignores a tracked %s with a weight, so it is left out; weight 0 puts the instance into FAULT", t.Name, t.Kind)
			return "", false
		}
		w.differs(t.at, "%s: in a sync group keepalived sets the weight to zero, so the instance is in FAULT while it is down", t.Name)
		own = 0
	}
	if limited := max(-253, min(253, own)); limited != own {
		w.differs(t.at, "%s: the weight %d is more than 253, which lvsd takes", t.Name, own)
		own = limited
	}
	if own == weight && ownReverse == reverse {
		return quote(name), true
	}
	parts := []string{"tracker = " + quote(name)}
	if own != weight {
		parts = append(parts, "weight = "+toml(own))
	}
	if ownReverse != reverse {
		parts = append(parts, "reverse = "+toml(ownReverse))
	}
	return "{ " + strings.Join(parts, ", ") + " }", true
}

// defaultWeight is the tracker's own, as it is written.
func (w *writing) defaultWeight(t Tracked) (weight int, reverse, known bool) {
	switch t.Kind {
	case "interface":
		return 0, false, t.Name != ""
	case "script":
		for _, s := range w.c.Scripts {
			if s.Name == t.Name && s.Script != nil {
				return within(s.Weight), s.Reverse, true
			}
		}
	case "process":
		for _, p := range w.c.Processes {
			if p.Name == t.Name && p.Process != "" {
				return within(p.Weight), p.Reverse, true
			}
		}
	case "file":
		for _, f := range w.c.Files {
			if f.Name == t.Name && f.File != "" {
				return within(f.Weight), f.Reverse, true
			}
		}
	}
	return 0, false, false
}

func within(weight int) int { return max(-253, min(253, weight)) }

func (w *writing) writeTrackers() {
	written := map[string]bool{}
	interfaces := func(all []Tracked) {
		for _, t := range all {
			if t.Kind == "interface" && t.Name != "" && !written[t.Name] {
				written[t.Name] = true
				w.interfaceTracker(t)
			}
		}
	}
	for _, i := range w.c.Instances {
		interfaces(i.Track)
	}
	for _, g := range w.c.Groups {
		interfaces(g.Track)
	}
	for _, s := range w.c.Scripts {
		w.scriptTracker(s)
	}
	for _, p := range w.c.Processes {
		w.processTracker(p)
	}
	for _, f := range w.c.Files {
		w.fileTracker(f)
	}
}

func (w *writing) tracker(kind, name string, at *Statement, weight int, reverse bool) *table {
	t := w.doc.add("[[tracker]]", at)
	t.set("name", w.trackers[kind+" "+name], nil)
	t.set("type", kind, nil)
	if usual := map[bool]int{true: 1}[kind == "file"]; within(weight) != usual {
		t.set("weight", within(weight), nil)
	}
	if weight != within(weight) {
		w.differs(at, "%s: the weight %d is out of lvsd's range, -253..253, and cut to it", name, weight)
	}
	if reverse {
		t.set("reverse", true, nil)
	}
	return t
}

func (w *writing) interfaceTracker(tracked Tracked) {
	t := w.tracker("interface", tracked.Name, tracked.at, 0, false)
	t.set("interface", tracked.Name, nil)
	if d, ok := w.c.Delays[tracked.Name]; ok {
		t.set("down_delay", d.Down, d.at)
		t.set("up_delay", d.Up, d.at)
	}
}

func (w *writing) scriptTracker(s *TrackScript) {
	if s.Script == nil {
		w.broken(s.head, "vrrp_script %s has no script; keepalived does without it", s.Name)
		return
	}
	if s.Script.User != "" {
		w.differs(s.Script.at, "script: what follows the command, %q, is left out; quotes hold a command and its arguments together", s.Script.User)
	}
	t := w.tracker("script", s.Name, s.head, s.Weight, s.Reverse)
	argv := s.Script.argv()
	if len(argv) == 3 && strings.HasSuffix(argv[0], "killall") && argv[1] == "-0" {
		t.explain("A tracker of type \"process\" finds out that %s ended, without a command.", argv[2])
	}
	t.set("command", w.command(s.Script), s.Script.at)
	if s.Interval != time.Second {
		t.set("interval", w.bounded(s.at["interval"], s.Interval, 100*time.Millisecond, time.Hour), s.at["interval"])
	}
	if s.Timeout > 0 {
		t.set("timeout", w.bounded(s.at["timeout"], s.Timeout, 10*time.Millisecond, time.Hour), s.at["timeout"])
	}
	w.counts(t, s.Rise, s.Fall, &s.origin)
	if user := w.user(s.User); user != "" {
		t.set("user", user, s.from("user"))
	}
}

// user is what the key of a script with the user has to say; empty if the script
// runs as script_user says without it.
func (w *writing) user(own string) string {
	if own == "" || own == cmp.Or(w.c.Global.ScriptUser, "root") {
		return ""
	}
	return own
}

func (w *writing) counts(t *table, rise, fall int, o *origin) {
	for key, n := range map[string]int{"rise": rise, "fall": fall} {
		if n > 100 {
			w.differs(o.from(key), "%s %d: lvsd counts to 100 at most", key, n)
		}
	}
	if rise != 1 {
		t.set("rise", min(rise, 100), o.at["rise"])
	}
	if fall != 1 {
		t.set("fall", min(fall, 100), o.at["fall"])
	}
}

// bounded keeps a time within what lvsd accepts.
func (w *writing) bounded(at *Statement, d, least, most time.Duration) time.Duration {
	kept := min(max(d, least), most)
	if kept != d && at != nil {
		w.differs(at, "%s: lvsd takes %s to %s, so it is %s", at.text, spell(least), spell(most), spell(kept))
	}
	return kept
}

func (w *writing) processTracker(p *TrackProcess) {
	if p.Process == "" {
		w.broken(p.head, "vrrp_track_process %s has no process; keepalived does without it", p.Name)
		return
	}
	t := w.tracker("process", p.Name, p.head, p.Weight, p.Reverse)
	t.set("process", p.Process[strings.LastIndexByte(p.Process, '/')+1:], p.at["process"])
	if p.Quorum != 1 {
		t.set("quorum", p.Quorum, p.at["quorum"])
	}
	if p.DownDelay > 0 {
		t.set("down_delay", p.DownDelay, p.from("terminate_delay", "delay"))
	}
	if p.UpDelay > 0 {
		t.set("up_delay", p.UpDelay, p.from("fork_delay", "delay"))
	}
}

func (w *writing) fileTracker(f *TrackFile) {
	if f.File == "" {
		w.broken(f.head, "track_file %s has no file; keepalived does without it", f.Name)
		return
	}
	w.tracker("file", f.Name, f.head, f.Weight, f.Reverse).set("file", f.File, f.at["file"])
}
