package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// The scripts of a node are in its own /run. What they do beside their work is a
// file there, so that it can begin and end while the daemon runs.
const (
	hookScript    = "/run/chaos-hook"
	trackerScript = "/run/chaos-tracker"
	mischiefFile  = "/run/chaos-mischief"
	toldFile      = "/run/chaos-told"
	childProgram  = "/run/chaos-child"
)

// The kinds of mischief, in the shell's words. A script that forks leaves children
// behind that keep its output open. They live long enough to be counted.
const (
	hangs  = "exec sleep 600"
	forks  = "i=0; while [ $i -lt 200 ]; do " + childProgram + " 60 & i=$((i+1)); done"
	floods = "exec yes out of hand"
	fails  = "echo out of order >&2; exit 1"
	// A tracker runs again and again, so what it does has an end.
	forksOften  = "i=0; while [ $i -lt 20 ]; do " + childProgram + " 20 & i=$((i+1)); done"
	floodsOften = "head -c 4000000 /dev/zero"
)

// scriptFaults are those of commands that daemons run.
func scriptFaults() []Fault {
	return []Fault{
		hookFault("hook-hangs", "the notify scripts hang, at a failover", hangs),
		hookFault("hook-forks", "the notify scripts leave 200 processes behind, at a failover", forks),
		hookFault("hook-floods", "the notify scripts write without end, at a failover", floods),
		hookFault("hook-fails", "the notify scripts fail, at a failover", fails),
		trackerFault(Fault{Name: "tracker-hangs", What: "the track script of the MASTER hangs", Want: Promise{KeepsHeld: true}}, hangs),
		trackerFault(Fault{
			Name: "tracker-forks", What: "the track script of the MASTER leaves 20 processes behind with each run",
			Want: Promise{Lossless: true, KeepsMaster: true},
		}, forksOften),
		trackerFault(Fault{
			Name: "tracker-floods", What: "the track script of the MASTER writes 4 MB with each run",
			Want: Promise{Lossless: true, KeepsMaster: true},
		}, floodsOften),
	}
}

// hookFault has the hooks of all nodes do mischief while the MASTER loses its link
// and has it back.
func hookFault(name, what, mischief string) Fault {
	var left memo[int]
	var begun memo[[]int]
	return Fault{
		Name: name, What: what, Number: "F31", Hold: pastElection, Want: Promise{KeepsHeld: true},
		Edit: func(c *Config) { c.Notify, c.Prepare = hookScript, prepareScripts },
		Inject: func(s *Site) (func() error, error) {
			begun.keep(s, s.marks())
			err := s.eachNode(func(n *Node) error { return n.begin(mischief) })
			if err == nil {
				s.Nodes[0].SetLink(false)
			}
			return func() error {
				s.Nodes[0].SetLink(true)
				err := s.eachNode((*Node).behave)
				left.keep(s, s.endChildren())
				return err
			}, err
		},
		Check: func(s *Site, r *Result) error {
			if count := left.of(s); count > 0 {
				r.Remarks = append(r.Remarks, fmt.Sprintf("%d processes were left behind", count))
			}
			return s.toldInOrder(begun.of(s))
		},
	}
}

// trackerFault has the MASTER's track script do mischief for a while.
func trackerFault(f Fault, mischief string) Fault {
	f.Number, f.Hold = "F31", longHold
	f.Edit = func(c *Config) { c.Tracker, c.Prepare = trackerScript, prepareScripts }
	f.Inject = func(s *Site) (func() error, error) {
		n := s.Nodes[0]
		return func() error {
			err := n.behave()
			s.endChildren()
			return err
		}, n.begin(mischief)
	}
	return f
}

// eachNode does something with every node, and begins anew what it has been told.
func (s *Site) eachNode(do func(*Node) error) error {
	var errs []error
	for _, n := range s.Nodes {
		if err := do(n); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", n.Name, err))
		}
	}
	return errors.Join(errs...)
}

