package integration

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/lvsd/lvsd/integration/lab"
	"github.com/lvsd/lvsd/integration/relay"
)

// finding is one of lvsd doctor's JSON.
type finding struct {
	ID       string `json:"id"`
	Severity string `json:"severity"`
	Subject  string `json:"subject"`
	What     string `json:"what"`
	Breaks   string `json:"breaks"`
	Mend     string `json:"mend"`
	On       string `json:"on"`
}

// patient is a node that lvsd doctor examines, and two hosts beside it.
type patient struct {
	*node
	t      *stages
	others []*lab.Host
	// flags are more flags of lvsd doctor's.
	flags []string
}

// The configurations of TestDoctor: VIPs alone, and one-armed NAT.
const (
	doctorVRRP = `
[[vrrp]]
name = "VI_1"
interface = "eth0"
vrid = 20
vips = ["10.99.0.100"]
`
	doctorNAT = doctorVRRP + `
[[virtual_service]]
name = "web"
address = "10.99.0.100:80"
protocol = "tcp"
forwarding = "nat"
  [[virtual_service.real_server]]
  address = "10.99.0.11"
`
)

// doctorVRRP6 is of IPv6, and doctorServers has a real server for each way not to
// reach one, beside one in a tunnel.
const (
	doctorVRRP6 = `
[[vrrp]]
name = "VI_1"
interface = "eth0"
vrid = 20
vips = ["fe80::100", "fd98::100"]
`
	doctorServers = doctorVRRP + `
[[virtual_service]]
name = "smtp"
address = "10.99.0.100:25"
protocol = "tcp"
forwarding = "dr"
  [[virtual_service.real_server]]
  address = "10.97.0.5"
  [[virtual_service.real_server]]
  address = "10.96.0.5"
  [[virtual_service.real_server]]
  address = "10.99.0.66"
  [[virtual_service.real_server]]
  address = "10.99.0.12"
  forwarding = "tun"
`
)

// TestDoctor: lvsd doctor finds what is really wrong on a host and its segment,
// and the command that it names mends it.
func TestDoctor(t *testing.T) {
	lab.Require(t, lab.NeedNetns)
	t.Parallel()
	s := newSegment(t)
	p := &patient{node: s.addNode("node", "10.99.0.1"), t: s.stages}
	p.others = []*lab.Host{s.lab.Host("first", "10.99.0.11/24"), s.lab.Host("second", "10.99.0.12/24")}
	p.write(doctorVRRP)
	p.Run("sysctl", "-q", "-w", "net.ipv4.conf.all.rp_filter=0", "net.ipv4.conf.eth0.rp_filter=0")
	s.stage("all is well", func(t *testing.T) { p.wantNone(t) })
	s.stage("two hosts answer for the VIP", p.twoAnswers)
	s.stage("another host answers for a VIP that is here", p.anotherAnswers)
	s.stage("the VIP on lo, and told of", p.loopback)
	s.stage("the daemon runs", p.daemonRuns)
	s.stage("another host has an IPv6 VIP", p.ipv6)
	s.stage("real servers that packets do not reach", p.servers)
	p.write(doctorVRRP)
	s.stage("as another user", p.unprivileged)
	p.flags = []string{"--no-probe"}
	s.stage("INPUT drops VRRP", p.dropped)
	s.stage("keepalived runs", p.keepalived)
	p.write(doctorNAT)
	s.stage("nat in one network", p.oneArmed)
	s.stage("strict rp_filter", p.reversePath)
	s.stage("a rule that translates first", p.translated)
	s.stage("rules of both backends", p.mixed)
}

