package vrrp

import (
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the transcripts in testdata/scenario")

// A scenario file is a story in blocks: commands, "----", and what came of them.
// Lines with # are comments. The LAN has no delay unless told, so all times are the
// timers' own. The commands:
//
//	router NAME key=value...  version, priority, addr, interval, preempt, delay,
//	                          settle, linkdelay, vrid (of one LAN each)
//	start|resume|stop|crash|freeze|thaw|fault|recover NAME...
//	give-up|hold|release|pause|unplug|plug NAME...
//	group NAME...             makes a sync group of routers
//	priority NAME P           SetPriority
//	change NAME key=value...  Reconfigured
//	cut|join A B              what A sends does (not) reach B
//	forge key=value...        an advert from nowhere: addr, priority, interval
//	latency D                 of the LAN
//	adverts on|off            whether regular adverts are written down
//	advance D | advance to D
//
// In the transcript a router's change of role is followed by the reason; adverts
// with priority 0 and answers to losers are always written down.
//
// go test ./vrrp -run TestScenario -update writes the transcripts anew: read the
// difference before believing it.
func TestScenario(t *testing.T) {
	files, err := filepath.Glob("testdata/scenario/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := newStory(t).tell(string(text))
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(string(text), got); diff != "" && !*update {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

type story struct {
	t       *testing.T
	sim     *sim
	byName  map[string]*host
	cut     map[[2]*host]bool
	adverts bool
	out     strings.Builder
}

func newStory(t *testing.T) *story {
	s := &story{t: t, sim: newSim(), byName: make(map[string]*host), cut: make(map[[2]*host]bool)}
	s.sim.lost = func(from, to *host) bool { return s.cut[[2]*host{from, to}] }
	s.sim.trace = s.trace
	return s
}

// tell runs the commands of a file and returns the file with their transcript.
func (s *story) tell(text string) string {
	var result strings.Builder
	inTranscript := false
	for line := range strings.Lines(text) {
		switch command, _, _ := strings.Cut(strings.TrimSpace(line), "#"); {
		case strings.TrimSpace(line) == "----":
			inTranscript = true
			result.WriteString(line + s.out.String())
			s.out.Reset()
			continue
		case inTranscript && strings.TrimSpace(line) != "":
			continue
		case strings.TrimSpace(command) != "":
			s.do(strings.Fields(command))
		default:
			inTranscript = false
		}
		result.WriteString(line)
	}
	return result.String()
}

func (s *story) trace(h *host, a Action, was Role) {
	switch a := a.(type) {
	case Become:
		s.note("%s %v -> %v: %v", h.name, was, a.Role, a.Reason)
	case Send:
		if a.Priority == 0 || s.adverts || h.state.Asserted {
			s.note("%s sends priority %d", h.name, a.Priority)
		}
	}
}

func (s *story) note(format string, args ...any) {
	fmt.Fprintf(&s.out, "%-14v%s\n", s.sim.now.Sub(time.Unix(0, 0)), fmt.Sprintf(format, args...))
}

func (s *story) do(f []string) {
	each := map[string]func(h *host){
		"start":   func(h *host) { s.sim.start(h, false) },
		"resume":  func(h *host) { s.sim.start(h, true) },
		"stop":    s.sim.stop,
		"crash":   s.sim.crash,
		"freeze":  s.sim.freeze,
		"thaw":    s.sim.thaw,
		"fault":   s.sim.trouble,
		"recover": s.sim.mended,
		"give-up": func(h *host) { s.sim.step(h, GiveUp{}) },
		"hold":    func(h *host) { s.sim.step(h, Hold{}) },
		"release": func(h *host) { s.sim.step(h, Release{}) },
		"pause":   func(h *host) { h.frozen, h.deafened = true, true },
		"unplug":  func(h *host) { h.down = true },
		"plug":    func(h *host) { h.down = false },
	}
	switch f[0] {
	case "router":
		c := testConfig(V3)
		s.set(&c, f[2:])
		c.Name = f[1]
		s.byName[f[1]] = s.sim.add(f[1], c)
	case "group":
		g := &group{}
		for _, name := range f[1:] {
			g.members = append(g.members, s.host(name))
			s.host(name).node = g
		}
	case "priority":
		p, err := strconv.ParseUint(f[2], 10, 8)
		s.check(err)
		s.sim.step(s.host(f[1]), SetPriority{uint8(p)})
	case "change":
		h := s.host(f[1])
		old := h.config
		s.set(&h.config, f[2:])
		s.sim.step(h, Reconfigured{Old: old})
	case "cut", "join":
		s.cut[[2]*host{s.host(f[1]), s.host(f[2])}] = f[0] == "cut"
	case "forge":
		c := testConfig(V3)
		s.set(&c, f[1:])
		s.sim.send(nil, AdvertReceived{From: c.Source, Priority: c.Priority, Interval: c.Interval})
	case "latency":
		var err error
		s.sim.latency, err = time.ParseDuration(f[1])
		s.check(err)
	case "adverts":
		s.adverts = f[1] == "on"
	case "advance":
		d, err := time.ParseDuration(f[len(f)-1])
		s.check(err)
		if len(f) == 3 {
			d -= s.sim.now.Sub(time.Unix(0, 0))
		}
		s.sim.run(d)
	default:
		do := each[f[0]]
		if do == nil {
			s.t.Fatalf("%s: no such command", f[0])
		}
		for _, name := range f[1:] {
			do(s.host(name))
		}
	}
}

func (s *story) host(name string) *host {
	h := s.byName[name]
	if h == nil {
		s.t.Fatalf("%s: no such router", name)
	}
	return h
}

func (s *story) check(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *story) set(c *Config, pairs []string) {
	s.t.Helper()
	for _, pair := range pairs {
		key, value, _ := strings.Cut(pair, "=")
		var err error
		var n uint64
		switch key {
		case "version":
			n, err = strconv.ParseUint(value, 10, 8)
			c.Version = Version(n)
		case "priority":
			n, err = strconv.ParseUint(value, 10, 8)
			c.Priority = uint8(n)
		case "addr":
			c.Source, err = netip.ParseAddr(value)
		case "interval":
			c.Interval, err = time.ParseDuration(value)
		case "preempt":
			c.Preempt, err = strconv.ParseBool(value)
		case "delay":
			c.PreemptDelay, err = time.ParseDuration(value)
		case "settle":
			c.Settle, err = time.ParseDuration(value)
		case "linkdelay":
			c.LinkDownDelay, err = time.ParseDuration(value)
		case "vrid":
			n, err = strconv.ParseUint(value, 10, 8)
			c.VRID = uint8(n)
		default:
			err = fmt.Errorf("%s: no such key", key)
		}
		s.check(err)
	}
}
