package integration

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lvsd/lvsd/director"
	"github.com/lvsd/lvsd/integration/lab"
)

// haproxyFarm is the example web-farm with HAProxy on the two nodes in place of IPVS.
type haproxyFarm struct {
	*webFarm
	haproxy [2]*lab.Daemon
}

// TestWebFarmHAProxy: the same farm with HAProxy on the pair, from haproxy.toml and
// haproxy.cfg. lvsd does nothing but hold the VIP where HAProxy works.
func TestWebFarmHAProxy(t *testing.T) {
	lab.Require(t, lab.NeedNetns, lab.NeedHAProxy, lab.NeedNginx)
	t.Parallel()
	f := &haproxyFarm{webFarm: newWebFarm(t, "192.168.213.%d", 100, 11, 13)}
	for i := range f.web {
		f.serveWeb(i)
		f.web[i].WaitListening(80)
	}
	for i, n := range f.nodes {
		n.write(f.example("haproxy.toml", "ens33", lab.LinkName,
			`advert_interval = "1s"`, keyed("advert_interval", f.interval),
			`interval = "2s"`, `interval = "500ms"`, `timeout = "2s"`, keyed("timeout", f.lab.Scaled(2*time.Second)),
			`process = "haproxy"`, fmt.Sprintf("process = %q", processName(i))))
		f.startHAProxy(i)
	}
	first, second := f.nodes[0], f.nodes[1]
	f.stage("the first to start is MASTER", func(*testing.T) {
		first.start()
		f.lab.WaitFor("the first to be MASTER", func() error { return first.inState("master") })
		second.start()
		f.settle(first)
	})
	f.stage("both web servers answer through HAProxy", f.reachesBoth)
	f.stage("HAProxy is stopped while curl loops", f.haproxyStops)
	f.stage("HAProxy is back, and the VIP stays", func(t *testing.T) {
		f.startHAProxy(0)
		f.lab.WaitFor("the first to take part", func() error { return first.inState("backup") })
		f.stays(t, second, first)
	})
	f.stage("lvsd is stopped while curl loops, and returns", f.lvsdStops)
	f.stage("HAProxy is stopped in maintenance", f.maintained)
	f.stage("HAProxy hangs", f.haproxyHangs)
}

// processName is what the HAProxy of a node is called: all nodes of a lab are in one
// process namespace, and lvsd counts by name.
func processName(i int) string { return fmt.Sprintf("hap%d-%d", i+1, os.Getpid()) }

// startHAProxy starts the node's HAProxy with the file of the example.
func (f *haproxyFarm) startHAProxy(i int) {
	f.Helper()
	dir := f.lab.Dir(f.nodes[i].Name, "haproxy")
	file, program := filepath.Join(dir, "haproxy.cfg"), filepath.Join(dir, processName(i))
	text := f.example("haproxy.cfg", "maxconn 100000", "maxconn 1000")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		f.Fatalf("%v", err)
	}
	haproxy, err := exec.LookPath("haproxy")
	if err == nil {
		err = os.Symlink(haproxy, program)
	}
	if err != nil && !errors.Is(err, os.ErrExist) {
		f.Fatalf("%v", err)
	}
	f.haproxy[i] = f.nodes[i].Start(lab.Command{Name: "haproxy", Args: []string{program, "-db", "-f", file}})
}

// reachesBoth waits until requests reach both web servers, which see HAProxy as
// their client.
func (f *haproxyFarm) reachesBoth(*testing.T) {
	seen := map[string]bool{}
	f.lab.WaitFor("both web servers to answer", func() error {
		page, err := f.page()
		if err != nil {
			return err
		}
		var server, client, itself string
		if _, err := fmt.Sscan(page, &server, &client, &itself); err != nil {
			return fmt.Errorf("the page is %q: %w", page, err)
		}
		if client != f.nodes[0].Address.String() {
			f.Fatalf("%s saw the client as %s, want HAProxy, %s", server, client, f.nodes[0].Address)
		}
		if seen[server] = true; len(seen) < len(f.web) {
			return fmt.Errorf("only %s so far", server)
		}
		return nil
	})
}

// page is what curl gets. While HAProxy starts it may be refused.
func (f *haproxyFarm) page() (string, error) {
	args := f.curl("http")
	return f.client.Try(args[0], args[1:]...)
}

// Why curl may fail, by its exit status: what a client sees of a node that the VIP
// leaves.
var (
	// A connection ends with the HAProxy that it goes through.
	cut = []string{"18 ", "52 ", "55 ", "56 "}
	// Nobody listens between the end of HAProxy and the VIP's departure.
	refused = []string{"7 "}
)

