package integration

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/lvsd/lvsd/director"
	"github.com/lvsd/lvsd/integration/lab"
)

// tracking is a pair whose first node, of priority 100, depends on things; the
// second has priority 90 and depends on nothing.
type tracking struct {
	*pair
	// process is a name that no other process of the machine has.
	process string
	// broken is a file that the script wants absent, number the tracked one.
	broken, number string
}

// TestTracking: the MASTER keeps its role for as long as what it depends on
// works, and takes it back when that works again.
func TestTracking(t *testing.T) {
	lab.Require(t, lab.NeedNetns)
	t.Parallel()
	p := newPlainPair(t, func(n *node, v *virtualRouter) { v.Priority = 90 })
	dir := p.lab.Dir("first")
	tr := &tracking{
		pair: p, process: fmt.Sprintf("lvsd-t-%d", os.Getpid()),
		broken: filepath.Join(dir, "broken"), number: filepath.Join(dir, "number"),
	}
	p.first.Run("ip", "link", "add", "eth1", "type", "veth", "peer", "name", "eth1-peer")
	p.first.Run("ip", "link", "set", "eth1", "up")
	p.first.Run("ip", "link", "set", "eth1-peer", "up")
	v := p.first.router
	v.Priority = 100
	v.Keys += tr.keys()
	p.first.configure(v)

	proxy := tr.listen(t)
	worker := tr.startProcess()
	p.stage("all works", func(*testing.T) {
		p.first.start()
		p.second.start()
		p.settle(p.first)
	})
	tr.faults(proxy)
	p.stage("a process ends", func(*testing.T) {
		worker.Kill()
		p.settle(p.second)
		tr.explained(`100 −20 worker since \S+ = 80`)
	})
	p.stage("it is back", func(*testing.T) {
		worker = tr.startProcess()
		p.settle(p.first)
	})
	p.stage("a file drains the node", func(*testing.T) {
		p.writeNumber(tr.number, -60)
		p.settle(p.second)
		tr.explained(`100 −60 drain since \S+ = 40`)
	})
	p.stage("another process ends, nothing is added twice", func(*testing.T) {
		worker.Kill()
		p.first.wait("priority 20", func(i director.InstanceStatus) bool { return i.Priority == 20 })
		tr.explained(`100 −20 worker since \S+ −60 drain since \S+ = 20`)
	})
	p.stage("the file is gone", func(t *testing.T) {
		if err := os.Remove(tr.number); err != nil {
			t.Fatal(err)
		}
		tr.startProcess()
		p.settle(p.first)
	})
}

// keys are all trackers.
func (tr *tracking) keys() string {
	return fmt.Sprintf(`
track = ["script", "worker", "drain", "uplink", "proxy"]
[[tracker]]
name = "script"
type = "script"
command = ["/usr/bin/test", "!", "-e", %q]
interval = "200ms"
timeout = "1m"
[[tracker]]
name = "worker"
type = "process"
process = %q
weight = -20
[[tracker]]
name = "drain"
type = "file"
file = %q
[[tracker]]
name = "uplink"
type = "interface"
interface = "eth1"
[[tracker]]
name = "proxy"
type = "check"
  [tracker.check]
  type = "tcp"
  address = "127.0.0.1:3310"
  interval = "200ms"
  fall = 2
`, tr.broken, tr.process, tr.number)
}

// faults breaks each thing without which the node must not be MASTER, and mends
// it.
func (tr *tracking) faults(proxy net.Listener) {
	must := func(err error) {
		tr.Helper()
		if err != nil {
			tr.Fatalf("%v", err)
		}
	}
	for _, c := range []struct {
		name, tracker string
		damage, mend  func()
	}{
		{
			"a script fails", "script",
			func() { must(os.WriteFile(tr.broken, nil, 0o600)) },
			func() { must(os.Remove(tr.broken)) },
		},
		{
			"another interface loses its link", "uplink",
			func() { tr.first.Run("ip", "link", "set", "eth1-peer", "down") },
			func() { tr.first.Run("ip", "link", "set", "eth1-peer", "up") },
		},
		{
			"a check fails", "proxy",
			func() { must(proxy.Close()) },
			func() { tr.listen(tr.current) },
		},
	} {
		tr.stage(c.name, func(t *testing.T) {
			c.damage()
			tr.lab.WaitFor("the second to be the only MASTER", func() error {
				return errors.Join(tr.first.inState("fault"), tr.second.inState("master"), tr.clientSees(tr.second.Host))
			})
			if faults := tr.first.now().Faults; len(faults) != 1 || !strings.HasPrefix(faults[0], "tracker "+c.tracker+": ") {
				t.Errorf("it is in FAULT because %q", faults)
			}
		})
		tr.stage(c.name+" no more", func(*testing.T) {
			c.mend()
			tr.settle(tr.first)
		})
	}
}

// explained waits until lvsd status explains the priority with the words.
func (tr *tracking) explained(words string) {
	tr.Helper()
	line := regexp.MustCompile(`(?m)^  priority: ` + words + `$`)
	tr.lab.WaitFor("the explanation", func() error {
		out, err := tr.first.lvsd("status")
		if err == nil && !line.MatchString(out) {
			err = fmt.Errorf("no line %v in:\n%s", line, out)
		}
		return err
	})
}

// listen opens the port that the check asks, in the first node.
func (tr *tracking) listen(t *testing.T) net.Listener {
	t.Helper()
	var listener net.Listener
	err := tr.first.Do(func() (err error) {
		listener, err = net.Listen("tcp4", "127.0.0.1:3310")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	tr.T.Cleanup(func() { _ = listener.Close() })
	return listener
}

// startProcess starts the process that the first node depends on.
func (tr *tracking) startProcess() *lab.Daemon {
	tr.Helper()
	program := filepath.Join(tr.lab.Dir("first"), tr.process)
	if _, err := os.Stat(program); err != nil {
		tr.first.Run("cp", "/bin/sleep", program)
	}
	return tr.first.Start(lab.Command{Name: "worker", Args: []string{program, "100000"}})
}
