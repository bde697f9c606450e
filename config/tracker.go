package config

import (
	"fmt"
	"math"
	"net/netip"
	"strings"
	"time"

	"github.com/lvsd/lvsd/healthcheck"
	"github.com/lvsd/lvsd/track"
)

// maxWeight is the most that a tracker adds to a priority or takes from it: from
// 1 to 254.
const maxWeight = 253

// trackerOptions are the keys that only some types of tracker have.
var trackerOptions = options[TrackerKind]{
	"interface":  {TrackInterface},
	"command":    {TrackScript},
	"interval":   {TrackScript},
	"timeout":    {TrackScript},
	"rise":       {TrackScript},
	"fall":       {TrackScript},
	"user":       {TrackScript},
	"process":    {TrackProcess},
	"file":       {TrackFile},
	"service":    {TrackService},
	"quorum":     {TrackProcess, TrackService},
	"down_delay": {TrackInterface, TrackProcess, TrackService},
	"up_delay":   {TrackInterface, TrackProcess, TrackService},
	"check":      {TrackCheck},
}

// tracker is a tracker and where its keys are.
type tracker struct {
	Tracker
	*table
	// defaults are for instances that track it without saying more.
	defaults Tracked
}

// readTrackers reads each [[tracker]] for the node.
func readTrackers(tables []*table, node string, services []*service) []tracker {
	var all []tracker
	names := make(seen[string])
	for _, t := range tables {
		tr := readTracker(t.as(node), services)
		names.again(tr.table, tr.Name, tr.at("name"), "%q is already the name of a tracker", tr.Name)
		all = append(all, tr)
	}
	return all
}

func readTracker(main *table, services []*service) tracker {
	name := read(main, "name", label()).required()
	t := main.forNode()
	defer t.close()
	tr := tracker{Tracker: Tracker{Name: name}, table: t}
	tr.Kind = TrackerKind(read(t, "type", choice(
		string(TrackInterface), string(TrackScript), string(TrackProcess),
		string(TrackFile), string(TrackService), string(TrackCheck))).required())
	tr.defaults = Tracked{
		Tracker: name,
		Weight:  readWeight(t, tr.defaultWeight(), "0, of a file 1"),
		Reverse: read(t, "reverse", boolean()).or(false),
	}
	tr.readOptions(services)
	trackerOptions.check(t, "a tracker", tr.Kind)
	return tr
}

func (tr *tracker) readOptions(services []*service) {
	switch tr.Kind {
	case TrackInterface:
		tr.Interface = read(tr.table, "interface", interfaceName()).required()
		tr.DownDelay, tr.UpDelay = readDelays(tr.table)
	case TrackScript:
		tr.Spec = track.Spec{Name: tr.Name, Script: readScript(tr.table)}
	case TrackProcess:
		tr.Spec = track.Spec{Name: tr.Name, Process: readProcess(tr.table)}
	case TrackFile:
		tr.Spec = track.Spec{Name: tr.Name, File: &track.File{Path: read(tr.table, "file", filePath()).required()}}
	case TrackService:
		tr.readService(services)
	case TrackCheck:
		tr.readCheck()
	}
}

// defaultWeight is for instances that set none: a file's number counts as it is.
func (tr tracker) defaultWeight() int {
	if tr.Kind == TrackFile {
		return 1
	}
	return 0
}

func readWeight(t *table, fallback int, words string) int {
	return read(t, "weight", integer(-maxWeight, maxWeight)).orElse(fallback, words)
}

func readDelays(t *table) (down, up time.Duration) {
	delay := duration(0, time.Hour, 1)
	return read(t, "down_delay", delay).or(0), read(t, "up_delay", delay).or(0)
}

func readScript(t *table) *track.Script {
	s := &track.Script{Command: readCommand(t, "command", "required")}
	s.Interval = read(t, "interval", duration(100*time.Millisecond, time.Hour, 1)).or(time.Second)
	s.Timeout = read(t, "timeout", duration(10*time.Millisecond, time.Hour, 1)).orElse(s.Interval, "the interval")
	s.Rise = read(t, "rise", integer(1, 100)).or(1)
	s.Fall = read(t, "fall", integer(1, 100)).or(1)
	s.User = read(t, "user", kinds.user).orElse("", "global.script_user")
	return s
}

func readProcess(t *table) *track.Process {
	p := &track.Process{Name: read(t, "process", processName()).required()}
	p.Quorum = read(t, "quorum", quorum()).or(1)
	p.DownDelay, p.UpDelay = readDelays(t)
	return p
}

func quorum() kind[int] { return integer(1, math.MaxInt32) }

// processName is a name without a directory.
func processName() kind[string] {
	return text("", "the name of a process", func(s string) error {
		if s == "" || strings.ContainsAny(s, "/\x00") {
			return fmt.Errorf("%q is not the name of a process, expected it without a directory", s)
		}
		return nil
	})
}

// readService reads a tracker of a virtual service, which must be able to reach
// the quorum.
func (tr *tracker) readService(services []*service) {
	name := read(tr.table, "service", label())
	tr.Service = name.required()
	tr.Quorum = read(tr.table, "quorum", quorum()).or(1)
	tr.DownDelay, tr.UpDelay = readDelays(tr.table)
	var names []string
	for _, s := range services {
		names = append(names, s.Name)
		if s.Name != tr.Service {
			continue
		}
		if sum, known := weightOf(s.RealServers); known && tr.Quorum > sum {
			tr.fail(tr.at("quorum"), "%d is more than the real servers of %q weigh together, %d, expected at most that", tr.Quorum, s.Name, sum)
		}
		return
	}
	if tr.Service != "" {
		tr.fail(tr.at("service"), "no [[virtual_service]] is called %q%s", tr.Service, nearestName(tr.Service, names))
	}
}

// readCheck reads [tracker.check].
func (tr *tracker) readCheck() {
	t := tr.sub("check")
	tr.describe("check", "table", "", "required")
	if t == nil {
		if !tr.has("check") {
			tr.missing("check", "the table [tracker.check]")
		}
		return
	}
	defer t.close()
	c := readProbe(t)
	tr.Check = c.Of(readTrackedAddress(t, c))
	t.refuse("port", "the address has the port, expected address = \"ADDRESS:PORT\" alone")
	t.refuse("connect_to", "the address says whom to ask, expected address alone")
	t.refuse("via", "a tracker's check belongs to no virtual service, expected none")
}

// readTrackedAddress reads whom a tracker's check asks. There is no server that
// a port could be taken from.
func readTrackedAddress(t *table, c healthcheck.Check) netip.AddrPort {
	address := read(t, "address", kinds.endpoint).required()
	asked := askedBy(c)
	if address.addr.IsValid() && c.Kind != nil && !asked.portless && address.with(0).Port() == 0 {
		t.fail(t.at("address"), "%q has no valid port, expected ADDRESS:PORT with a port 1..65535", t.raw("address"))
	}
	asked.checkTarget(t, address.addr)
	return address.with(0)
}

// refuse reports a key that others of such tables have.
func (t *table) refuse(key, why string) {
	if t.has(key) {
		t.ask(key)
		t.failKey(t.at(key), "%s", why)
	}
}

// nearestName ends a message about a name that nothing has.
func nearestName(name string, names []string) string {
	switch near := nearest(name, names); {
	case near != "":
		return fmt.Sprintf("; nearest is %q", near)
	case len(names) > 0:
		return ", expected one of " + quotedList(names)
	default:
		return ""
	}
}
