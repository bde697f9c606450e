package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// systemdDelay is RestartSec of lvsd's unit.
const systemdDelay = 300 * time.Millisecond

func processFaults() []Fault {
	return []Fault{
		{
			Name: "kill", What: "SIGKILL of all processes of the MASTER, nobody starts it again for a while",
			Number: "F2", Random: true,
			Inject: func(s *Site) (func() error, error) {
				n := s.Nodes[0]
				n.Kill()
				return func() error { n.Start(); return nil }, nil
			},
			Hold: pastElection,
			Want: Promise{KeepsHeld: true, Two: true},
		},
		restart(Fault{
			Name: "kill-restart", What: "SIGKILL of all processes of the MASTER, started again as systemd does",
			Number: "F1", Quick: true, Random: true,
		}, func(n *Node) error {
			n.Kill()
			n.Site.Pause(systemdDelay)
			return nil
		}),
		restart(Fault{
			Name: "restart", What: "restart of the MASTER: a hand-over with SIGUSR2, or stop and start",
			Number: "F3", Random: true,
		}, func(n *Node) error {
			n.Site.Contestant.Restart(n)
			return nil
		}),
		restart(Fault{
			Name: "upgrade", What: "restart of the MASTER with another program", Number: "F3", Quick: true,
		}, upgrade),
		{
			Name: "freeze", What: "SIGSTOP of the MASTER past an election, then SIGCONT", Number: "F4", Random: true,
			Inject: func(s *Site) (func() error, error) {
				n := s.Nodes[0]
				n.Signal(syscall.SIGSTOP)
				return func() error { n.Signal(syscall.SIGCONT); return nil }, nil
			},
			Hold: pastElection,
			Want: Promise{KeepsHeld: true, Two: true},
		},
		{
			Name: "stop", What: "clean stop of the MASTER, start after a while", Number: "F3", Random: true,
			Inject: func(s *Site) (func() error, error) {
				n := s.Nodes[0]
				n.Stop()
				return func() error { n.Start(); return nil }, nil
			},
			Hold: pastElection,
			Want: Promise{KeepsHeld: true},
		},
	}
}

// restart makes a fault of a way to end the MASTER's daemon, which is started at
// once.
func restart(f Fault, end func(*Node) error) Fault {
	var away memo[time.Duration]
	f.Inject = func(s *Site) (func() error, error) {
		n := s.Nodes[0]
		begun := time.Now()
		if err := end(n); err != nil {
			return nil, err
		}
		n.Start()
		err := s.Await("the daemon answers", func() error {
			if n.Role() == "" {
				return errors.New("it does not")
			}
			return nil
		})
		away.keep(s, time.Since(begun))
		return nil, err
	}
	f.Check = func(s *Site, r *Result) error {
		took := away.of(s)
		r.Remarks = append(r.Remarks, "away for "+seconds(took))
		// The last advert may have been an interval old.
		if most := 2 * s.Config.Interval; took > most && r.Changes > 0 {
			r.Excused = fmt.Sprintf("the restart took longer than %s, so another node had to take over", seconds(most))
		}
		return s.Nodes[0].runs(s.Nodes[0].Program)
	}
	f.Topology = Patient
	// Who has been away for too long finds another MASTER and its own VIP.
	f.Want = Promise{Lossless: true, Two: true}
	return f
}

// upgrade ends the daemon; the next one is of another program.
func upgrade(n *Node) error {
	other, err := anotherProgram(n)
	if err != nil {
		return err
	}
	n.Program = other
	n.Site.Contestant.Restart(n)
	return nil
}

// pastElection is long enough for a BACKUP to have taken over.
func pastElection(s *Site) time.Duration { return max(5*time.Second, s.MasterDown()+s.Config.Interval) }

// anotherProgram is a copy of the node's program that differs in its bytes, not in
// what it does.
func anotherProgram(n *Node) (string, error) {
	source, err := os.Open(n.Site.Contestant.Program())
	if err != nil {
		return "", err
	}
	defer source.Close()
	path := filepath.Join(filepath.Dir(n.File), "upgraded-"+n.Site.Contestant.Name())
	target, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o755)
	if err != nil {
		return "", fmt.Errorf("another program: %w", err)
	}
	_, err = io.Copy(target, source)
	// What follows the last section, nobody loads.
	_, writeErr := target.WriteString("another build\n")
	return path, errors.Join(err, writeErr, target.Close())
}

// runs is an error unless the node's daemon is of the program.
func (n *Node) runs(program string) error {
	running, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", n.Daemon.PID()))
	if err == nil && running != program {
		err = fmt.Errorf("%s runs %s, not %s", n.Name, running, program)
	}
	return err
}
