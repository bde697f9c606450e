package integration

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lvsd/lvsd/director"
	"github.com/lvsd/lvsd/integration/lab"
	"github.com/lvsd/lvsd/integration/relay"
)

// TestPlan: what plan shows is what is done, by apply and by a daemon, and plan
// itself does nothing. The configuration is the mail relay's, whose real servers
// are not there.
func TestPlan(t *testing.T) {
	lab.Require(t, lab.NeedNetns, lab.NeedIPVS)
	t.Parallel()
	text, err := os.ReadFile(example)
	if err != nil {
		t.Fatal(err)
	}
	s := newSegment(t)
	p := &planned{node: s.addNode("node", "10.99.0.1"), t: s.stages}
	p.write(string(text))
	// An address gets its route when nobody else turns out to have it, which is no
	// change of lvsd's.
	s.lab.WaitFor("the node's own addresses to be settled", func() error {
		if out := p.Run("ip", "-6", "address", "show", "tentative"); out != "" {
			return errors.New(out)
		}
		return nil
	})
	s.stage("the host has what it takes", func(t *testing.T) {
		if code, out := p.lvsd("check", "--host", "-c", p.config); code != 0 {
			t.Errorf("exit code %d:\n%s", code, out)
		}
	})
	s.stage("an empty kernel", p.emptyKernel)
	s.stage("applied once", p.appliedOnce)
	s.stage("what somebody else changed", p.tampered)
	s.stage("a reload", p.reloads)
}

// planned is a node that lvsd plan looks at.
type planned struct {
	*node
	t *stages
}

// lvsd runs a command of lvsd's on the node.
func (p *planned) lvsd(arguments ...string) (code int, out string) {
	p.t.Helper()
	out, err := p.Try(relay.Binary(p.t), arguments...)
	var failed *exec.ExitError
	switch {
	case errors.As(err, &failed):
		return failed.ExitCode(), out
	case err != nil:
		p.t.Fatalf("%v", err)
	}
	return 0, out
}

func (p *planned) files() []string {
	return []string{"-c", p.config, "--run-dir", p.run, "--state-dir", p.state}
}

// plan runs lvsd plan, and checks that its exit code is right and that nothing
// is other than before.
func (p *planned) plan(arguments ...string) director.Preview {
	p.t.Helper()
	before := p.everything()
	code, out := p.lvsd(append(append([]string{"plan", "--json"}, p.files()...), arguments...)...)
	var preview director.Preview
	if err := json.Unmarshal([]byte(out), &preview); err != nil {
		p.t.Fatalf("lvsd plan, exit code %d: %v:\n%s", code, err, out)
	}
	if diff := cmp.Diff(before, p.everything()); diff != "" {
		p.t.Fatalf("lvsd plan changed something (-before +after):\n%s", diff)
	}
	want := 0
	if !preview.Empty() {
		want = 2
	}
	if code != want {
		p.t.Fatalf("lvsd plan: exit code %d, want %d:\n%s", code, want, out)
	}
	return preview
}

// everything is what lvsd could change: in the kernel, and in its directories.
func (p *planned) everything() string {
	p.t.Helper()
	return p.Run("sh", "-c", "ipvsadm -Sn; ip address; ip rule; ip route show table all; "+
		"iptables -t nat -S; iptables -t mangle -S; grep -s . /proc/sys/net/ipv4/vs/* /proc/sys/net/ipv4/ip_forward; "+
		"ls -l "+p.state+"; ls "+p.run)
}

func commands(changes []director.Change) []string {
	all := []string{}
	for _, change := range changes {
		all = append(all, change.Command)
	}
	return all
}

func (p *planned) emptyKernel(t *testing.T) {
	p.Run("ipvsadm", "-Ln") // loads the module, as plan may
	preview := p.plan()
	if preview.Of != director.PreviewStart || preview.Summary.Add != 7 || preview.Unanswered != 4 {
		t.Errorf("plan %+v:\n%s", preview, strings.Join(commands(preview.Changes), "\n"))
	}
	if master := p.plan("--role", "mail_relay=master"); !slices.Contains(commands(master.Changes),
		"ip address add 192.168.3.100/32 dev "+lab.LinkName) {
		t.Errorf("as MASTER:\n%s", strings.Join(commands(master.Changes), "\n"))
	}
}

func (p *planned) appliedOnce(t *testing.T) {
	code, out := p.lvsd(append([]string{"apply", "--once", "--health", "up"}, p.files()...)...)
	if code != 0 || !strings.Contains(out, "a second plan has nothing to do") {
		t.Fatalf("apply: exit code %d:\n%s", code, out)
	}
	t.Log(out)
	if table := p.Run("ipvsadm", "-Sn"); strings.Count(table, "-w 1") != 4 {
		t.Errorf("table:\n%s", table)
	}
	if preview := p.plan(); !preview.Empty() {
		t.Errorf("a second plan:\n%s", strings.Join(commands(preview.Changes), "\n"))
	}
	if code, out := p.lvsd(append([]string{"plan"}, p.files()...)...); code != 0 || !strings.Contains(out, "nothing to do") {
		t.Errorf("exit code %d:\n%s", code, out)
	}
}