// only checks that requests failed for none but the reasons, and returns how many.
func only(t *testing.T, failures []string, reasons ...string) int {
	t.Helper()
	for _, failure := range failures {
		known := false
		for _, reason := range reasons {
			known = known || strings.HasPrefix(failure, reason)
		}
		if !known {
			t.Errorf("a request failed: %s", failure)
		}
	}
	return len(failures)
}

// haproxyStops: requests fail from the end of HAProxy until the VIP is on the other
// node, and none after that.
func (f *haproxyFarm) haproxyStops(t *testing.T) {
	first, second := f.nodes[0], f.nodes[1]
	loop := f.startCurl("http")
	defer loop.daemon.Kill()
	loop.answered(5)
	if err := f.haproxy[0].Stop(); err == nil {
		t.Log("HAProxy ended with status 0")
	}
	f.lab.WaitFor("the second to be the only MASTER", func() error {
		return errors.Join(first.inState("fault"), second.inState("master"), f.clientResolves(f.vip, second.MAC()))
	})
	loop.answered(1)
	_, before := loop.requests()
	loop.answered(20)
	n, failures := loop.requests()
	if len(failures) > len(before) {
		t.Errorf("requests failed after the switch: %q", failures[len(before):])
	}
	t.Logf("%d requests, %d failed", n, only(t, failures, append(cut, refused...)...))
	if faults := f.current(first).Faults; !strings.Contains(strings.Join(faults, " "), "tracker haproxy: ") {
		t.Errorf("it is in FAULT because %q", faults)
	}
	first.loggedOnce(`msg="tracker down"`, "tracker=haproxy")
}

// lvsdStops: HAProxy goes on, so the one request that is under way is all that can
// fail.
func (f *haproxyFarm) lvsdStops(t *testing.T) {
	first, second := f.nodes[0], f.nodes[1]
	loop := f.startCurl("http")
	defer loop.daemon.Kill()
	loop.answered(5)
	second.stop()
	f.settle(first)
	loop.answered(20)
	_, failures := loop.requests()
	if n := only(t, failures, cut...); n > 1 {
		t.Errorf("%d requests failed at a stop, want one at most: %q", n, failures)
	}
	second.start()
	f.settle(first)
	f.stays(t, first, second)
	loop.answered(5)
	n, after := loop.requests()
	if len(after) > len(failures) {
		t.Errorf("requests failed when lvsd was back: %q", after[len(failures):])
	}
	t.Logf("%d requests, %d failed", n, len(after))
}

// maintained: the VIP leaves first, so nobody is refused.
func (f *haproxyFarm) maintained(t *testing.T) {
	first, second := f.nodes[0], f.nodes[1]
	loop := f.startCurl("http")
	defer loop.daemon.Kill()
	loop.answered(5)
	if out, err := first.lvsd("maintenance", "on", "--reason", "new HAProxy"); err != nil {
		t.Fatalf("maintenance: %v: %s", err, out)
	}
	f.settle(second)
	_ = f.haproxy[0].Stop() // which ends by the signal
	loop.answered(5)
	f.startHAProxy(0)
	first.wait("HAProxy to be back", func(i director.InstanceStatus) bool { return i.State == "backup" })
	if out, err := first.lvsd("maintenance", "off"); err != nil {
		t.Fatalf("maintenance: %v: %s", err, out)
	}
	f.settle(second)
	loop.answered(5)
	n, failures := loop.requests()
	if count := only(t, failures, cut...); count > 1 {
		t.Errorf("%d requests failed at a planned switch, want one at most: %q", count, failures)
	}
	t.Logf("%d requests, %d failed", n, len(failures))
}

// haproxyHangs: its process is there still, and does not answer. The request that
// it has taken fails once the client asks, by a keep-alive, whether it is there.
func (f *haproxyFarm) haproxyHangs(t *testing.T) {
	first, second := f.nodes[0], f.nodes[1]
	loop := f.startCurl("http", "--keepalive-time", "2")
	defer loop.daemon.Kill()
	loop.answered(5)
	f.haproxy[1].Signal(syscall.SIGSTOP)
	f.lab.WaitFor("the first to be the only MASTER", func() error {
		return errors.Join(second.inState("fault"), first.inState("master"), f.clientResolves(f.vip, first.MAC()))
	})
	loop.answered(5)
	n, failures := loop.requests()
	if count := only(t, failures, cut...); count > 1 {
		t.Errorf("%d requests failed, want one at most: %q", count, failures)
	}
	t.Logf("%d requests, %d failed", n, len(failures))
	if faults := f.current(second).Faults; !strings.Contains(strings.Join(faults, " "), "tracker answers: ") {
		t.Errorf("it is in FAULT because %q", faults)
	}
	f.haproxy[1].Signal(syscall.SIGCONT)
	f.lab.WaitFor("the second to take part", func() error { return second.inState("backup") })
	f.settle(first)
}
