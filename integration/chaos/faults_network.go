package main

import (
	"time"
)

// networkFaults are those of the segment: what is sent does not arrive, or not as it
// was sent. The MASTER is a.
func networkFaults() []Fault {
	return append(cableFaults(), advertLossFaults()...)
}

// cableFaults take a node, or the path between two, off the segment.
func cableFaults() []Fault {
	return []Fault{
		{
			Name: "link-down", What: "the MASTER's interface set down by an administrator", Number: "F11", Quick: true, Random: true,
			Inject: func(s *Site) (func() error, error) {
				s.Nodes[0].SetLink(false)
				return func() error { s.Nodes[0].SetLink(true); return nil }, nil
			},
			Hold: pastElection, Want: Promise{KeepsHeld: true},
		},
		{
			Name: "cable-pulled", What: "the MASTER's cable pulled: it loses its carrier", Number: "F11", Random: true,
			Inject: func(s *Site) (func() error, error) {
				s.Nodes[0].SetCable(false)
				return func() error { s.Nodes[0].SetCable(true); return nil }, nil
			},
			Hold: pastElection, Want: Promise{KeepsHeld: true},
		},
		{
			Name: "switch-dead", What: "the switch drops everything from and to the MASTER, which keeps its carrier", Number: "F12",
			Inject: func(s *Site) (func() error, error) {
				return drop(110, at(s.Nodes[0], in, everything), at(s.Nodes[0], out, everything))
			},
			Hold: pastElection, Want: Promise{KeepsHeld: true, Two: true},
		},
		{
			Name: "link-flaps", What: "the MASTER's interface down and up ten times, four times in an interval", Number: "F11",
			Inject: flap, Want: Promise{Two: true},
		},
		{
			Name: "partition", What: "the nodes do not hear each other, past an election, and then do", Number: "F15", Random: true,
			Inject: func(s *Site) (func() error, error) {
				a, b := s.Nodes[0], s.Nodes[1]
				return drop(120, at(a, in, from(b.Address)), at(b, in, from(a.Address)))
			},
			Hold: pastElection, Want: Promise{Two: true},
		},
		{
			Name: "master-deaf", What: "the MASTER is heard and hears nobody, not even its real servers", Number: "F13",
			Inject: func(s *Site) (func() error, error) { return drop(130, at(s.Nodes[0], in, everything)) },
			Hold:   pastElection, Want: Promise{KeepsMaster: true},
		},
		{
			Name: "master-mute", What: "the MASTER hears everybody and is heard by nobody", Number: "F13",
			Inject: func(s *Site) (func() error, error) { return drop(140, at(s.Nodes[0], out, everything)) },
			Hold:   pastElection, Want: Promise{Two: true},
		},
	}
}

// advertLossFaults are those of adverts alone: all else arrives.
func advertLossFaults() []Fault {
	return []Fault{
		{
			Name: "backup-firewall", What: "a firewall drops adverts that come in at the BACKUP", Number: "F13", Random: true,
			Inject: func(s *Site) (func() error, error) { return drop(150, at(s.Nodes[1], in, adverts)) },
			Hold:   pastElection, Want: Promise{Two: true},
		},
		{
			Name: "master-firewall", What: "a firewall drops adverts that go out of the MASTER", Number: "F13",
			Inject: func(s *Site) (func() error, error) { return drop(160, at(s.Nodes[0], out, adverts)) },
			Hold:   pastElection, Want: Promise{Two: true},
		},
		{
			Name: "advert-loss", What: "30 % of the MASTER's adverts lost, for 15 intervals", Number: "F14", Random: true,
			Inject: func(s *Site) (func() error, error) { return disturbAdverts(s.Nodes[0], "loss", "30%") },
			Hold:   intervals(15), Want: Promise{Two: true},
		},
		{
			Name: "advert-duplicates", What: "each of the MASTER's adverts arrives twice, for ten intervals", Number: "F14",
			Inject: func(s *Site) (func() error, error) { return disturbAdverts(s.Nodes[0], "duplicate", "100%") },
			Hold:   intervals(10), Want: Promise{Lossless: true, KeepsMaster: true},
		},
		{
			Name: "advert-reordering", What: "half of the MASTER's adverts come 1.5 intervals late, after later ones, for 15 intervals", Number: "F14",
			Inject: func(s *Site) (func() error, error) {
				return disturbAdverts(s.Nodes[0], "delay", milliseconds(s.Config.Interval*3/2), "reorder", "50%")
			},
			Hold: intervals(15), Want: Promise{Lossless: true, KeepsMaster: true},
		},
		{
			Name: "advert-delay", What: "the MASTER's adverts come 200 ms late, for ten intervals", Number: "F14",
			Inject: func(s *Site) (func() error, error) { return disturbAdverts(s.Nodes[0], "delay", "200ms") },
			Hold:   intervals(10), Want: Promise{Lossless: true, KeepsMaster: true},
		},
	}
}

// intervals is a time to hold, in intervals of adverts.
func intervals(n int) func(*Site) time.Duration {
	return func(s *Site) time.Duration { return time.Duration(n) * s.Config.Interval }
}

func flap(s *Site) (func() error, error) {
	for range 10 {
		s.Nodes[0].SetLink(false)
		s.Pause(s.Config.Interval / 8)
		s.Nodes[0].SetLink(true)
		s.Pause(s.Config.Interval / 8)
	}
	return nil, nil
}
