package integration

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/lvsd/lvsd/director"
	"github.com/lvsd/lvsd/integration/lab"
)

const (
	clusterKey = "a key that only tests have"
	// portOfCluster is where nodes listen for each other.
	portOfCluster = "9468"
)

// clusterText is the table [cluster] with the nodes, at the named key.
func clusterText(key string, nodes ...*node) string {
	text := fmt.Sprintf("[cluster]\nkey = %q\ninterval = \"200ms\"\n[cluster.nodes]\n", key)
	for _, n := range nodes {
		text += fmt.Sprintf("%s = %q\n", n.Name, n.Address)
	}
	return text
}

// trio is three nodes of one virtual router that know each other. One file serves
// them all.
type trio struct {
	*segment
	members []*node
}

func newTrio(t *testing.T) *trio {
	s := newSegment(t)
	c := &trio{segment: s}
	for i, name := range []string{"first", "second", "third"} {
		c.members = append(c.members, s.addNode(name, fmt.Sprintf("10.99.0.%d", 11+i)))
	}
	for _, n := range c.members {
		c.configure(n, clusterText(clusterKey, c.members...))
	}
	return c
}

// configure writes the node's file.
func (c *trio) configure(n *node, text string) {
	n.router = virtualRouter{Version: 3, VRID: 20, Priority: 100, Interval: c.interval}
	n.router.Keys = fmt.Sprintf("[vrrp.node.first]\npriority = %d\n[vrrp.node.second]\npriority = %d\n", 200, 150)
	n.write(n.router.lvsd() + text)
}

// reload goes over to the text on the node.
func (c *trio) reload(n *node, text string) {
	c.Helper()
	c.configure(n, text)
	if status := n.hangUp(); !status.OK {
		c.Fatalf("%s: reload: %s", n.Name, status.Error)
	}
}

// know waits until the node's account of another one is as wanted.
func (c *trio) know(n *node, other, what string, wanted func(director.NodeStatus) bool) {
	c.Helper()
	c.lab.WaitFor(fmt.Sprintf("%s to know of %s: %s", n.Name, other, what), func() error {
		status, err := n.status()
		if err != nil {
			return err
		}
		for _, o := range status.Nodes {
			if o.Name == other && wanted(o) {
				return nil
			}
		}
		return fmt.Errorf("it has %+v", status.Nodes)
	})
}

// settle waits until each knows the others, and who of them is MASTER.
func (c *trio) settle(master *node, members ...*node) {
	c.Helper()
	for _, n := range members {
		for _, other := range members {
			if other == n {
				continue
			}
			role := "backup"
			if other == master {
				role = "master"
			}
			c.know(n, other.Name, "reachable as "+role, func(o director.NodeStatus) bool {
				return o.Reachable && o.Error == "" && o.Roles["VI_1"] == role && o.Ready
			})
		}
	}
}

// undisturbed returns a check that no role has changed since.
func (c *trio) undisturbed(t *testing.T) func() {
	t.Helper()
	before := map[*node]director.InstanceStatus{}
	for _, n := range c.members {
		before[n] = n.now()
	}
	return func() {
		t.Helper()
		for n, was := range before {
			if now := n.now(); !now.Since.Equal(was.Since) {
				t.Errorf("%s has become %s because %s", n.Name, now.State, now.Reason)
			}
		}
	}
}

// TestCluster: nodes tell each other of themselves, and whatever becomes of the
// channel, who is MASTER does not depend on it.
func TestCluster(t *testing.T) {
	lab.Require(t, lab.NeedNetns)
	t.Parallel()
	c := newTrio(t)
	first, second, third := c.members[0], c.members[1], c.members[2]
	whole := clusterText(clusterKey, c.members...)
	c.stage("each knows the others", func(t *testing.T) {
		for _, n := range c.members {
			n.start()
		}
		c.settle(first, c.members...)
		status, err := second.status()
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range status.Nodes {
			if o.Version != status.Version || o.ConfigHash != status.ConfigHash || o.ConfigHash == "" || o.Started.IsZero() {
				t.Errorf("it has version %q and hash %q, but knows %+v", status.Version, status.ConfigHash, o)
			}
		}
		out, err := second.lvsd("status")
		for _, name := range []string{"first", "third"} {
			if err != nil || !strings.Contains(out, name) {
				t.Errorf("lvsd status does not show %s: %v:\n%s", name, err, out)
			}
		}
	})
	c.stage("a switch is seen by all", func(*testing.T) {
		first.stop()
		c.settle(second, second, third)
		c.know(third, "first", "down", func(o director.NodeStatus) bool {
			return !o.Reachable && o.Error == "connection refused" && o.Roles["VI_1"] != ""
		})
		first.start()
		c.settle(first, c.members...)
	})
	c.stage("cut off from each other, the roles stay", func(t *testing.T) {
		undisturbed := c.undisturbed(t)
		cutCluster(first, true)
		for _, other := range []*node{second, third} {
			c.know(first, other.Name, "down", func(o director.NodeStatus) bool { return !o.Reachable })
			c.know(other, "first", "down", func(o director.NodeStatus) bool { return !o.Reachable })
		}
		c.know(second, "third", "reachable", func(o director.NodeStatus) bool { return o.Reachable })
		cutCluster(first, false)
		c.settle(first, c.members...)
		undisturbed()
	})
	c.stage("another file is seen, another key is refused, the roles stay", func(t *testing.T) {
		undisturbed := c.undisturbed(t)
		ours, err := first.status()
		if err != nil {
			t.Fatal(err)
		}
		c.reload(third, whole+"# another file\n")
		c.know(first, "third", "another file", func(o director.NodeStatus) bool {
			return o.Reachable && o.ConfigHash != "" && o.ConfigHash != ours.ConfigHash
		})
		c.reload(third, clusterText("another key altogether", c.members...))
		for _, n := range []*node{first, third} {
			other := map[*node]string{first: "third", third: "first"}[n]
			c.know(n, other, "another key", func(o director.NodeStatus) bool {
				return !o.Reachable && strings.Contains(o.Error, "its key is not this node's")
			})
		}
		c.reload(third, whole)
		c.settle(first, c.members...)
		undisturbed()
	})
	c.stage("without a cluster, nobody is known", func(t *testing.T) {
		undisturbed := c.undisturbed(t)
		c.reload(third, "")
		status, err := third.status()
		if err != nil || len(status.Nodes) > 0 {
			t.Errorf("%v: %+v", err, status.Nodes)
		}
		c.know(first, "third", "down", func(o director.NodeStatus) bool { return !o.Reachable })
		undisturbed()
	})
}

