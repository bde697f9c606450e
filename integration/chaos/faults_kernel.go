package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lvsd/lvsd/integration/lab"
)

// kernelFaults are those of others who change what a daemon keeps in the kernel.
func kernelFaults() []Fault {
	return append(moduleFaults(), []Fault{
		drift(Fault{
			Name: "ipvs-flush", What: "ipvsadm -C on the MASTER", Number: "F21", Quick: true, Random: true,
			// Who asks before the table is back is told by the MASTER itself: with a reset.
			Want: Promise{KeepsMaster: true},
		}, flushIPVS),
		drift(Fault{
			Name: "ipvs-entries", What: "on the MASTER one real server deleted, one quiesced, a wrong one added quiesced",
			Number: "F21", Random: true, Want: Promise{KeepsHeld: true, KeepsMaster: true},
		}, changeEntries),
		drift(Fault{
			Name: "vip-deleted", What: "ip address del of the VIP on the MASTER", Number: "F20", Quick: true, Random: true,
			Want: Promise{KeepsHeld: true, KeepsMaster: true},
		}, deleteVIP),
		drift(Fault{
			Name: "nat-flush", What: "iptables -t nat -F on every node of a relay", Number: "F22", Topology: Relay,
			Want: Promise{KeepsHeld: true, KeepsMaster: true},
		}, flushNAT),
		{
			Name: "addresses-flushed", What: "ip address flush on the MASTER's interface; its own comes back later",
			Number: "F20", Hold: pastElection, Inject: flushAddresses,
		},
		{
			Name: "xtables-lock", What: "the xtables lock held on every node of a relay, through a failover",
			Number: "F22", Topology: Relay, Hold: lockTime,
			Edit:   func(c *Config) { c.Prepare = useLegacyTables },
			Inject: lockTables,
		},
	}...)
}

// drift makes a fault of a change that the daemon is to find and undo.
func drift(f Fault, change func(*Site) error) Fault {
	var found memo[finding]
	f.Inject = func(s *Site) (func() error, error) {
		marks := s.marks()
		err := change(s)
		found.keep(s, finding{time.Now(), marks})
		return nil, err
	}
	f.Check = func(s *Site, r *Result) error {
		f := found.of(s)
		if said := f.undone(s); !said.IsZero() {
			// A command may be undone before it returns.
			r.Remarks = append(r.Remarks, fmt.Sprintf("undone after %s, of a resync of 1 s", seconds(max(0, said.Sub(f.at)))))
		}
		return nil
	}
	return f
}

// A finding is when something had been changed behind a daemon's back, and where the logs
// were then.
type finding struct {
	at    time.Time
	marks []int
}

// undone is when the last node said that it had undone it; zero if none did.
func (f finding) undone(s *Site) (last time.Time) {
	for i, n := range s.Nodes {
		for line := range strings.Lines(n.Log(f.marks[i])) {
			if !strings.Contains(line, "repaired what somebody else changed") {
				continue
			}
			var stamp string
			if _, err := fmt.Sscanf(line, "time=%s", &stamp); err != nil {
				continue
			}
			if at, err := time.Parse(time.RFC3339Nano, stamp); err == nil && at.After(last) {
				last = at
			}
		}
	}
	return last
}

// marks are the ends of all nodes' logs.
func (s *Site) marks() []int {
	var all []int
	for _, n := range s.Nodes {
		all = append(all, n.Mark())
	}
	return all
}

// try runs commands on the node, each a line of words.
func (n *Node) try(commands ...string) error {
	for _, command := range commands {
		words := strings.Fields(command)
		if _, err := n.Try(words[0], words[1:]...); err != nil {
			return fmt.Errorf("%s: %w", n.Name, err)
		}
	}
	return nil
}

func flushIPVS(s *Site) error { return s.Nodes[0].try("ipvsadm -C") }

// changeEntries leaves clients without a server: they are refused at once.
func changeEntries(s *Site) error {
	servers := s.serverAddresses()
	service := fmt.Sprintf("-t %s -r", s.Service)
	return s.Nodes[0].try(
		fmt.Sprintf("ipvsadm -d %s %s", service, servers[0]),
		fmt.Sprintf("ipvsadm -e %s %s -g -w 0", service, servers[1]),
		fmt.Sprintf("ipvsadm -a %s 10.99.0.250:%d -g -w 0", service, servicePort),
	)
}

func deleteVIP(s *Site) error {
	return s.Nodes[0].try(fmt.Sprintf("ip address del %s/32 dev %s", vip, lab.LinkName))
}

func flushNAT(s *Site) error {
	for _, n := range s.Nodes {
		if err := n.try("iptables -t nat -F"); err != nil {
			return err
		}
	}
	return nil
}

// flushAddresses takes the node's own address with the rest, as a network manager
// does that sets an interface up anew.
func flushAddresses(s *Site) (func() error, error) {
	n := s.Nodes[0]
	err := n.try("ip address flush dev " + lab.LinkName)
	return func() error {
		return n.try(fmt.Sprintf("ip address add %s/24 dev %s", n.Address, lab.LinkName))
	}, err
}

// The programs behind iptables: the one of nf_tables, which is usual, and the legacy
// one, which alone takes the lock.
const (
	nftTables    = "/usr/sbin/xtables-nft-multi"
	legacyTables = "/usr/sbin/xtables-legacy-multi"
	tablesLock   = "/run/xtables.lock"
)

// useLegacyTables makes iptables on the node the legacy one.
func useLegacyTables(n *Node) error {
	err := n.Do(func() error { return unix.Mount(legacyTables, nftTables, "", unix.MS_BIND, "") })
	if err != nil {
		return fmt.Errorf("%s: %w", legacyTables, err)
	}
	return nil
}

// lockTime is as long as the lock is held.
func lockTime(s *Site) time.Duration { return max(10*time.Second, 2*s.MasterDown()) }

// lockTables holds the lock of every node, and takes the MASTER's link away, so that
// another one must delete its rule.
func lockTables(s *Site) (func() error, error) {
	var locks []*os.File
	release := func() error {
		s.Nodes[0].SetLink(true)
		var errs []error
		for _, lock := range locks {
			errs = append(errs, lock.Close())
		}
		return errors.Join(errs...)
	}
	for _, n := range s.Nodes {
		lock, err := n.lockTables()
		if err != nil {
			return release, err
		}
		locks = append(locks, lock)
	}
	s.Nodes[0].SetLink(false)
	return release, nil
}

// lockTables takes the node's xtables lock. Whoever has it now has it for a moment.
func (n *Node) lockTables() (*os.File, error) {
	var lock *os.File
	err := n.Do(func() (err error) {
		if lock, err = os.OpenFile(tablesLock, os.O_CREATE|os.O_RDONLY, 0o600); err != nil {
			return err
		}
		return unix.Flock(int(lock.Fd()), unix.LOCK_EX)
	})
	if err != nil {
		return nil, fmt.Errorf("%s: lock %s: %w", n.Name, tablesLock, err)
	}
	return lock, nil
}
