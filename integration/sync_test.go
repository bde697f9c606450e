package integration

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lvsd/lvsd/integration/lab"
)

// TestSync: with the synchronisation daemons, sessions to real servers that are no
// directors outlive every switch.
func TestSync(t *testing.T) {
	lab.Require(t, lab.NeedNetns, lab.NeedIPVS)
	t.Parallel()
	k := newKeeper(t, "id = 7\n")
	first, second := k.directors[0], k.directors[1]
	var sessions []*session
	k.stage("both know every session", func(*testing.T) {
		sessions = k.open()
		k.known(sessions, k.directors...)
		for _, n := range k.directors {
			k.waitDaemons(n, "master backup")
		}
	})
	k.stage("planned, and back", func(t *testing.T) {
		k.survive(t, sessions, func() { k.giveUp(first, second) })
		k.survive(t, sessions, func() { k.giveUp(second, first) })
	})
	k.stage("planned, sessions opened right before", func(t *testing.T) {
		young := k.open()
		k.survive(t, young, func() { k.giveUp(first, second) })
		sessions = append(sessions, young...)
	})
	k.stage("resets of a settled MASTER pass", func(t *testing.T) {
		k.waitUnmuted(second)
	})
	k.stage("a clean stop waits for the sender", func(t *testing.T) {
		young := k.open()
		sessions = append(sessions, young...)
		k.survive(t, sessions, func() {
			second.stop()
			k.settle(first)
		})
		if out := second.daemon.Output(); !strings.Contains(out, "waiting until the other nodes know this one's connections") {
			t.Errorf("the wait is not logged:\n%s", out)
		}
		if got := k.daemons(second); got != "" {
			t.Errorf("it left daemons %q", got)
		}
	})
	k.stage("it is back, and learns of the sessions", func(*testing.T) {
		second.start()
		k.settle(first)
		k.known(k.open(), second)
	})
	k.stage("unplanned", func(t *testing.T) {
		k.known(sessions, second)
		k.survive(t, sessions, func() {
			k.dies(first)
			k.settle(second)
		})
	})
}

// TestSyncOff shows that TestSync can fail.
func TestSyncOff(t *testing.T) {
	lab.Require(t, lab.NeedNetns, lab.NeedIPVS)
	t.Parallel()
	k := newKeeper(t, "")
	sessions := k.open()
	k.giveUp(k.directors[0], k.directors[1])
	want := map[string]int{}
	for _, server := range k.servers {
		want[server.Name] = perServer
	}
	if diff := cmp.Diff(want, k.resets(sessions)); diff != "" {
		t.Errorf("sessions that are reset (-want +got):\n%s", diff)
	}
}

// TestSyncFollows: with daemons = "follow" the roles decide who sends and who
// receives, and nothing is lost although a sender stops.
func TestSyncFollows(t *testing.T) {
	lab.Require(t, lab.NeedNetns, lab.NeedIPVS)
	t.Parallel()
	k := newKeeper(t, "id = 7\ndaemons = \"follow\"\n")
	first, second := k.directors[0], k.directors[1]
	k.stage("the MASTER sends, the BACKUP receives", func(*testing.T) {
		k.waitDaemons(first, "master")
		k.waitDaemons(second, "backup")
	})
	sessions := k.open()
	k.stage("a former MASTER sends what it still has", func(t *testing.T) {
		k.survive(t, sessions, func() { k.giveUp(first, second) })
		k.waitDaemons(first, "backup")
		k.waitDaemons(second, "master")
		lingered(t, first)
	})
	k.stage("and back", func(t *testing.T) {
		young := k.open()
		k.survive(t, append(sessions, young...), func() { k.giveUp(second, first) })
		k.waitDaemons(first, "master")
		k.waitDaemons(second, "backup")
		lingered(t, second)
	})
}

// lingered fails the test unless the node's sender stopped later than it takes to
// send what it held.
func lingered(t *testing.T, n *node) {
	t.Helper()
	var left, stopped time.Time
	for line := range strings.Lines(n.daemon.Output()) {
		switch {
		case strings.Contains(line, "Entering BACKUP STATE") && strings.Contains(line, "from=MASTER"):
			left = logged(t, line)
		case strings.Contains(line, "--stop-daemon master"):
			stopped = logged(t, line)
		}
	}
	const sendsWithin = 3 * time.Second
	if took := stopped.Sub(left); left.IsZero() || took < sendsWithin {
		t.Errorf("%s: the sender stopped %v after the switch, at least %v are needed", n.Name, took, sendsWithin)
	}
}

// logged is when a line of the log was written.
func logged(t *testing.T, line string) time.Time {
	t.Helper()
	text, _, _ := strings.Cut(strings.TrimPrefix(line, "time="), " ")
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// TestSyncRestart: a MASTER that is restarted changes nothing in the kernel.
func TestSyncRestart(t *testing.T) {
	lab.Require(t, lab.NeedNetns, lab.NeedIPVS)
	t.Parallel()
	k := newRelayKeeper(t, "keep_connections = true\n", "id = 7\n")
	first := k.directors[0]
	k.stage("a slower pace", func(*testing.T) {
		// The restart must fit into three intervals on any machine.
		k.configure(5 * k.interval)
		for _, n := range k.directors {
			if reload := n.hangUp(); !reload.OK {
				k.Fatalf("%s: reload: %s", n.Name, reload.Error)
			}
		}
		k.settle(first)
	})
	sessions := k.open()
	for _, signal := range []syscall.Signal{syscall.SIGUSR2, syscall.SIGKILL} {
		k.stage(signal.String(), func(t *testing.T) {
			k.waitUnmuted(first)
			before := k.kernelOf(first)
			k.survive(t, sessions, func() {
				first.daemon.Signal(signal)
				<-first.daemon.Done()
				first.start()
				k.settle(first)
			})
			if reason := first.now().Reason; reason != "resumed after a restart" {
				t.Errorf("it is MASTER because %q", reason)
			}
			if out := first.daemon.Output(); strings.Contains(out, "msg=changed") || strings.Contains(out, "msg=\"repaired") {
				t.Errorf("the kernel was changed:\n%s", out)
			}
			if diff := cmp.Diff(strings.Split(before, "\n"), strings.Split(k.kernelOf(first), "\n")); diff != "" {
				t.Errorf("the kernel (-before +after):\n%s", diff)
			}
		})
	}
}
