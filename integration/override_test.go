package integration

import (
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lvsd/lvsd/director"
	"github.com/lvsd/lvsd/director/control"
	"github.com/lvsd/lvsd/integration/lab"
)

// echoService is the one service of a keeper.
const echoService = "tcp " + hostVIP + ":" + echoPort

// TestOverrides orders by hand what becomes of real servers, of the service and of a
// whole director: connections that stand go on, new ones obey, and nothing but the
// operator's word ends it.
func TestOverrides(t *testing.T) {
	lab.Require(t, lab.NeedNetns, lab.NeedIPVS)
	t.Parallel()
	k := newKeeper(t, "")
	first, one := k.directors[0], k.servers[0]
	address := one.Address.String()
	var sessions []*session
	k.stage("drain", func(t *testing.T) {
		sessions = k.open()
		k.survive(t, sessions, func() {
			k.orders("server", "drain", echoService, address, "--reason", "new disk")
			k.wantServed(one, false)
		})
		server := k.ordered(one)
		if server.State != "up" || server.Admin != director.Drain || server.KernelWeight != 0 || server.Override.Reason != "new disk" {
			t.Errorf("status %+v", server)
		}
	})
	k.stage("kill -9 and restart", func(t *testing.T) {
		k.survive(t, sessions, func() {
			first.daemon.Signal(syscall.SIGKILL)
			_ = first.daemon.Stop()
			first.start()
			k.settle(first)
			k.wantServed(one, false)
		})
		if server := k.ordered(one); server.Admin != director.Drain || server.Override.Reason != "new disk" {
			t.Errorf("status %+v", server)
		}
	})
	k.stage("reload", func(t *testing.T) {
		k.survive(t, sessions, func() {
			if status := first.hangUp(); !status.OK {
				t.Fatal(status.Error)
			}
			k.wantServed(one, false)
		})
	})
	k.stage("disable and enable", func(t *testing.T) {
		k.orders("server", "disable", echoService, address)
		if table := k.table(first); strings.Contains(table, address) {
			t.Errorf("it is in the table still:\n%s", table)
		}
		k.orders("server", "enable", echoService, address)
		k.wantServed(one, true)
	})
	k.stage("for a time", func(*testing.T) {
		k.orders("server", "weight", echoService, address, "0", "--for", k.lab.Scaled(3*time.Second).String())
		k.wantServed(one, false)
		k.lab.WaitFor("the time to be over", func() error {
			if server := k.ordered(one); server.KernelWeight != 1 {
				return fmt.Errorf("weight %d", server.KernelWeight)
			}
			return nil
		})
	})
	k.stage("a service", func(t *testing.T) {
		k.orders("service", "disable", echoService)
		if table := k.table(first); strings.Contains(table, hostVIP) {
			t.Errorf("it is in the kernel still:\n%s", table)
		}
		k.orders("service", "enable", echoService)
		k.wantServed(one, true)
	})
	k.stage("maintenance", func(*testing.T) {
		k.orders("maintenance", "on", "--reason", "new disk")
		k.settle(k.directors[1])
		first.wait("it to be held", func(i director.InstanceStatus) bool { return i.Held })
		k.orders("maintenance", "off")
		first.wait("it to be released", func(i director.InstanceStatus) bool { return !i.Held })
	})
	k.stage("maintenance without another director", func(t *testing.T) {
		k.directors[1].stop()
		k.settle(first)
		if out, err := first.lvsd("maintenance", "on"); err == nil {
			t.Errorf("it left the VIP to nobody: %s", out)
		}
		k.settle(first)
		k.wantServed(one, true)
	})
}

// orders gives an order to the first director.
func (k *keeper) orders(arguments ...string) {
	k.Helper()
	if out, err := k.directors[0].lvsd(arguments...); err != nil {
		k.Fatalf("%q: %v: %s", arguments, err, out)
	}
}

// ordered is the real server as the first director tells of it.
func (k *keeper) ordered(server *node) director.RealServerStatus {
	k.Helper()
	status, err := control.Status(k.Context(), filepath.Join(k.directors[0].run, "lvsd.sock"))
	if err != nil {
		k.Fatalf("%v", err)
	}
	for _, s := range status.Services[0].RealServers {
		if strings.HasPrefix(s.Address, server.Address.String()+":") {
			return s
		}
	}
	k.Fatalf("no %s in %+v", server.Address, status.Services[0])
	return director.RealServerStatus{}
}

// wantServed opens as many sessions as would reach every real server.
func (k *keeper) wantServed(server *node, want bool) {
	k.Helper()
	served := map[string]int{}
	for range 2 * len(k.servers) {
		s := k.dial()
		served[s.server]++
		_ = s.conn.Close()
	}
	if (served[server.Name] > 0) != want {
		k.Fatalf("%s serves: %v, want %v\n%s", server.Name, served, want, k.table(k.directors[0]))
	}
}

// table is what the node's kernel has of IPVS.
func (k *keeper) table(n *node) string {
	k.Helper()
	out, err := n.Try("ipvsadm", "-Ln")
	if err != nil {
		k.Fatalf("%v", err)
	}
	return out
}
