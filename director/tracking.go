package director

import (
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/healthcheck"
	"github.com/lvsd/lvsd/healthcheck/probe"
	"github.com/lvsd/lvsd/track"
)

// answerTime is how long a tracker may take to answer for the first time. After
// that, to an instance that needs it, it is as good as down.
const answerTime = maxGrace

// tracker is one tracker of the configuration, whatever feeds it.
type tracker struct {
	config config.Tracker
	debounced
	// added is when it was first there.
	added time.Time
}

// sources are what trackers get their findings from.
type sources struct {
	// runners are those that package track runs.
	runners map[string]track.Status
	check   func(healthcheck.Spec) healthcheck.Status
	service func(name string) (config.VirtualService, bool)
	links   *links
}

// find asks what the tracker is now.
func (s sources) find(t config.Tracker) finding {
	switch t.Kind {
	case config.TrackInterface:
		return s.links.find(t.Interface)
	case config.TrackService:
		if service, ok := s.service(t.Service); ok {
			return findService(service, t.Quorum, s.check)
		}
	case config.TrackCheck:
		return findCheck(s.check(t.Check))
	case config.TrackScript, config.TrackProcess, config.TrackFile:
		status := s.runners[t.Name]
		return finding{State: status.State, Value: status.Value, Reason: status.Reason}
	}
	return finding{}
}

// findService weighs the real servers that are up against the quorum: by the
// weight that each tells, or the configured one. Those without an answer leave it
// open, if they could decide.
func findService(service config.VirtualService, quorum int, check func(healthcheck.Spec) healthcheck.Status) finding {
	up, open, total := 0, 0, 0
	f := Facts{
		Up:   func(spec healthcheck.Spec) bool { return check(spec).Up },
		Told: func(spec healthcheck.Spec) probe.Weight { return check(spec).Weight },
	}
	for i := range service.RealServers {
		server := &service.RealServers[i]
		weight := server.Weight
		switch verdictOf(server, inherited(check)).State {
		case healthcheck.Up:
			weight = f.baseWeight(server)
			up += weight
		case healthcheck.Unknown:
			open += weight
		case healthcheck.Down:
		}
		total += weight
	}
	found := finding{Reason: fmt.Sprintf("weight %d of %d is up, quorum %d", up, total, quorum)}
	switch {
	case up >= quorum:
		found.State = track.Up
	case up+open < quorum:
		found.State = track.Down
	}
	return found
}

func findCheck(check healthcheck.Status) finding {
	f := finding{Reason: string(check.Last.Code)}
	if check.Last.Reason != "" {
		f.Reason += " " + check.Last.Reason
	}
	switch check.State {
	case healthcheck.Up:
		f.State = track.Up
	case healthcheck.Down:
		f.State = track.Down
	case healthcheck.Unknown:
	}
	return f
}

// setTrackers makes the trackers of c the ones that are followed. One that keeps
// its name and kind keeps its state until it finds another.
func (d *Director) setTrackers(c *config.Config) error {
	var run []track.Spec
	next := make(map[string]*tracker, len(c.Trackers))
	now := time.Now()
	d.mu.Lock()
	for _, t := range c.Trackers {
		if t.Spec.Name != "" {
			run = append(run, t.Spec)
		}
		entry := &tracker{config: t, added: now}
		if old := d.trackers[t.Name]; old != nil && old.config.Kind == t.Kind {
			entry.debounced, entry.added = old.debounced, old.added
		}
		next[t.Name] = entry
	}
	d.trackers = next
	d.mu.Unlock()
	if err := d.runners.Update(run); err != nil {
		return fmt.Errorf("trackers: %w", err)
	}
	return nil
}

// track asks every tracker and logs what changed. It returns when the next
// change counts.
func (d *Director) track(s sources, now time.Time) (due time.Time) {
	d.mu.Lock()
	trackers := maps.Clone(d.trackers)
	d.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(trackers)) {
		t := trackers[name]
		found := s.find(t.config) // asks the kernel: not under the lock
		d.mu.Lock()
		from := t.finding
		due = sooner(due, t.take(found, delays{t.config.DownDelay, t.config.UpDelay}, now))
		to := t.finding
		d.mu.Unlock()
		if to.State != from.State || to.Value != from.Value {
			d.logTracker(t.config, from, to)
		}
	}
	return due
}

// overdue reports whether the tracker had the time for a first answer.
func (t *tracker) overdue(now time.Time) bool { return !now.Before(t.added.Add(answerTime)) }

func (d *Director) logTracker(t config.Tracker, from, to finding) {
	level := slog.LevelInfo
	if to.State == track.Down {
		level = slog.LevelWarn
	}
	arguments := []any{"tracker", t.Name, "type", string(t.Kind), "from", from.State}
	if t.Kind == config.TrackFile {
		arguments = append(arguments, "value", to.Value)
	}
	d.happened(level, "tracker "+to.State.String(), trackerEvent(t, from, to), arguments...)
}

// tracksOf returns what the instance and its sync group track, as it is now. It
// needs d.mu.
func (d *Director) tracksOf(c config.VRRP, now time.Time) []tracked {
	var all []tracked
	add := func(list []config.Tracked, group bool) {
		for _, t := range list {
			entry := d.trackers[t.Tracker]
			if entry == nil {
				continue // the configuration makes sure that there is one
			}
			all = append(all, tracked{
				Tracked: t, Kind: entry.config.Kind, Group: group, finding: entry.finding, Since: entry.since,
				Overdue: entry.overdue(now),
			})
		}
	}
	add(c.Track, false)
	if g, ok := groupOf(d.config, c.Router.Name); ok {
		add(g.Track, true)
	}
	return all
}
