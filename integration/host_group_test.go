package integration

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/lvsd/lvsd/integration/lab"
)

// gateway is two nodes between two segments: each has an instance on both, and
// they move together.
type gateway struct {
	*pair
	outside *lab.Segment
	records map[*node]*record
}

// outsideVIP is the virtual address on the second segment.
const outsideVIP = "10.98.0.100"

func newGateway(t *testing.T) *gateway {
	p := newPair(t)
	g := &gateway{pair: p, outside: p.lab.Segment("out"), records: map[*node]*record{}}
	for i, n := range p.nodes() {
		g.outside.Plug(n.Host, "eth1", fmt.Sprintf("10.98.0.%d/24", i+1))
		g.records[n] = newRecord(t, p.lab.Dir(n.Name))
		v := n.router
		v.Keys = plainKeys + fmt.Sprintf(groupKeys, p.interval.Milliseconds(), v.Priority, outsideVIP, plainKeys, g.records[n].script)
		n.configure(v)
	}
	return g
}

const groupKeys = `
[[vrrp]]
name = "VI_2"
interface = "eth1"
vrid = 21
advert_interval = "%dms"
priority = %d
vips = [%q]
%s
[[sync_group]]
name = "gateway"
instances = ["VI_1", "VI_2"]
notify = { any = [%q] }
`

// TestSyncGroup: both instances of a node are MASTER, or neither is, whichever
// segment a node loses.
func TestSyncGroup(t *testing.T) {
	lab.Require(t, lab.NeedNetns)
	t.Parallel()
	g := newGateway(t)
	g.stage("the higher priority is MASTER of both", func(*testing.T) {
		g.first.start()
		g.second.start()
		g.settle(g.first, "BACKUP")
	})
	g.stage("the outer cable pulled, both move", func(*testing.T) {
		g.outside.SetCable(g.first.Host, false)
		g.settle(g.second, "FAULT")
	})
	g.stage("the cable plugged, both move back", func(*testing.T) {
		g.outside.SetCable(g.first.Host, true)
		g.settle(g.first, "BACKUP")
	})
	g.stage("the inner cable pulled, both move", func(*testing.T) {
		g.first.SetCable(false)
		g.settle(g.second, "FAULT")
	})
	g.stage("the cable plugged, both move back", func(*testing.T) {
		g.first.SetCable(true)
		g.settle(g.first, "BACKUP")
	})
	g.stage("asked of one, both give up", func(t *testing.T) {
		out, err := g.first.lvsd("vrrp", "give-up", "VI_2")
		if err != nil || out != "VI_2: 10.98.0.2 is MASTER\n" {
			t.Errorf("%v: %s", err, out)
		}
		g.settle(g.second, "BACKUP")
	})
	g.stage("released, both are back", func(*testing.T) {
		if out, err := g.first.lvsd("vrrp", "release", "VI_1"); err != nil || out != "" {
			g.Fatalf("%v: %s", err, out)
		}
		g.settle(g.first, "BACKUP")
	})
	g.stage("a stop moves both", func(*testing.T) {
		g.first.stop()
		g.settle(g.second, "STOP")
	})
}

// settle waits until the node has both roles and both VIPs, the other none, and
// their hooks were told so. The other's group is told to be in the state.
func (g *gateway) settle(master *node, other string) {
	g.Helper()
	g.lab.WaitFor(master.Name+" to be MASTER of both", func() error {
		errs := []error{g.clientSees(master.Host)}
		for _, n := range g.nodes() {
			if n == master {
				errs = append(errs, n.hasBoth(true), g.told(n, "MASTER"))
				continue
			}
			errs = append(errs, n.hasBoth(false), g.told(n, other))
		}
		return errors.Join(errs...)
	})
}

// hasBoth is an error unless the node has both VIPs, or none, with the roles
// that belong to it.
func (n *node) hasBoth(both bool) error {
	errs := []error{
		hasAddresses(n.Host, lab.LinkName, both, hostVIP+"/32"),
		hasAddresses(n.Host, "eth1", both, outsideVIP+"/32"),
	}
	if !n.daemon.Running() {
		return errors.Join(errs...)
	}
	instances, err := n.all()
	errs = append(errs, err)
	for name, i := range instances {
		if (i.State == "master") != both || i.Group != "gateway" {
			errs = append(errs, fmt.Errorf("%s: %s of %q is %s because %s", n.Name, name, i.Group, i.State, i.Reason))
		}
	}
	return errors.Join(errs...)
}

// told is an error unless the last thing that the group's hook was told is the
// state.
func (g *gateway) told(n *node, state string) error {
	calls := g.records[n].calls()
	if foreign := slices.IndexFunc(calls, func(call string) bool { return !strings.HasPrefix(call, "GROUP gateway ") }); foreign >= 0 {
		return fmt.Errorf("%s: the hook was called with %q", n.Name, calls[foreign])
	}
	if want := "GROUP gateway " + state + " 0"; len(calls) == 0 || calls[len(calls)-1] != want {
		return fmt.Errorf("%s: the hook was called with %q, want %q in the end", n.Name, calls, want)
	}
	return nil
}