// examine runs lvsd doctor, checks that its exit code is right, and returns the
// errors and warnings, and the text.
func (p *patient) examine() (found []finding, text string) {
	p.t.Helper()
	arguments := append([]string{"doctor", "-c", p.config, "--run-dir", p.run, "--listen", "100ms"}, p.flags...)
	_, out := p.lvsd(append(arguments, "--json")...)
	var report struct {
		Schema   string    `json:"schema"`
		Findings []finding `json:"findings"`
	}
	if err := json.Unmarshal([]byte(out), &report); err != nil || report.Schema != "lvsd.doctor/1" {
		p.t.Fatalf("lvsd doctor --json: %v:\n%s", err, out)
	}
	found = slices.DeleteFunc(report.Findings, func(f finding) bool {
		// Whether the kernel has IPVS is not this test's matter, nor are notes.
		return f.Severity == "note" || f.ID == "module-missing" || f.ID == "host-lacks"
	})
	code, text := p.lvsd(arguments...)
	want := 0
	if strings.Contains(text, "  error ") || strings.Contains(text, "  warning ") {
		want = 2
	}
	if code != want {
		p.t.Fatalf("lvsd doctor: exit code %d, want %d:\n%s", code, want, text)
	}
	return found, text
}

// lvsd runs a command of lvsd's on the node.
func (p *patient) lvsd(arguments ...string) (code int, out string) {
	p.t.Helper()
	return (&planned{node: p.node, t: p.t}).lvsd(arguments...)
}

func (p *patient) wantNone(t *testing.T) {
	t.Helper()
	found, text := p.examine()
	if len(found) > 0 {
		t.Errorf("findings: %+v\n%s", found, text)
	}
}

// want returns the finding of that id, which must say what.
func (p *patient) want(t *testing.T, id string, what ...string) finding {
	t.Helper()
	found, text := p.examine()
	for _, f := range found {
		if f.ID != id {
			continue
		}
		for _, part := range what {
			if !strings.Contains(f.Subject+": "+f.What, part) {
				t.Errorf("no %q in: %s: %s", part, f.Subject, f.What)
			}
		}
		if !strings.Contains(text, id+": "+f.Subject+": "+f.What+"\n    breaks: "+f.Breaks+"\n") ||
			!strings.Contains(text, cmp.Or(f.Mend, f.Breaks)+"\n") {
			t.Errorf("%+v is not in:\n%s", f, text)
		}
		return f
	}
	t.Fatalf("no finding %s:\n%s", id, text)
	return finding{}
}

// mend runs what the finding says on the hosts, and wants no such finding then.
func (p *patient) mend(t *testing.T, f finding, hosts ...*lab.Host) {
	t.Helper()
	for _, h := range hosts {
		h.Run("sh", "-c", f.Mend)
	}
	found, text := p.examine()
	if slices.ContainsFunc(found, func(other finding) bool { return other.ID == f.ID && other.Subject == f.Subject }) {
		t.Errorf("after %q there is still: %s", f.Mend, text)
	}
}

func (p *patient) twoAnswers(t *testing.T) {
	for _, h := range p.others {
		h.Run("ip", "link", "set", "lo", "up")
		h.Run("sysctl", "-q", "-w", "net.ipv4.conf.all.arp_ignore=0", "net.ipv4.conf.eth0.arp_ignore=0")
		h.Run("ip", "address", "add", hostVIP+"/32", "dev", "lo")
	}
	f := p.want(t, "arp-conflict", hostVIP, "eth0", p.others[0].MAC(), p.others[1].MAC())
	p.mend(t, f, p.others[0])
	p.wantNone(t) // one may be the MASTER
}

func (p *patient) anotherAnswers(t *testing.T) {
	p.Run("ip", "address", "add", hostVIP+"/32", "dev", lab.LinkName)
	f := p.want(t, "arp-conflict", hostVIP, "this node has it", p.others[1].MAC())
	if want := "the host with " + p.others[1].MAC(); f.On != want {
		t.Errorf("to be mended on %q, want %q", f.On, want)
	}
	p.mend(t, f, p.others[1])
	p.wantNone(t)
	p.Run("ip", "address", "del", hostVIP+"/32", "dev", lab.LinkName)
}

func (p *patient) loopback(t *testing.T) {
	p.Run("ip", "link", "set", "lo", "up")
	p.Run("ip", "address", "add", hostVIP+"/32", "dev", "lo")
	p.mend(t, p.want(t, "arp-not-silent", hostVIP+" on lo"), p.Host)
	p.mend(t, p.want(t, "vip-misplaced", hostVIP+" on lo"), p.Host)
	p.wantNone(t)
}