// prepareScripts puts the scripts in place. The hook writes down the role first.
func prepareScripts(n *Node) error {
	mischief := "[ ! -e " + mischiefFile + " ] || . " + mischiefFile + "\n"
	return n.Do(func() error {
		sleep, err := os.ReadFile("/bin/sleep")
		return errors.Join(err,
			os.WriteFile(childProgram, sleep, 0o755),
			os.WriteFile(hookScript, []byte("#!/bin/sh\necho \"$3\" >>"+toldFile+"\n"+mischief), 0o755),
			os.WriteFile(trackerScript, []byte("#!/bin/sh\n"+mischief), 0o755),
		)
	})
}

// begin has the node's scripts do mischief from now on, and forgets what they were
// told.
func (n *Node) begin(mischief string) error {
	return n.Do(func() error {
		const half = mischiefFile + ".new"
		return errors.Join(os.WriteFile(toldFile, nil, 0o600),
			os.WriteFile(half, []byte(mischief+"\n"), 0o600), os.Rename(half, mischiefFile))
	})
}

// behave ends the mischief.
func (n *Node) behave() error {
	return n.Do(func() error { return os.Remove(mischiefFile) })
}

// endChildren ends what the scripts have left behind, and counts it.
func (s *Site) endChildren() int {
	count := 0
	networks := map[string]bool{}
	for _, n := range s.Nodes {
		_ = n.Do(func() error { // a node has a network
			network, err := os.Readlink("/proc/thread-self/ns/net")
			networks[network] = true
			return err
		})
	}
	processes, _ := filepath.Glob("/proc/[0-9]*") // the pattern is sound
	for _, process := range processes {
		network, err := os.Readlink(process + "/ns/net")
		if err != nil || !networks[network] {
			continue
		}
		if name, err := os.ReadFile(process + "/comm"); err != nil || strings.TrimSpace(string(name)) != filepath.Base(childProgram) {
			continue
		}
		var pid int
		if _, err := fmt.Sscanf(filepath.Base(process), "%d", &pid); err == nil && syscall.Kill(pid, unix.SIGKILL) == nil {
			count++
		}
	}
	return count
}

// toldInOrder waits until every node's hook has been told of its role now, and is an
// error if it was told of roles that the node did not have, or in another order. It
// may have missed some, in a failover that is over. keepalived, which leaves no hook
// out and waits for none, is not waited for as long.
func (s *Site) toldInOrder(marks []int) error {
	within := s.Lab.Scaled(patience)
	if s.Contestant.Name() != lvsdName {
		within = min(within, patience/3)
	}
	return s.awaitWithin(within, "the hooks to be told", func() error {
		return s.eachNode(func(n *Node) error {
			var text []byte
			err := n.Do(func() (err error) {
				text, err = os.ReadFile(toldFile)
				return err
			})
			if err != nil {
				return err
			}
			return inOrder(strings.Fields(string(text)), rolesIn(n.Log(marks[n.index])))
		})
	})
}

// rolesIn are the roles that a log tells, in their order.
func rolesIn(log string) []string {
	var roles []string
	for _, found := range entering.FindAllStringSubmatch(log, -1) {
		roles = append(roles, found[1])
	}
	return roles
}

// inOrder is an error unless what was told are some of the roles, in their order,
// with the last of them. A MASTER may be told again that it is.
func inOrder(told, roles []string) error {
	rest := roles
	for _, role := range slices.Compact(slices.Clone(told)) {
		for len(rest) > 0 && rest[0] != role {
			rest = rest[1:]
		}
		if len(rest) == 0 {
			return fmt.Errorf("the hook was told %q, the roles were %q", told, roles)
		}
		rest = rest[1:]
	}
	if len(roles) > 0 && (len(told) == 0 || told[len(told)-1] != roles[len(roles)-1]) {
		return fmt.Errorf("the hook was told %q last, the roles were %q", told, roles)
	}
	return nil
}
