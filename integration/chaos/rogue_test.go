package main

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lvsd/lvsd/director"
	"github.com/lvsd/lvsd/director/control"
	"github.com/lvsd/lvsd/integration/lab"
	"github.com/lvsd/lvsd/integration/relay"
	"github.com/lvsd/lvsd/vrrp"
)

// The virtual routers of a rogueLab, in the order of their VRIDs.
const (
	plain = iota
	signedOnes
	unicast
)

// rogueLab is two nodes without IPVS, of which the first is MASTER of three virtual
// routers, and a host beside them that is a rogue to each.
type rogueLab struct {
	*testing.T
	lab      *lab.Lab
	interval time.Duration
	nodes    []*rogueNode
	rogues   []*Rogue
}

type rogueNode struct {
	*lab.Host
	daemon *lab.Daemon
	socket string
}

func newRogueLab(t *testing.T) *rogueLab {
	l := &rogueLab{T: t, lab: lab.New(t)}
	// Twice what quiet tests have: the storm takes a core.
	l.interval = 2 * time.Duration(math.Ceil(l.lab.Scale()/4)) * time.Second
	for i, name := range []string{"a", "b"} {
		l.nodes = append(l.nodes, l.start(name, i))
	}
	l.lab.WaitFor("a to be MASTER", l.settled)
	host := l.lab.Host("rogue", "10.99.0.66/24")
	for router := range unicast + 1 {
		l.rogues = append(l.rogues, l.against(host, router))
	}
	return l
}

// against is the host as a rogue that knows the MASTER's adverts of a virtual router.
func (l *rogueLab) against(host *lab.Host, router int) *Rogue {
	l.Helper()
	r, err := newRogue(host)
	if err != nil {
		l.Fatal(err)
	}
	l.Cleanup(r.Close)
	if router == unicast {
		r.To = []netip.Addr{l.nodes[0].Address, l.nodes[1].Address}
	}
	if err := r.Overhear(l.nodes[0].Host, uint8(20+router), l.lab.Scaled(5*time.Minute)); err != nil {
		l.Fatal(err)
	}
	return r
}

func (l *rogueLab) start(name string, i int) *rogueNode {
	l.Helper()
	n := &rogueNode{Host: l.lab.Host(name, fmt.Sprintf("10.99.0.%d/24", 1+i))}
	run := l.lab.Dir(name, "run")
	n.socket = filepath.Join(run, "lvsd.sock")
	file := filepath.Join(l.lab.Dir(name), "lvsd.toml")
	more := []string{
		plain:      "",
		signedOnes: fmt.Sprintf("[vrrp.auth]\ntype = \"hmac-sha256\"\nkeys = [{ id = 1, secret = %q }]\n", advertKey),
		unicast:    fmt.Sprintf("source = %q\npeers = [\"10.99.0.%d\"]\n", n.Address, 2-i),
	}
	var text strings.Builder
	for router, lines := range more {
		fmt.Fprintf(&text, "[[vrrp]]\nname = \"V%d\"\ninterface = %q\nvrid = %d\npriority = %d\nadvert_interval = %q\nvips = [\"10.99.0.%d\"]\n%s\n",
			router, lab.LinkName, 20+router, 150-50*i, l.interval, 100+router, lines)
	}
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		l.Fatal(err)
	}
	n.daemon = n.Start(lab.Command{Args: []string{
		relay.Binary(l), "run", "-c", file, "--run-dir", run, "--state-dir", l.lab.Dir(name, "state"),
	}})
	return n
}

// said is what a node says of a virtual router.
type said struct {
	node   *rogueNode
	router int
	director.InstanceStatus
}

// said is what both nodes say of every virtual router.
func (l *rogueLab) said() (all []said, err error) {
	for _, n := range l.nodes {
		status, err := control.Status(l.Context(), n.socket)
		if err == nil && len(status.Instances) != unicast+1 {
			err = fmt.Errorf("%d instances", len(status.Instances))
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", n.Name, err)
		}
		for router, i := range status.Instances {
			all = append(all, said{n, router, i})
		}
	}
	return all, nil
}

func (s said) String() string { return fmt.Sprintf("%s: %s", s.node.Name, s.Name) }

// read is how many packets were looked at.
func (s said) read() uint64 {
	sum := s.Received
	for _, n := range s.Discarded {
		sum += n
	}
	return sum
}

func (l *rogueLab) settled() error {
	all, err := l.said()
	if err != nil {
		return err
	}
	for _, s := range all {
		want := "backup"
		if s.node == l.nodes[0] {
			want = "master"
		}
		if s.State != want {
			return fmt.Errorf("%s is %s because %s", s, s.State, s.Reason)
		}
	}
	return nil
}

