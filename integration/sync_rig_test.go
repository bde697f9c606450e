package integration

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lvsd/lvsd/integration/lab"
)

// keeper is a cluster whose connections are to outlive a switch: directors, the
// first of the highest priority, and real servers, which may be the same nodes.
type keeper struct {
	*segment
	directors, servers []*node
	// keys are of every file, before the tables; instance and sync are those of
	// the tables [[vrrp]] and [sync]. Without sync there is no [sync].
	keys, instance, sync string
}

// newKeeper makes two directors and three real servers beside them.
func newKeeper(t *testing.T, sync string) *keeper {
	t.Helper()
	k := &keeper{segment: newSegment(t), sync: sync}
	k.directors = []*node{k.addNode("first", "10.99.0.1"), k.addNode("second", "10.99.0.2")}
	for i, name := range []string{"one", "two", "three"} {
		server := k.addNode(name, fmt.Sprintf("10.99.0.%d", 11+i))
		server.write(fmt.Sprintf("[[accept]]\nvips = [%q]\n", hostVIP))
		k.servers = append(k.servers, server)
	}
	k.begin(t)
	return k
}

// newRelayKeeper makes three nodes that are director and real server.
func newRelayKeeper(t *testing.T, instance, sync string) *keeper {
	t.Helper()
	k := &keeper{segment: newSegment(t), instance: "serve_on_backup = true\n" + instance, sync: sync}
	for i, name := range []string{"first", "second", "third"} {
		k.directors = append(k.directors, k.addNode(name, fmt.Sprintf("10.99.0.%d", 11+i)))
	}
	k.servers = k.directors
	k.begin(t)
	return k
}

// begin starts everything.
func (k *keeper) begin(t *testing.T) {
	t.Helper()
	for _, server := range k.servers {
		k.serve(t, server)
	}
	k.configure(k.interval)
	first := k.directors[0]
	first.start()
	k.lab.WaitFor("the first to be MASTER", func() error { return first.inState("master") })
	for _, n := range k.nodes() {
		if n != first {
			n.start()
		}
	}
	k.settle(first)
}

// configure writes the directors' files.
func (k *keeper) configure(interval time.Duration) {
	k.Helper()
	for i, n := range k.directors {
		text := virtualRouter{Version: 3, VRID: 20, Priority: 150 - 20*i, Interval: interval, Keys: "preempt = false\n" + k.instance}.lvsd()
		if k.sync != "" {
			text += "[sync]\n" + k.sync
		}
		text += fmt.Sprintf("[[virtual_service]]\naddress = \"%s:%s\"\nprotocol = \"tcp\"\nscheduler = \"rr\"\nforwarding = \"dr\"\n", hostVIP, echoPort)
		for _, server := range k.servers {
			text += fmt.Sprintf("  [[virtual_service.real_server]]\n  address = %q\n", server.Address)
		}
		n.write(k.keys + text)
	}
}

// nodes are all of them, once each.
func (k *keeper) nodes() []*node {
	all := slices.Clone(k.servers)
	for _, n := range k.directors {
		if !slices.Contains(all, n) {
			all = append(all, n)
		}
	}
	return all
}

// settle waits until the node is the only MASTER and the client knows.
func (k *keeper) settle(master *node) {
	k.Helper()
	k.lab.WaitFor(master.Name+" to be the only MASTER", func() error {
		errs := []error{k.clientSees(master.Host)}
		for _, n := range k.directors {
			switch {
			case n == master:
				errs = append(errs, n.inState("master"), k.redirects(n, false))
			case n.takesPart():
				errs = append(errs, n.inState("backup"), k.redirects(n, k.instance != ""))
			}
		}
		return errors.Join(errs...)
	})
}

// redirects is an error unless the node has the rule, or has none. A new MASTER
// serves all requests itself as long as it has one.
func (k *keeper) redirects(n *node, want bool) error {
	i, err := n.instance()
	if err == nil && i.VIPs[0].Redirected != want {
		err = fmt.Errorf("%s has the rule: %v", n.Name, !want)
	}
	return err
}

// giveUp is a planned switch.
func (k *keeper) giveUp(from, to *node) {
	k.Helper()
	if out, err := from.lvsd("vrrp", "give-up", "VI_1", "--timeout", k.lab.Scaled(time.Minute).String()); err != nil {
		k.Fatalf("give-up: %v: %s", err, out)
	}
	k.settle(to)
	if out, err := from.lvsd("vrrp", "release", "VI_1"); err != nil {
		k.Fatalf("release: %v: %s", err, out)
	}
}

// serve runs a server in the node. It tells its name, and then every line comes
// back.
func (k *keeper) serve(t *testing.T, n *node) {
	t.Helper()
	serveEcho(t, n, func(net.Conn) string { return n.Name })
}

// perServer is how many sessions go to each real server.
const perServer = 4

// open opens sessions, the same number to each server.
func (k *keeper) open() []*session {
	k.Helper()
	var all []*session
	served := map[string]int{}
	for range perServer * len(k.servers) {
		s := k.dial()
		served[s.server]++
		all = append(all, s)
	}
	for _, server := range k.servers {
		if served[server.Name] != perServer {
			k.Fatalf("%s serves %d sessions, want %d: %v", server.Name, served[server.Name], perServer, served)
		}
	}
	return all
}

func (k *keeper) dial() *session {
	k.Helper()
	s := &session{}
	err := k.client.Do(func() (err error) {
		s.conn, err = net.DialTimeout("tcp4", net.JoinHostPort(hostVIP, echoPort), k.lab.Scaled(20*time.Second))
		return err
	})
	if err != nil {
		k.Fatalf("connect to the VIP: %v", err)
	}
	k.T.Cleanup(func() { _ = s.conn.Close() })
	s.reader = bufio.NewReader(s.conn)
	if s.server, err = s.line(k.lab); err != nil {
		k.Fatalf("connected to the VIP: %v", err)
	}
	return s
}

