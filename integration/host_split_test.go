package integration

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/lvsd/lvsd/director"
	"github.com/lvsd/lvsd/integration/lab"
)

// TestSplitBrain: two nodes that are MASTER at once are told of while they are,
// and the one that stays MASTER puts everything right when they are not.
func TestSplitBrain(t *testing.T) {
	lab.Require(t, lab.NeedNetns, lab.NeedTcpdump)
	t.Parallel()
	records := map[*node]*record{}
	p := newPlainPair(t, func(n *node, v *virtualRouter) {
		records[n] = newRecord(t, n.segment.lab.Dir(n.Name))
		v.Keys += fmt.Sprintf("notify = { any = [%q] }\n", records[n].script)
	})
	told := func(n *node, want ...string) {
		p.Helper()
		p.lab.WaitFor(n.Name+"'s hook to be told", func() error {
			if calls := records[n].calls(); !slices.Equal(calls, want) {
				return fmt.Errorf("it was told %q, want %q", calls, want)
			}
			return nil
		})
	}
	const (
		backup1, master1 = "INSTANCE VI_1 BACKUP 150", "INSTANCE VI_1 MASTER 150"
		backup2, master2 = "INSTANCE VI_1 BACKUP 100", "INSTANCE VI_1 MASTER 100"
	)
	p.stage("one MASTER", func(*testing.T) {
		p.first.start()
		p.second.start()
		p.settle(p.first)
	})
	p.stage("they are deaf to each other, both are MASTER", func(*testing.T) {
		block(p.first.Host, true)
		block(p.second.Host, true)
		p.lab.WaitFor("the second MASTER", func() error {
			return errors.Join(p.second.inState("master"), p.clientSees(p.second.Host))
		})
	})
	p.stage("the one that hears the other tells of it, once", func(t *testing.T) {
		block(p.first.Host, false)
		p.first.wait("two masters", func(i director.InstanceStatus) bool {
			return i.State == "master" && i.NoticeCounts["two_masters"] >= 3 && standing(i, "two_masters", p.second)
		})
		p.first.loggedOnce("VRRP notice", "kind=two_masters", "peer=10.99.0.2 ")
		out, err := p.first.lvsd("status")
		if err != nil || !strings.Contains(out, "  two_masters: 10.99.0.2: priority 100, ours 150: ") {
			t.Errorf("lvsd status: %v: %s", err, out)
		}
		p.lab.WaitFor("the client to know it", func() error { return p.clientSees(p.first.Host) })
	})
	announced := p.client.Capture("arp and ether src " + p.first.MAC() + " and arp[14:4] = arp[24:4]")
	p.stage("they hear each other, one yields", func(*testing.T) {
		block(p.second.Host, false)
		p.settle(p.first)
		told(p.second, backup2, master2, backup2)
	})
	p.stage("the other one puts everything right", func(*testing.T) {
		told(p.first, backup1, master1, master1)
		p.lab.WaitFor("another announcement", func() error { return p.first.announced(announced, "has yielded") })
		p.first.wait("no notice", func(i director.InstanceStatus) bool { return !standing(i, "two_masters", p.second) })
		p.first.loggedOnce("VRRP notice is over", "kind=two_masters", "peer=10.99.0.2 ")
	})
	p.stage("and nothing more happens", func(t *testing.T) {
		undisturbed := p.undisturbed(t, p.nodes()...)
		p.hears(p.second, 5)
		undisturbed()
		told(p.first, backup1, master1, master1)
		told(p.second, backup2, master2, backup2)
	})
}

// announced is an error unless the node has announced the VIP since it logged the
// words.
func (n *node) announced(capture *lab.Capture, words string) error {
	var since time.Time
	for line := range strings.Lines(n.daemon.Output()) {
		if stamp, _, _ := strings.Cut(strings.TrimPrefix(line, "time="), " "); strings.Contains(line, words) {
			since, _ = time.Parse(time.RFC3339Nano, stamp)
		}
	}
	if since.IsZero() {
		return fmt.Errorf("%s has not logged %q", n.Name, words)
	}
	printed := capture.Print()
	for line := range strings.Lines(printed) {
		stamp, _, _ := strings.Cut(line, " ")
		seconds, err := strconv.ParseFloat(stamp, 64)
		if err == nil && seconds >= float64(since.UnixMilli())/1000 && strings.Contains(line, hostVIP) {
			return nil
		}
	}
	return fmt.Errorf("%s has not announced %s since %v: %s", n.Name, hostVIP, since, printed)
}

// standing tells whether the instance's status shows the notice about the node.
func standing(i director.InstanceStatus, kind string, peer *node) bool {
	return slices.ContainsFunc(i.Notices, func(n director.NoticeStatus) bool {
		return n.Kind == kind && n.Peer == peer.Address.String()
	})
}

// TestAddressConflict: a host that took a VIP for its own is found out, and the
// MASTER names it once.
func TestAddressConflict(t *testing.T) {
	lab.Require(t, lab.NeedNetns)
	t.Parallel()
	p := newPlainPair(t, func(_ *node, v *virtualRouter) {
		v.Keys = "settle = \"0s\"\ngarp = { delay = \"1s\", refresh = \"1s\" }\nexcluded_vips = [\"" + globalVIP6 + "\"]\n"
	})
	rival := p.lab.Host("rival", "10.99.0.66/24")
	p.stage("one MASTER", func(*testing.T) {
		p.first.start()
		p.second.start()
		p.settle(p.first)
	})
	p.stage("a stranger has the VIPs", func(t *testing.T) {
		undisturbed := p.undisturbed(t, p.nodes()...)
		rival.Run("ip", "address", "add", hostVIP+"/32", "dev", lab.LinkName)
		rival.Run("ip", "address", "add", globalVIP6+"/128", "dev", lab.LinkName, "nodad")
		p.lab.WaitFor("the MASTER to name it", func() error { return p.first.names(rival, hostVIP, globalVIP6) })
		p.hears(p.second, 5)
		for _, vip := range []string{hostVIP, globalVIP6} {
			p.first.loggedOnce("level=WARN", "mac="+rival.MAC(), vip)
		}
		if status, err := p.second.status(); err != nil || len(status.Conflicts) > 0 {
			t.Errorf("the BACKUP knows of conflicts: %+v (%v)", status.Conflicts, err)
		}
		undisturbed()
	})
}

// names is an error unless the node's status tells of a host that has the VIPs,
// and of nobody else.
func (n *node) names(rival *lab.Host, vips ...string) error {
	status, err := n.status()
	if err != nil {
		return err
	}
	var found []string
	for _, c := range status.Conflicts {
		if c.MAC != rival.MAC() || c.Ended || c.Count == 0 {
			return fmt.Errorf("%+v is not the rival's", c)
		}
		found = append(found, c.VIP)
	}
	if !slices.Equal(found, vips) {
		return fmt.Errorf("conflicts of %q, want %q", found, vips)
	}
	return nil
}
