package integration

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/lvsd/lvsd/director"
	"github.com/lvsd/lvsd/integration/lab"
)

// TestInterface: an interface may come, go and come back under lvsd, and a node
// listens to it for a while before it takes over.
func TestInterface(t *testing.T) {
	lab.Require(t, lab.NeedNetns)
	t.Parallel()
	s := newSegment(t)
	n := s.addNode("alone", "10.99.0.1")
	n.router = virtualRouter{Version: 3, VRID: 20, Priority: 100, Interval: s.interval, VIPs: []string{"10.96.0.100"}}
	settle := 5 * s.interval
	n.write(strings.Replace(n.router.lvsd(), lab.LinkName, "eth1", 1) + fmt.Sprintf("settle = %q\n", settle))
	create := func() {
		n.Run("ip", "link", "add", "eth1", "type", "veth", "peer", "name", "eth1-peer")
		n.Run("ip", "address", "add", "10.96.0.1/24", "dev", "eth1")
		n.Run("ip", "link", "set", "eth1", "up")
		n.Run("ip", "link", "set", "eth1-peer", "up")
	}
	faulty := func(reason string) {
		s.Helper()
		s.lab.WaitFor("FAULT because of "+reason, func() error {
			i, err := n.instance()
			if err == nil && (i.State != "fault" || len(i.Faults) != 1 || !strings.Contains(i.Faults[0], reason)) {
				err = fmt.Errorf("%s because of %q", i.State, i.Faults)
			}
			return err
		})
	}
	serves := func() {
		s.Helper()
		s.lab.WaitFor("MASTER", func() error {
			return errors.Join(n.says("master"), hasAddresses(n.Host, "eth1", true, "10.96.0.100/32"))
		})
	}

	s.stage("without its interface it is in FAULT", func(*testing.T) {
		n.start()
		faulty("eth1")
	})
	s.stage("with it, it listens", func(t *testing.T) {
		create()
		n.wait("settling", func(i director.InstanceStatus) bool { return i.State == "backup" && i.Settling })
		if out, err := n.lvsd("status"); err != nil || !strings.Contains(out, "  settling: it only listens yet\n") {
			t.Errorf("lvsd status: %v: %s", err, out)
		}
	})
	s.stage("and takes over", func(*testing.T) {
		serves()
		n.wait("not settling", func(i director.InstanceStatus) bool { return !i.Settling })
	})
	s.stage("renamed, it is not the interface any more", func(*testing.T) {
		n.Run("ip", "link", "set", "eth1", "down")
		n.Run("ip", "link", "set", "eth1", "name", "eth9")
		n.Run("ip", "link", "set", "eth9", "up")
		faulty("eth1")
		s.lab.WaitFor("no VIP", func() error { return hasAddresses(n.Host, "eth9", false, "10.96.0.100/32") })
	})
	s.stage("renamed back, it is", func(*testing.T) {
		n.Run("ip", "link", "set", "eth9", "down")
		n.Run("ip", "link", "set", "eth9", "name", "eth1")
		n.Run("ip", "link", "set", "eth1", "up")
		serves()
	})
	s.stage("deleted, it is in FAULT", func(*testing.T) {
		n.Run("ip", "link", "del", "eth1")
		faulty("eth1")
	})
	s.stage("made anew, it serves", func(*testing.T) {
		create()
		serves()
	})
}