func (p *patient) dropped(t *testing.T) {
	p.Run("iptables", "-P", "INPUT", "DROP")
	p.mend(t, p.want(t, "firewall-vrrp", "the policy of INPUT is DROP"), p.Host)
	p.wantNone(t)
	p.Run("iptables", "-F", "INPUT")
	p.Run("iptables", "-P", "INPUT", "ACCEPT")
}

// unprivileged: what it cannot look at, it names, and that is no finding.
func (p *patient) unprivileged(t *testing.T) {
	dir := t.TempDir()
	program, config := filepath.Join(dir, "lvsd"), filepath.Join(dir, "lvsd.toml")
	p.Run("cp", relay.Binary(t), program)
	p.Run("cp", p.config, config)
	p.Run("chmod", "0755", program, filepath.Dir(dir), dir)
	p.Run("chmod", "0644", config)
	out, err := p.Try("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
		program, "doctor", "-c", config, "--run-dir", dir, "--listen", "100ms")
	if err != nil {
		t.Fatal(err)
	}
	for _, what := range []string{
		"not checked\n", "firewall rules: iptables-save works for root only", "who has VIPs and real servers on eth0: ", "who speaks VRRP: ",
	} {
		if !strings.Contains(out, what) {
			t.Errorf("no %q in:\n%s", what, out)
		}
	}
}

// keepalived: one in this namespace is a finding, one elsewhere is none.
func (p *patient) keepalived(t *testing.T) {
	if _, err := exec.LookPath("keepalived"); err != nil {
		lab.Missing(t, lab.NeedKeepalived, err)
	}
	start := func(h *lab.Host) *lab.Daemon {
		dir := t.TempDir()
		config := filepath.Join(dir, "keepalived.conf")
		text := "vrrp_instance other {\n interface eth0\n virtual_router_id 77\n state BACKUP\n priority 1\n" +
			" advert_int 100\n virtual_ipaddress {\n 10.99.0.177\n }\n}\n"
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		d := h.Start(lab.Command{Name: "keepalived", Args: []string{
			"keepalived", "-n", "-P", "-l", "-f", config, "-p", dir + "/keepalived.pid", "-r", dir + "/vrrp.pid",
		}})
		p.segment.lab.WaitFor("keepalived to have both its processes", func() error {
			if log := d.Output(); !strings.Contains(log, "Starting VRRP child process") {
				return errors.New(log)
			}
			return nil
		})
		return d
	}
	elsewhere, here := start(p.others[0]), start(p.Host)
	f := p.want(t, "rival-running", "keepalived", fmt.Sprint(here.PID()))
	if strings.Contains(f.What, fmt.Sprint(elsewhere.PID())) {
		t.Errorf("it tells of the process of another host: %s", f.What)
	}
	if err := here.Stop(); err != nil {
		t.Error(err)
	}
	p.wantNone(t)
	if err := elsewhere.Stop(); err != nil {
		t.Error(err)
	}
}

func (p *patient) daemonRuns(t *testing.T) {
	p.start()
	p.segment.lab.WaitFor("lvsd to be MASTER", func() error { return p.inState("master") })
	p.wantNone(t)
	if _, text := p.examine(); !strings.Contains(text, fmt.Sprintf("the daemon runs, pid %d;", p.daemon.PID())) {
		t.Errorf("it does not tell of the daemon:\n%s", text)
	}
	p.others[1].Run("sysctl", "-q", "-w", "net.ipv4.conf.all.arp_ignore=0")
	p.mendConflict(t)
	p.stop()
	p.others[1].Run("ip", "address", "del", hostVIP+"/32", "dev", "lo")
	p.others[0].Run("ip", "address", "del", hostVIP+"/32", "dev", "lo")
}

// mendConflict: the daemon tells of a conflict for some time after its end, so
// that only the cause is mended here.
func (p *patient) mendConflict(t *testing.T) {
	f := p.want(t, "arp-conflict", hostVIP, "this node has it", p.others[1].MAC())
	p.others[1].Run("sh", "-c", f.Mend)
}

