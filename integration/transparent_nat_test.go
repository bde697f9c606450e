package integration

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lvsd/lvsd/director"
	"github.com/lvsd/lvsd/integration/lab"
)

// TestTransparentNAT builds examples/transparent-nat out of its own files, makes the
// article's checks, and breaks it: first in one network, as in the article, then with
// the directors between two.
func TestTransparentNAT(t *testing.T) {
	lab.Require(t, lab.NeedNetns, lab.NeedIPVS, lab.NeedNginx, lab.NeedTcpdump)
	t.Parallel()
	x := newTransparent(t)
	before := x.parameters()
	x.begin(x.example("lvsd.toml"), insideVIP, map[string]string{insideVIP: insideLink})
	x.stage("servers see the client's address", x.clientsAreSeen)
	x.stage("a client stays, new ones go where fewest connections are", x.leastConnections)
	x.stage("a dead server loses its clients, and returns", x.serverDies)
	x.stage("a download outlives a planned switch", x.planned)
	x.stage("a download outlives the death of the MASTER", x.masterDies)
	x.stage("a neighbour of the servers is answered past the director", x.neighbourFails)
	x.stage("a route on each server mends that", x.neighbourRouted)
	x.stage("snat mends that", x.neighbourHidden)
	x.stage("a clean stop puts back what was", func(t *testing.T) { x.endsClean(t, before) })

	x.begin(x.example("two-networks.toml"), frontVIP, map[string]string{frontVIP: frontLink, insideVIP: insideLink})
	x.stage("between two networks, servers see the client's address", x.clientsAreSeen)
	x.stage("the outer cable pulled, both VIPs move under a download", x.outerCable)
	x.stage("the inner cable pulled, both VIPs move under a download", x.innerCable)
	x.stage("a sorry server while all are unwell", x.allUnwell)
	x.stage("a clean stop puts back what was, on both sides", func(t *testing.T) { x.endsClean(t, before) })
}

func (x *transparent) clientsAreSeen(t *testing.T) {
	const client = "203.0.113.50"
	x.addClient(client)
	for _, port := range []uint16{80, 443} {
		v, err := x.visit(x.client, client, port)
		if err != nil {
			t.Fatalf("port %d: %v", port, err)
		}
		x.logs(v, client)
	}
	first := x.directors[0]
	table := first.Run("ipvsadm", "-Ln")
	for _, port := range []uint16{80, 443} {
		if want := fmt.Sprintf("TCP  %s:%d wlc persistent 1800\n", x.service, port); !strings.Contains(table, want) {
			t.Errorf("no %q in\n%s", want, table)
		}
	}
	if got := first.Run("sysctl", "-n", "net.ipv4.ip_forward", "net.ipv4.conf."+insideLink+".send_redirects", "net.ipv4.vs.expire_nodest_conn"); got != "1\n0\n1\n" {
		t.Errorf("ip_forward, send_redirects and expire_nodest_conn are %q", got)
	}
	for vip := range x.vips {
		first.loggedOnce(vip, "address add")
	}
}

// The clients of the stages below. The regular one's server dies. The steady one and
// the late one, who comes when that server has returned, have different ones, which
// do not change: a BACKUP's kernel does not learn that a client's server is another
// now.
const (
	regularClient = "203.0.113.21"
	steadyClient  = "203.0.113.22"
	lateClient    = "203.0.113.25"
)

func (x *transparent) leastConnections(t *testing.T) {
	server := x.hold(regularClient).server
	for range 3 {
		if v := x.hold(regularClient); v.server != server {
			t.Errorf("the client went from %s to %s", server, v.server)
		}
	}
	for _, client := range []string{steadyClient, "203.0.113.23", "203.0.113.24"} {
		if v := x.hold(client); v.server == server {
			t.Errorf("client %s went to %s, which has four connections", client, server)
		}
	}
	for _, n := range x.directors {
		x.stays(n, regularClient, x.webs[server])
	}
	if t.Failed() {
		t.Log(x.directors[0].Run("ipvsadm", "-Ln"))
	}
}

// stays waits until the node knows that the client is the server's.
func (x *transparent) stays(n *node, client string, w *web) {
	x.Helper()
	x.lab.WaitFor(fmt.Sprintf("%s to know that %s stays with %s", n.Name, client, w.Name), func() error {
		lines, err := x.connections(n, client+":0", x.service.String()+":80")
		if err == nil && !strings.Contains(lines[0], " "+w.Address.String()+":80") {
			err = errors.New(lines[0])
		}
		return err
	})
}

