package main

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// serverFaults are those of one real server, the first.
func serverFaults() []Fault {
	return []Fault{
		serverFault(Fault{Name: "server-killed", What: "a real server is killed, and started again later", Quick: true, Random: true}, killServer),
		serverFault(Fault{Name: "server-silent", What: "a real server takes connections, answers nothing, and its FINs are lost", Number: "F26"}, silenceServer),
		serverFault(Fault{Name: "server-resets", What: "a real server ends each connection with RST"}, misbehave(resets)),
		serverFault(Fault{Name: "server-drips", What: "a real server answers a byte at a time, without end", Number: "F27"}, misbehave(drips)),
		flapping(),
	}
}

// serverFault takes a server out of order until it has been found out, and some time
// more, in which nobody must be sent to it.
func serverFault(f Fault, breakIt func(*Site, *server) (mend func() error, err error)) Fault {
	var noticed memo[notice]
	f.Want = Promise{KeepsMaster: true}
	f.Hold = func(s *Site) time.Duration { return 5 * s.Config.CheckInterval }
	if !f.Random { // to find it out takes more than a connection
		f.Edit = func(c *Config) { c.HTTP = true }
	}
	f.Inject = func(s *Site) (func() error, error) {
		begun := time.Now()
		mend, err := breakIt(s, s.programs[0])
		if err != nil {
			return mend, err
		}
		// It is known by its absence from the table, or its weight.
		within := 5*s.Config.CheckInterval + 4*s.Config.checkTimeout()
		if err := s.awaitWithin(within, "the real server to be found out", s.excluded); err == nil {
			noticed.keep(s, notice{after: time.Since(begun), at: time.Now()})
		} else {
			noticed.keep(s, notice{})
		}
		return func() error {
			n := noticed.of(s)
			n.until = time.Now()
			noticed.keep(s, n)
			return mend()
		}, nil
	}
	f.Check = func(s *Site, r *Result) error { return noticed.of(s).judge(s.Load, r) }
	return f
}

// A notice is how a real server that is out of order was found out.
type notice struct {
	// at is when, zero if it was not; until is the end of its being out of order.
	at, until time.Time
	after     time.Duration
}

func (n notice) judge(l *Load, r *Result) error {
	if n.at.IsZero() {
		return errors.New("the real server was not found out")
	}
	r.Remarks = append(r.Remarks, fmt.Sprintf("found out after %s", seconds(n.after)))
	if failed := l.failedBetween(n.at, n.until); failed > 0 {
		return fmt.Errorf("%d new connections failed although it had been found out", failed)
	}
	return nil
}

// excluded is an error while the MASTER sends new connections to the first server.
func (s *Site) excluded() error {
	table, err := s.Nodes[0].balanced()
	if err != nil {
		return err
	}
	entry := fmt.Sprintf("TCP %s -> %s ", s.Service, s.serverAddresses()[0])
	for _, line := range table {
		if weight, found := strings.CutPrefix(line, entry); found && weight != "0" {
			return fmt.Errorf("it has the weight %s", weight)
		}
	}
	return nil
}

// failedBetween counts the new connections that were begun between two times and
// failed.
func (l *Load) failedBetween(from, until time.Time) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	count := 0
	for _, a := range l.attempts {
		if a.err != nil && a.begun.After(from) && a.begun.Before(until) {
			count++
		}
	}
	return count
}

func killServer(_ *Site, p *server) (func() error, error) {
	p.stop()
	return p.start, nil
}

func misbehave(m manner) func(*Site, *server) (func() error, error) {
	return func(_ *Site, p *server) (func() error, error) {
		p.behave(m)
		return func() error { p.behave(answers); return nil }, nil
	}
}

// silenceServer also drops what ends a connection, which some daemons wait for.
func silenceServer(_ *Site, p *server) (func() error, error) {
	rule := fmt.Sprintf("OUTPUT -p tcp --sport %d --tcp-flags FIN FIN -j DROP", p.port)
	change := func(how string) error {
		_, err := p.host.Try("iptables", strings.Fields(how+" "+rule)...)
		return err
	}
	p.behave(silent)
	return func() error {
		p.behave(answers)
		return change("-D")
	}, change("-A")
}

// flapLimit is how often a server may change before it stays out.
const flapLimit = 4

// flapping has a server stop and start all the time.
func flapping() Fault {
	var begun memo[[]int]
	return Fault{
		Name: "server-flaps", What: "a real server stops and starts again, ten times", Number: "F29",
		Edit: func(c *Config) { c.CheckKeys = fmt.Sprintf("flap_limit = %d, flap_half_life = \"10s\"", flapLimit) },
		Want: Promise{KeepsMaster: true},
		Inject: func(s *Site) (func() error, error) {
			begun.keep(s, s.marks())
			return nil, s.flap(s.programs[0])
		},
		Check: func(s *Site, r *Result) error {
			log := s.Nodes[0].Log(begun.of(s)[0])
			r.Remarks = append(r.Remarks, fmt.Sprintf("taken out %d times", takenOut(log)))
			return nil
		},
	}
}

// flap gives every verdict the time to be reached.
func (s *Site) flap(p *server) error {
	const times = 10
	for range times {
		p.stop()
		s.Pause(3 * s.Config.CheckInterval)
		if err := p.start(); err != nil {
			return err
		}
		s.Pause(2 * s.Config.CheckInterval)
	}
	return nil
}

// takenOut counts how often a real server lost its weight, in either daemon's words.
func takenOut(log string) int {
	return strings.Count(log, `msg="server down"`) + strings.Count(log, "Removing service")
}