func (p *patient) ipv6(t *testing.T) {
	p.write(doctorVRRP6)
	for _, h := range []*lab.Host{p.Host, p.others[0]} {
		h.Run("ip", "address", "add", globalVIP6+"/128", "dev", lab.LinkName, "nodad")
	}
	p.mend(t, p.want(t, "arp-conflict", globalVIP6, "this node has it", p.others[0].MAC()), p.others[0])
	p.wantNone(t)
	p.Run("ip", "address", "del", globalVIP6+"/128", "dev", lab.LinkName)
}

func (p *patient) servers(t *testing.T) {
	p.write(doctorServers)
	p.Run("ip", "route", "add", "10.97.0.0/24", "via", p.others[0].Address.String())
	p.want(t, "dr-routed", "10.97.0.5", "gateway "+p.others[0].Address.String())
	p.want(t, "server-silent", "10.99.0.66", lab.LinkName)
	p.mend(t, p.want(t, "server-unroutable", "10.96.0.5"), p.Host)
	_, text := p.examine()
	if want := " -s " + hostVIP + " -p tcp --tcp-flags SYN,RST SYN -j TCPMSS --set-mss 1440\n"; !strings.Contains(text, want) {
		t.Errorf("no %q in:\n%s", want, text)
	}
}

func (p *patient) oneArmed(t *testing.T) {
	f := p.want(t, "nat-same-network", "web", "10.99.0.0/24", "answers directly")
	if want := "ip route add CLIENT/32 via " + hostVIP; f.Mend != want {
		t.Errorf("mend %q, want %q", f.Mend, want)
	}
	p.want(t, "sysctl", "net.ipv4.")
}

func (p *patient) reversePath(t *testing.T) {
	p.Run("sysctl", "-q", "-w", "net.ipv4.conf.eth0.rp_filter=1")
	p.mend(t, p.want(t, "rp-filter", "rp_filter on eth0", "there is no default route"), p.Host)
}

func (p *patient) translated(t *testing.T) {
	p.Run("iptables", "-t", "nat", "-A", "PREROUTING", "-d", hostVIP, "-p", "tcp", "--dport", "80", "-j", "DNAT", "--to-destination", "10.99.0.12")
	p.mend(t, p.want(t, "nat-rule-first", "tcp "+hostVIP+":80", "DNAT"), p.Host)
}

func (p *patient) mixed(t *testing.T) {
	rule := []string{"-t", "filter", "-A", "FORWARD", "-s", "10.98.0.1", "-j", "DROP"}
	if _, err := p.Try("iptables-legacy", rule...); err != nil {
		lab.Missing(t, "iptables-legacy", err)
	}
	p.Run("iptables-nft", rule...)
	p.mend(t, p.want(t, "iptables-mixed", "iptables-legacy"), p.Host)
	if rules := p.Run("iptables-nft", "-S", "FORWARD"); strings.Count(rules, "10.98.0.1") != 2 {
		t.Errorf("the rules were not moved:\n%s", rules)
	}
}

// TestDoctorIPVS: what somebody else has put into IPVS, and what the kernel's IPVS
// is missing.
func TestDoctorIPVS(t *testing.T) {
	lab.Require(t, lab.NeedNetns, lab.NeedIPVS)
	t.Parallel()
	s := newSegment(t)
	p := &patient{node: s.addNode("node", "10.99.0.1"), t: s.stages, flags: []string{"--no-probe"}}
	p.write(doctorNAT)
	p.Run("sysctl", "-q", "-w", "net.ipv4.conf.all.rp_filter=0", "net.ipv4.conf.eth0.rp_filter=0")
	s.stage("a foreign virtual service", func(t *testing.T) {
		p.Run("ipvsadm", "-A", "-t", hostVIP+":80")
		p.Run("ipvsadm", "-A", "-u", hostVIP+":80")
		p.mend(t, p.want(t, "foreign-service", "virtual service udp "+hostVIP+":80"), p.Host)
	})
	s.stage("a foreign synchronisation daemon", func(t *testing.T) {
		p.Run("ipvsadm", "--start-daemon", "master", "--mcast-interface", lab.LinkName)
		p.mend(t, p.want(t, "foreign-sync-daemon", "master", lab.LinkName), p.Host)
	})
	s.stage("parameters", func(t *testing.T) {
		p.mend(t, p.want(t, "sysctl"), p.Host)
	})
}