// known waits until the nodes' IPVS has the sessions.
func (k *keeper) known(sessions []*session, nodes ...*node) {
	k.Helper()
	for _, n := range nodes {
		k.lab.WaitFor(n.Name+" to know the sessions", func() error {
			table, err := n.Try("ipvsadm", "-Lnc")
			for _, s := range sessions {
				if client := s.conn.LocalAddr().String(); err == nil && !strings.Contains(table, " "+client+" ") {
					err = fmt.Errorf("session from %s is not in\n%s", client, table)
				}
			}
			return err
		})
	}
}

// chat has data going both ways on every second session until the returned
// function is called, which returns the sessions that failed.
func (k *keeper) chat(sessions []*session) (end func() map[*session]error) {
	ctx, cancel := context.WithCancel(k.Context())
	var talking sync.WaitGroup
	var mu sync.Mutex
	failed := map[*session]error{}
	for i := 0; i < len(sessions); i += 2 {
		s := sessions[i]
		talking.Go(func() {
			pace := time.NewTicker(20 * time.Millisecond)
			defer pace.Stop()
			for ctx.Err() == nil {
				if err := s.alive(k.lab); err != nil {
					mu.Lock()
					failed[s] = err
					mu.Unlock()
					return
				}
				select {
				case <-ctx.Done():
				case <-pace.C:
				}
			}
		})
	}
	return func() map[*session]error {
		cancel()
		talking.Wait()
		return failed
	}
}

// survive does something under way of which every session must live on, but
// those served by the dead, whose fate is not looked at.
func (k *keeper) survive(t *testing.T, sessions []*session, what func(), dead ...*node) {
	t.Helper()
	living := slices.DeleteFunc(slices.Clone(sessions), func(s *session) bool {
		return slices.ContainsFunc(dead, func(n *node) bool { return n.Name == s.server })
	})
	end := k.chat(living)
	what()
	k.live(t, living, end())
}

// surviveAtRest is survive for sessions on which nothing is under way: what a node
// answers that has stopped and whose neighbours have not heard of it, because the
// machine is slow, is nobody's fault.
func (k *keeper) surviveAtRest(t *testing.T, sessions []*session, what func()) {
	t.Helper()
	what()
	k.live(t, sessions, nil)
}

// live fails the test unless every session has not failed and lives.
func (k *keeper) live(t *testing.T, sessions []*session, failed map[*session]error) {
	t.Helper()
	for _, s := range sessions {
		err := failed[s]
		if err == nil {
			err = s.alive(k.lab)
		}
		if err != nil {
			t.Errorf("session served by %s: %v", s.server, err)
		}
	}
	if t.Failed() {
		for _, n := range k.directors {
			if out, err := n.Try("ipvsadm", "-Lnc"); err == nil {
				t.Logf("%s:\n%s\n%s", n.Name, out, n.daemon.Output())
			}
		}
	}
	t.Logf("%d sessions, each asked whether it lives", len(sessions))
}

// resets counts the sessions, by server, that are reset at their next packet.
func (k *keeper) resets(sessions []*session) map[string]int {
	resets := map[string]int{}
	for _, s := range sessions {
		if err := s.alive(k.lab); err != nil && strings.Contains(err.Error(), "reset") {
			resets[s.server]++
		}
	}
	return resets
}

// daemons are the synchronisation daemons of the node's kernel: "master",
// "backup".
func (k *keeper) daemons(n *node) string {
	k.Helper()
	out, err := n.Try("ipvsadm", "-Ln", "--daemon")
	if err != nil {
		k.Fatalf("%v", err)
	}
	var states []string
	for line := range strings.Lines(out) {
		if state, _, ok := strings.Cut(line, " sync daemon"); ok {
			states = append(states, state)
		}
	}
	return strings.Join(states, " ")
}

// waitDaemons waits until the node has these.
func (k *keeper) waitDaemons(n *node, want string) {
	k.Helper()
	k.lab.WaitFor(fmt.Sprintf("%s to have daemons %q", n.Name, want), func() error {
		if got := k.daemons(n); got != want {
			return fmt.Errorf("it has %q", got)
		}
		return nil
	})
}

// waitUnmuted waits until a new MASTER's resets pass again.
func (k *keeper) waitUnmuted(n *node) {
	k.Helper()
	k.lab.WaitFor(n.Name+" to send resets again", func() error {
		out, err := n.Try("iptables", "-t", "mangle", "-S", "OUTPUT")
		if err == nil && strings.Contains(out, "lvsd") {
			err = errors.New(out)
		}
		return err
	})
}

// dies takes the node away at once: its lvsd is killed and its cable pulled.
func (k *keeper) dies(n *node) {
	k.Helper()
	n.SetCable(false)
	n.daemon.Kill()
}

// kernelOf is what lvsd may have changed in the node's kernel.
func (k *keeper) kernelOf(n *node) string {
	k.Helper()
	var all strings.Builder
	for _, command := range []string{
		"ip -o address show dev " + lab.LinkName + " scope global", "ip -o address show dev lo", "ip rule", "ip route show table all proto 112",
		"iptables -t nat -S", "iptables -t mangle -S", "ipvsadm -Sn", "ipvsadm -Ln --daemon", "ipvsadm -Ln --timeout",
		"sysctl net.ipv4.vs net.ipv4.conf.all net.ipv4.ip_forward",
	} {
		out, err := n.Try("sh", "-c", command)
		if err != nil {
			k.Fatalf("%v", err)
		}
		fmt.Fprintf(&all, "# %s\n%s", command, out)
	}
	return all.String()
}