func (x *transparent) serverDies(t *testing.T) {
	master := x.directors[0]
	dead := x.webs[x.once(regularClient)]
	dead.nginx.Kill()
	for _, n := range x.directors {
		x.weighs(n, dead, 0)
	}
	master.loggedOnce("msg=\"server down\"", "server="+dead.Address.String()+":80 ")
	if server := x.once(regularClient); server == dead.Name {
		t.Errorf("the client is still sent to %s", server)
	}
	dead.start()
	for _, n := range x.directors {
		x.weighs(n, dead, 1)
	}
	if v := x.hold(lateClient); v.server != dead.Name {
		t.Errorf("a new client went to %s although %s has no connections", v.server, dead.Name)
	}
}

// weighs waits until the server has the weight on both ports.
func (x *transparent) weighs(n *node, w *web, weight int) {
	x.Helper()
	x.lab.WaitFor(fmt.Sprintf("%s to give %s weight %d", n.Name, w.Name, weight), func() error {
		all, err := x.realServers(n, w)
		if err == nil && slices.ContainsFunc(all, func(r director.RealServerStatus) bool { return r.KernelWeight != weight }) {
			err = fmt.Errorf("%+v", all)
		}
		return err
	})
}

// realServers are what the node's lvsd says of the server, one for each port.
func (x *transparent) realServers(n *node, w *web) ([]director.RealServerStatus, error) {
	status, err := n.status()
	var found []director.RealServerStatus
	for _, service := range status.Services {
		for _, r := range service.RealServers {
			if strings.HasPrefix(r.Address, w.Address.String()+":") {
				found = append(found, r)
			}
		}
	}
	if err == nil && len(found) != 2 {
		err = fmt.Errorf("%s has %s %d times", n.Name, w.Name, len(found))
	}
	return found, err
}

func (x *transparent) planned(t *testing.T) {
	from, to := x.directors[0], x.directors[1]
	steady, late := x.once(steadyClient), x.once(lateClient)
	if steady == late {
		t.Fatalf("both clients are with %s", late)
	}
	d := x.download("203.0.113.26", to)
	x.stays(to, steadyClient, x.webs[steady])
	x.stays(to, lateClient, x.webs[late])
	if out, err := from.lvsd("vrrp", "give-up", "gateway", "--timeout", x.lab.Scaled(time.Minute).String()); err != nil {
		t.Fatalf("give-up: %v: %s", err, out)
	}
	x.settle(to)
	d.finish(t)
	for range 3 {
		if now := x.once(steadyClient); now != steady {
			t.Errorf("%s went from %s to %s", steadyClient, steady, now)
		}
		if now := x.once(lateClient); now != late {
			t.Errorf("%s went from %s to %s", lateClient, late, now)
		}
	}
	if out, err := from.lvsd("vrrp", "release", "gateway"); err != nil {
		t.Fatalf("release: %v: %s", err, out)
	}
	x.settle(to)
}

func (x *transparent) masterDies(t *testing.T) {
	dies, lives := x.directors[1], x.directors[0]
	d := x.download("203.0.113.27", lives)
	dies.SetCable(false)
	dies.daemon.Kill()
	x.settle(lives)
	d.finish(t)
	dies.start()
	x.lab.WaitFor(dies.Name+" to have no VIP", func() error { return x.role(dies, false) })
	dies.SetCable(true)
	x.settle(lives)
}

// pastDirector is a server's own answer to the neighbour, and resetBack the neighbour's reset.
var (
	pastDirector = regexp.MustCompile(`192\.168\.69\.10[67]\.80 > 192\.168\.69\.104\.\d+: Flags \[S\.\]`)
	resetBack    = regexp.MustCompile(`192\.168\.69\.104\.\d+ > 192\.168\.69\.10[67]\.80: Flags \[R`)
)

func (x *transparent) neighbourFails(t *testing.T) {
	capture := x.neighbour.Capture("tcp port 80")
	target := "http://" + x.service.String() + "/"
	if out, err := x.neighbour.Try("curl", "-sS", "--connect-timeout", "2", target); err == nil {
		t.Errorf("a neighbour is served: %s", out)
	}
	x.lab.WaitFor("an answer past the director", func() error {
		if packets := capture.Print(); !pastDirector.MatchString(packets) || !resetBack.MatchString(packets) {
			return errors.New(packets)
		}
		return nil
	})
	_ = capture.Stop()
	x.caveat(t)
}

// caveat is what lvsd doctor says of neighbours.
func (x *transparent) caveat(t *testing.T) finding {
	t.Helper()
	f := x.doctor().want(t, "nat-same-network", "virtual service web", "network 192.168.69.0/24", "get answers directly")
	if want := "ip route add CLIENT/32 via " + insideVIP; f.Severity != "warning" || f.Mend != want {
		t.Errorf("%s: mend %q, want a warning with %q", f.Severity, f.Mend, want)
	}
	return f
}

