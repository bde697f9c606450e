package integration

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lvsd/lvsd/integration/lab"

	"github.com/lvsd/lvsd/integration/relay"
)

// unprivileged is a user and a group that own nothing but what a node needs.
const unprivileged = 64123

// privileges are all that lvsd needs, as setpriv takes them, and as the kernel
// shows them.
const (
	privileges     = "-all,+net_admin,+net_raw,+net_bind_service,+setuid,+setgid,+kill"
	privilegesMask = "00000000000034e0"
)

// TestUnprivileged is a fail-over of two nodes whose lvsd is no root: it has the
// capabilities that the unit gives it and cannot get others. A hook with a user
// has none of them.
func TestUnprivileged(t *testing.T) {
	lab.Require(t, lab.NeedNetns)
	t.Parallel()
	p := newPair(t)
	program := filepath.Join(p.lab.Dir("program"), "lvsd")
	copyProgram(t, relay.Binary(p), program)
	hook := filepath.Join(p.lab.Dir("program"), "hook")
	text := "#!/bin/sh\necho \"$3 $(id -u) $(sed -n 's/^CapEff:.//p' /proc/self/status)\" >>$RECORD\n"
	if err := os.WriteFile(hook, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	records := map[string]string{"own": "", "nobody": "user = \"65534:65534\", "}
	for n, user := range map[*node]string{p.first: "own", p.second: "nobody"} {
		owner := map[string]int{"own": unprivileged, "nobody": 65534}[user]
		directory := p.lab.Dir(n.Name, "record")
		chown(t, owner, directory)
		file := filepath.Join(directory, "record")
		router := n.router
		router.Keys += fmt.Sprintf("notify = { any = [%q], %senvironment = { RECORD = %q } }\n", hook, records[user], file) +
			"[[accept]]\nvips = [\"10.99.0.101\"]\nforwarding = \"dr\"\n"
		records[user] = file
		n.configure(router)
		chown(t, unprivileged, n.config, n.run, n.state)
		n.startAs(t, program)
	}
	p.stage("roles, VIP and rule are as with root", func(*testing.T) { p.settle(p.first) })
	p.stage("kernel parameters and addresses of a real server too", func(t *testing.T) {
		p.lab.WaitFor("arp_ignore", func() error {
			if out, err := p.second.Try("cat", "/proc/sys/net/ipv4/conf/all/arp_ignore"); err != nil || strings.TrimSpace(out) != "1" {
				return fmt.Errorf("%q, %v", out, err)
			}
			return nil
		})
		p.lab.WaitFor("the address", func() error { return wantVIPs(p.second.Host, "lo", []string{"10.99.0.101"}, true) })
	})
	p.stage("it is no root, and cannot become it", func(t *testing.T) {
		for _, n := range p.nodes() {
			status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", n.daemon.PID()))
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range []string{
				"Uid:\t64123\t64123\t64123\t64123\n", "Gid:\t64123\t64123\t64123\t64123\n", "NoNewPrivs:\t1\n",
				"CapEff:\t" + privilegesMask + "\n", "CapBnd:\t" + privilegesMask + "\n",
			} {
				if !strings.Contains(string(status), want) {
					t.Errorf("%s: no %q in\n%s", n.Name, want, status)
				}
			}
		}
	})
	p.stage("the link is lost, the other takes over", func(*testing.T) {
		p.first.SetCable(false)
		p.settle(p.second)
		p.first.SetCable(true)
		p.settle(p.first)
	})
	p.stage("hooks run as they should", func(*testing.T) {
		p.lab.WaitFor("the hook of lvsd's user", func() error {
			return recorded(records["own"], "MASTER 64123 "+privilegesMask)
		})
		p.lab.WaitFor("the hook of nobody", func() error { return recorded(records["nobody"], "MASTER 65534 0000000000000000") })
	})
	p.stage("a stop leaves nothing", func(t *testing.T) {
		p.first.stop()
		p.settle(p.second)
		if holds(p.first.Host) {
			t.Error("the VIP is still there")
		}
		p.second.stop()
	})
}

// startAs starts lvsd as systemd does with User= and AmbientCapabilities=.
func (n *node) startAs(t *testing.T, program string) {
	t.Helper()
	user := fmt.Sprint(unprivileged)
	n.daemon = n.Start(lab.Command{Name: "lvsd", Env: n.env, Args: []string{
		"setpriv", "--reuid", user, "--regid", user, "--clear-groups", "--no-new-privs",
		"--inh-caps=" + privileges, "--ambient-caps=" + privileges, "--bounding-set=" + privileges,
		program, "run", "-c", n.config, "--run-dir", n.run, "--state-dir", n.state,
	}})
}

// recorded is an error unless a hook has written the line.
func recorded(file, line string) error {
	text, err := os.ReadFile(file)
	if err == nil && !strings.Contains(string(text), line+"\n") {
		err = fmt.Errorf("%q has no %q", text, line)
	}
	return err
}

func chown(t *testing.T, id int, paths ...string) {
	t.Helper()
	for _, path := range paths {
		if err := os.Chown(path, id, id); err != nil {
			t.Fatal(err)
		}
	}
}

// copyProgram makes the program one that every user may run.
func copyProgram(t *testing.T, from, to string) {
	t.Helper()
	in, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = in.Close() }()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(out, in); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
}