// cutCluster takes the node's channel away, or gives it back.
func cutCluster(n *node, cut bool) {
	action := map[bool]string{true: "-I", false: "-D"}[cut]
	for _, port := range []string{"--dport", "--sport"} {
		n.Run("iptables", action, "INPUT", "-p", "tcp", port, portOfCluster, "-j", "DROP")
	}
}

// TestClusterOverrides: what is ordered on one node holds on the others, through
// switches, and without the node that it was ordered on.
func TestClusterOverrides(t *testing.T) {
	lab.Require(t, lab.NeedNetns, lab.NeedIPVS)
	t.Parallel()
	k := newClusterKeeper(t)
	first, second := k.directors[0], k.directors[1]
	drained := k.servers[1]
	k.stage("ordered on the BACKUP, drained on both", func(*testing.T) {
		k.order(second, "drain", drained)
		k.weights(drained, 0, first, second)
	})
	k.stage("no new session after a switch", func(t *testing.T) {
		k.giveUp(first, second)
		k.weights(drained, 0, first, second)
		for range 2 * len(k.servers) {
			if s := k.dial(); s.server == drained.Name {
				t.Error("a session was given to the drained server")
			}
		}
	})
	k.stage("the node that ordered is killed", func(t *testing.T) {
		k.dies(second)
		k.settle(first)
		k.weights(drained, 0, first)
		if s := k.dial(); s.server == drained.Name {
			t.Error("a session was given to the drained server")
		}
	})
	k.stage("it comes back, and has not forgotten", func(*testing.T) {
		second.SetCable(true)
		second.start()
		k.settle(first)
		k.weights(drained, 0, first, second)
	})
	k.stage("taken back while it is cut off, it learns of it later", func(t *testing.T) {
		cutCluster(second, true)
		k.order(first, "enable", drained)
		k.weights(drained, 1, first)
		k.weights(drained, 0, second)
		cutCluster(second, false)
		k.weights(drained, 1, first, second)
	})
	k.stage("killed at once after the order, it has been given", func(*testing.T) {
		k.order(first, "drain", drained)
		first.daemon.Signal(syscall.SIGKILL)
		<-first.daemon.Done()
		k.weights(drained, 0, second)
		first.start()
		k.weights(drained, 0, first)
	})
}

// newClusterKeeper is newKeeper, with directors that know each other.
func newClusterKeeper(t *testing.T) *keeper {
	t.Helper()
	k := &keeper{segment: newSegment(t)}
	k.directors = []*node{k.addNode("first", "10.99.0.1"), k.addNode("second", "10.99.0.2")}
	for i, name := range []string{"one", "two", "three"} {
		server := k.addNode(name, fmt.Sprintf("10.99.0.%d", 11+i))
		server.write(fmt.Sprintf("[[accept]]\nvips = [%q]\n", hostVIP))
		k.servers = append(k.servers, server)
	}
	k.keys = clusterText(clusterKey, k.directors...)
	k.begin(t)
	return k
}

// order gives an order about the real server, on the node.
func (k *keeper) order(on *node, verb string, server *node) {
	k.Helper()
	if out, err := on.lvsd("server", verb, "-", server.Address.String()+":"+echoPort); err != nil {
		k.Fatalf("%s: lvsd server %s: %v: %s", on.Name, verb, err, out)
	}
}

// weights waits until the real server has the weight in the nodes' tables.
func (k *keeper) weights(server *node, want int, nodes ...*node) {
	k.Helper()
	line := fmt.Sprintf("-r %s:%s -g -w %d\n", server.Address, echoPort, want)
	for _, n := range nodes {
		k.lab.WaitFor(fmt.Sprintf("%s to have %s with weight %d", n.Name, server.Name, want), func() error {
			table, err := n.Try("ipvsadm", "-Sn")
			if err == nil && !strings.Contains(table, line) {
				err = errors.New(table)
			}
			return err
		})
	}
}
