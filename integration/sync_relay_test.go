package integration

import (
	"fmt"
	"strings"
	"testing"

	"github.com/lvsd/lvsd/integration/lab"
)

// TestKeepConnections: in the relay mode every session whose node lives outlives
// every switch, those that the former MASTER serves itself included.
func TestKeepConnections(t *testing.T) {
	lab.Require(t, lab.NeedNetns, lab.NeedIPVS)
	t.Parallel()
	k := newRelayKeeper(t, "keep_connections = true\n", "id = 7\n")
	first, second, third := k.directors[0], k.directors[1], k.directors[2]
	var sessions []*session
	k.stage("all know every session", func(t *testing.T) {
		sessions = k.open()
		k.known(sessions, k.directors...)
		k.wantKept(t, first)
	})
	k.stage("planned, and back", func(t *testing.T) {
		k.survive(t, sessions, func() { k.giveUp(first, second) })
		k.survive(t, sessions, func() { k.giveUp(second, first) })
		k.wantKept(t, first)
	})
	k.stage("planned, sessions opened right before", func(t *testing.T) {
		young := k.open()
		k.survive(t, young, func() { k.giveUp(first, second) })
		sessions = append(sessions, young...)
	})
	k.stage("new sessions are served by every node", func(*testing.T) {
		sessions = append(sessions, k.open()...)
	})
	k.stage("a clean stop of the MASTER", func(t *testing.T) {
		young := k.open()
		sessions = append(sessions, young...)
		k.surviveAtRest(t, sessions, func() {
			second.stop()
			k.settle(first)
		})
		if out := second.daemon.Output(); !strings.Contains(out, "waiting until the other nodes know this one's connections") {
			t.Errorf("the wait is not logged:\n%s", out)
		}
		// Its server goes on, by the rule and the VIP on lo.
		sessions = append(sessions, k.open()...)
		k.survive(t, sessions, func() { k.giveUp(first, third) })
		k.survive(t, sessions, func() { k.giveUp(third, first) })
	})
	k.stage("it is back", func(t *testing.T) {
		k.survive(t, sessions, func() {
			second.start()
			k.settle(first)
		})
		k.wantKept(t, first)
	})
	k.stage("unplanned", func(t *testing.T) {
		young := k.open()
		k.known(append(sessions, young...), third)
		k.known(young, second)
		k.survive(t, append(sessions, young...), func() {
			k.dies(first)
			k.settle(second)
		}, first)
	})
}

// wantKept waits until each kernel leaves alone what it must: IPVS works on the
// MASTER only.
func (k *keeper) wantKept(t *testing.T, master *node) {
	t.Helper()
	for _, n := range k.directors {
		want := "1"
		if n == master {
			want = "0"
		}
		k.lab.WaitFor(fmt.Sprintf("%s to have backup_only %s", n.Name, want), func() error {
			got, err := n.Try("sysctl", "-n", "net.ipv4.vs.backup_only")
			if err == nil && strings.TrimSpace(got) != want {
				err = fmt.Errorf("it is %s", got)
			}
			return err
		})
	}
}

// TestRelayWithoutSync shows that TestKeepConnections can fail, and what the
// documentation says of a relay without keep_connections: only what the new MASTER
// serves itself lives on.
func TestRelayWithoutSync(t *testing.T) {
	lab.Require(t, lab.NeedNetns, lab.NeedIPVS)
	t.Parallel()
	k := newRelayKeeper(t, "", "")
	first, second, third := k.directors[0], k.directors[1], k.directors[2]
	sessions := k.open()
	k.giveUp(first, second)
	resets := k.resets(sessions)
	for n, want := range map[*node]int{first: perServer, second: 0, third: perServer} {
		if resets[n.Name] != want {
			t.Errorf("%d of %d sessions that %s serves are reset, want %d", resets[n.Name], perServer, n.Name, want)
		}
	}
}