func (p *planned) tampered(t *testing.T) {
	const service = "-t 192.168.3.100:25"
	var want []string
	for _, tamper := range []struct{ command, mend string }{
		{"ipvsadm -d " + service + " -r 192.168.3.102:25", "ipvsadm -a " + service + " -r 192.168.3.102:25 -g -w 0"},
		{"ipvsadm -e " + service + " -r 192.168.3.103:25 -g -w 5", "ipvsadm -e " + service + " -r 192.168.3.103:25 -g -w 1"},
		{"ipvsadm -E " + service + " -s rr", "ipvsadm -E " + service + " -s wlc"},
		{"ipvsadm -a " + service + " -r 192.168.3.109:25 -g", "ipvsadm -d " + service + " -r 192.168.3.109:25"},
		{"iptables -t nat -F", "iptables -t nat -I PREROUTING -d 192.168.3.100/32 -p tcp --dport 25 --syn -j REDIRECT"},
		{"ip address add 192.168.3.100/32 dev " + lab.LinkName, "ip address del 192.168.3.100/32 dev " + lab.LinkName},
		{"sysctl -w net.ipv4.vs.expire_nodest_conn=0", "sysctl -w net.ipv4.vs.expire_nodest_conn=1"},
	} {
		p.Run("sh", "-c", tamper.command)
		want = append(want, tamper.mend)
	}
	found := commands(p.plan().Changes)
	slices.Sort(want)
	slices.Sort(found)
	if diff := cmp.Diff(want, found); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if code, out := p.lvsd(append([]string{"apply", "--once"}, p.files()...)...); code != 0 {
		t.Errorf("apply: exit code %d:\n%s", code, out)
	}
	p.Run("ipvsadm", "-A", "-t", "192.168.3.100:26")
	preview := p.plan()
	if !preview.Empty() || !slices.Equal(preview.Foreign, []string{"virtual service tcp 192.168.3.100:26"}) {
		t.Errorf("somebody else's service: foreign %q, changes %q", preview.Foreign, commands(preview.Changes))
	}
}

// reloads: the daemon's plan of a changed file is what the reload then logs.
func (p *planned) reloads(t *testing.T) {
	p.start()
	p.segment.lab.WaitFor("the only node to be MASTER, and every server down", func() error {
		i, err := p.instance()
		if err == nil && (i.State != "master" || !i.VIPs[0].Held || i.VIPs[0].Redirected) {
			err = fmt.Errorf("it is %s, VIP %+v", i.State, i.VIPs[0])
		}
		table, tableErr := p.Try("ipvsadm", "-Sn")
		if tableErr == nil && strings.Count(table, "-w 0") != 4 {
			tableErr = fmt.Errorf("table:\n%s", table)
		}
		return errors.Join(err, tableErr)
	})
	if preview := p.plan(); !preview.Empty() || preview.Of != director.PreviewReload || preview.Roles["mail_relay"] != "master" {
		t.Errorf("an unchanged file: %+v", preview)
	}
	text, err := os.ReadFile(p.config)
	if err != nil {
		t.Fatal(err)
	}
	p.write(strings.NewReplacer(`"wlc"`, `"wrr"`, `"192.168.3.104"`, `"192.168.3.105"`,
		`vips = ["192.168.3.100"]`, `vips = ["192.168.3.100", "192.168.3.110"]`).Replace(string(text)))
	preview := p.plan()
	if len(preview.Changes) != 4 {
		t.Errorf("foreseen:\n%s", strings.Join(commands(preview.Changes), "\n"))
	}
	if code, out := p.lvsd(append([]string{"apply", "--once"}, p.files()...)...); code != 1 ||
		!strings.Contains(out, "systemctl reload lvsd") {
		t.Errorf("apply beside a daemon: exit code %d:\n%s", code, out)
	}
	before := len(changed(p.daemon.Output()))
	if status := p.hangUp(); !status.OK {
		t.Fatalf("reload: %s", status.Error)
	}
	p.segment.lab.WaitFor("the changes in the log", func() error {
		if done := len(changed(p.daemon.Output())) - before; done < len(preview.Changes) {
			return fmt.Errorf("%d so far", done)
		}
		return nil
	})
	if diff := cmp.Diff(commands(preview.Changes), changed(p.daemon.Output())[before:]); diff != "" {
		t.Errorf("foreseen and done (-foreseen +done):\n%s", diff)
	}
	if preview := p.plan(); !preview.Empty() {
		t.Errorf("after the reload:\n%s", strings.Join(commands(preview.Changes), "\n"))
	}
	p.write("[[vrrp]\n")
	if code, out := p.lvsd(append([]string{"plan"}, p.files()...)...); code != 1 || !strings.Contains(out, "lvsd.toml:1") {
		t.Errorf("an invalid file: exit code %d:\n%s", code, out)
	}
	p.stop()
}

var changedLine = regexp.MustCompile(`msg=changed op=("(?:[^"\\]|\\.)*")`)

// changed are the operations that a log tells of.
func changed(log string) []string {
	var ops []string
	for _, match := range changedLine.FindAllStringSubmatch(log, -1) {
		op, err := strconv.Unquote(match[1])
		if err != nil {
			op = match[1]
		}
		ops = append(ops, op)
	}
	return ops
}