// doctor is that of the first director.
func (x *transparent) doctor() *patient {
	return &patient{node: x.directors[0], t: x.stages, flags: []string{"--no-probe"}}
}

func (x *transparent) neighbourRouted(t *testing.T) {
	mend := strings.Replace(x.caveat(t).Mend, "CLIENT", neighbourIP, 1)
	for _, w := range x.webs {
		w.Run("sh", "-c", mend)
	}
	v, err := x.visit(x.neighbour, neighbourIP, 80)
	if err != nil {
		t.Fatal(err)
	}
	x.logs(v, neighbourIP)
	for _, w := range x.webs {
		w.Run("ip", "route", "delete", neighbourIP+"/32")
	}
}

func (x *transparent) neighbourHidden(t *testing.T) {
	text := x.edit(x.example("lvsd.toml"), `forwarding = "nat"`, "forwarding = \"nat\"\nsnat = true")
	for _, n := range x.directors {
		n.write(text)
		if status := n.hangUp(); !status.OK {
			t.Fatalf("%s: %s", n.Name, status.Error)
		}
	}
	v, err := x.visit(x.neighbour, neighbourIP, 80)
	if err != nil {
		t.Fatal(err)
	}
	x.logs(v, x.directors[0].Address.String())
	found, text := x.doctor().examine()
	if slices.ContainsFunc(found, func(f finding) bool { return f.ID == "nat-same-network" }) {
		t.Errorf("the finding is still there:\n%s", text)
	}
}

// parameters are those of the first director's kernel that lvsd is to put back.
func (x *transparent) parameters() string {
	x.Helper()
	return x.directors[0].Run("sysctl", "net.ipv4.ip_forward", "net.ipv4.conf.all.send_redirects",
		"net.ipv4.conf."+insideLink+".send_redirects", "net.ipv4.conf."+frontLink+".send_redirects")
}

func (x *transparent) endsClean(t *testing.T, before string) {
	for _, n := range x.directors {
		n.stop()
		for vip, link := range x.vips {
			if err := wantVIPs(n.Host, link, []string{vip}, false); err != nil {
				t.Errorf("%s: %v", n.Name, err)
			}
		}
		if got := n.Run("ipvsadm", "-Sn"); got != "" {
			t.Errorf("%s: the table holds\n%s", n.Name, got)
		}
	}
	if after := x.parameters(); after != before {
		t.Errorf("the parameters are\n%swant\n%s", after, before)
	}
}

func (x *transparent) outerCable(t *testing.T) {
	loses, gets := x.directors[0], x.directors[1]
	d := x.download("203.0.113.28", gets)
	x.outside.SetCable(loses.Host, false)
	x.settle(gets)
	d.finish(t)
	x.outside.SetCable(loses.Host, true)
	x.ready(loses)
}

func (x *transparent) innerCable(t *testing.T) {
	loses, gets := x.directors[1], x.directors[0]
	d := x.download("203.0.113.29", gets)
	loses.SetCable(false)
	x.settle(gets)
	d.finish(t)
	loses.SetCable(true)
	x.ready(loses)
}

// ready waits until a node without faults could take over again.
func (x *transparent) ready(n *node) {
	x.Helper()
	x.lab.WaitFor(n.Name+" to be BACKUP", func() error {
		instances, err := n.all()
		for name, i := range instances {
			if i.State != "backup" {
				err = errors.Join(err, fmt.Errorf("%s is %s because %s", name, i.State, i.Reason))
			}
		}
		return err
	})
}

func (x *transparent) allUnwell(t *testing.T) {
	master := x.directors[0]
	for _, w := range x.webs {
		x.setUnwell(w, true)
	}
	for _, w := range x.webs {
		x.weighs(master, w, -1)
		all, err := x.realServers(master, w)
		if err != nil || !strings.Contains(all[0].Checks[0].Reason, "503") {
			t.Errorf("%s: %v, %+v", w.Name, err, all)
		}
	}
	const client = "203.0.113.60"
	x.lab.WaitFor("the sorry server to answer", func() error {
		if server := x.once(client); server != x.sorry.Name {
			return fmt.Errorf("%s answers", server)
		}
		return nil
	})
	for _, w := range x.webs {
		x.setUnwell(w, false)
	}
	for _, w := range x.webs {
		x.weighs(master, w, 1)
	}
	if server := x.once(client); server == x.sorry.Name {
		t.Error("the sorry server answers while the others are well")
	}
}