// undisturbed has something done and waits until the BACKUP has taken some more
// adverts of every virtual router, and the condition is nil. No role may have changed
// then.
func (l *rogueLab) undisturbed(t *testing.T, begin func() (end func()), condition func(before, now said) error) (before, after []said) {
	t.Helper()
	before, err := l.said()
	if err != nil {
		t.Fatal(err)
	}
	end := begin()
	l.lab.WaitFor("more adverts", func() (err error) {
		if after, err = l.said(); err != nil {
			return err
		}
		for i, s := range after {
			if taken := s.Received - before[i].Received; s.node == l.nodes[1] && taken < 3 {
				err = fmt.Errorf("%s has taken %d", s, taken)
			}
			err = errors.Join(err, condition(before[i], s))
		}
		return err
	})
	end()
	for i, s := range after {
		if !s.Since.Equal(before[i].Since) {
			t.Errorf("%s became %s because %s", s, s.State, s.Reason)
		}
	}
	return before, after
}

// TestRogue: a host that speaks VRRP without a key moves no VIP where adverts are
// signed or come from peers alone; where neither is so, malformed adverts and a storm
// do not. In a storm the log does not grow, and most of it is not read.
func TestRogue(t *testing.T) {
	lab.Require(t, lab.NeedNetns)
	l := newRogueLab(t)
	t.Run("attacks", l.attacks)
	t.Run("storm", func(t *testing.T) {
		l.storm(t, []attack{plain: kinds, signedOnes: owner(0), unicast: owner(0)})
	})
	t.Run("storm from everywhere", func(t *testing.T) {
		l.storm(t, []attack{plain: func(r *Rogue) ([]Forgery, error) { return spread(r, 1<<10) }})
	})
}

func (l *rogueLab) attacks(t *testing.T) {
	own := []attack{malformed, forwarded, owner(0), owner(vrrp.MaxIntervalV3), lower}
	l.undisturbed(t, func() func() {
		for router, attacks := range [][]attack{
			plain:      {malformed, forwarded, lower},
			signedOnes: append(own, unsigned, goodbye, recorded, tampered),
			unicast:    own,
		} {
			for _, attack := range attacks {
				forgeries, err := attack(l.rogues[router])
				if err == nil {
					err = l.rogues[router].Send(forgeries...)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
		}
		return func() {}
	}, func(before, now said) error {
		// Some are lost where a queue is short.
		if read := now.read() - before.read(); read < 50 {
			return fmt.Errorf("%s has read %d packets", now, read)
		}
		return nil
	})
}

// kinds is one advert of each kind of storm from one address.
func kinds(r *Rogue) (all []Forgery, err error) {
	for _, s := range advertStorms()[:3] {
		some, err := s.forge(r)
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	return all, nil
}

// storm has the rogues send as fast as they can, to each virtual router.
func (l *rogueLab) storm(t *testing.T, forge []attack) {
	var packets []Packet
	for router, attack := range forge {
		forgeries, err := attack(l.rogues[router])
		if err != nil {
			t.Fatal(err)
		}
		packets = append(packets, l.rogues[router].Packets(forgeries...)...)
	}
	used, lines := map[*rogueNode]time.Duration{}, map[*rogueNode]int{}
	for _, n := range l.nodes {
		used[n], lines[n] = cpu(n.daemon.PID()), strings.Count(n.daemon.Output(), "\n")
	}
	ear, err := listenTo(l.nodes[1].Host, l.nodes[0].Address)
	if err != nil {
		t.Fatal(err)
	}
	defer ear.Close()
	var storm *Storm
	before, after := l.undisturbed(t, func() func() {
		storm = l.rogues[plain].Storm(packets)
		return func() {
			if err := storm.End(); err != nil {
				t.Error(err)
			}
		}
	}, func(said, said) error {
		if n := ear.Adverts(); n < 3*len(l.rogues) {
			return fmt.Errorf("%d adverts of the MASTER so far", n)
		}
		return nil
	})
	for i, s := range after {
		read := s.read() - before[i].read()
		t.Logf("%s has read %d of %d", s, read, storm.sent)
		// A few hundred of any sort are no storm; and a slow machine makes a slow one.
		if fast := storm.Rate() > 5000; fast && read > storm.sent/8 {
			t.Errorf("%s has read %d of %d packets", s, read, storm.sent)
		}
	}
	for _, n := range l.nodes {
		grown := strings.Count(n.daemon.Output(), "\n") - lines[n]
		t.Logf("%.0f packets/s: %s used %.1f %% of a core, wrote %d lines", storm.Rate(), n.Name,
			100*(cpu(n.daemon.PID())-used[n]).Seconds()/storm.took.Seconds(), grown)
		if grown > 200 {
			t.Errorf("%s wrote %d lines:\n%s", n.Name, grown, tail(n.daemon.Output(), 4000))
		}
	}
}
