package integration

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/lvsd/lvsd/director"
	"github.com/lvsd/lvsd/integration/lab"
)

const (
	// exchangeVIP and exchangeName are the service's.
	exchangeVIP  = "172.30.129.131"
	exchangeName = "exch2016.domain.com"
	// exchangeLink is the interface of a server, and of a client.
	exchangeLink = "eth1"
	// exchangePage is what the checks ask for.
	exchangePage = "/ews/healthcheck.htm"
)

// exchange is the system of examples/exchange-two-dc: one network over two
// sites, each with a switch, a director, two servers and a client, and a line
// that joins the switches.
type exchange struct {
	*segment
	main, reserve *exchangeSite
	line          *lab.Host
	// authority is whom clients trust, certificate that of all servers.
	authority   *lab.Authority
	certificate lab.Certificate
	// hosts is the file of names.
	hosts string
}

// exchangeSite is one of the data centres.
type exchangeSite struct {
	*lab.Segment
	director *node
	// link is the director's interface.
	link    string
	servers []*exchangeServer
	client  *callers
}

// newExchange makes the hosts and starts the web servers.
func newExchange(t *testing.T) *exchange {
	t.Helper()
	s := newStages(t)
	l := lab.New(s)
	x := &exchange{segment: &segment{
		stages: s, lab: l, interval: time.Duration(math.Ceil(l.Scale()/4)) * time.Second,
	}}
	x.authority = l.Authority("The company")
	x.certificate = x.authority.Issue(exchangeName, time.Now().Add(24*time.Hour))
	x.hosts = filepath.Join(l.Dir("etc"), "hosts")
	x.write(x.hosts, `127.0.0.1 localhost
172.30.129.11 exch1.domain.com
172.30.129.12 exch2.domain.com
172.30.129.13 exch3.domain.com
172.30.129.14 exch4.domain.com
172.30.129.25 smtp.domain.com
`)
	x.main = x.addSite("dc1", "lb1", "ens160", 1, "inside", 128)
	x.reserve = x.addSite("dc2", "lb2", "ens192", 2, "outside", 130)
	x.line = x.host("line")
	x.line.Run("ip", "link", "add", "line", "type", "bridge", "mcast_snooping", "0")
	for i, site := range x.sites() {
		link := fmt.Sprintf("dc%d", i+1)
		site.Plug(x.line, link, fmt.Sprintf("169.254.0.%d/32", i+1))
		x.line.Run("ip", "link", "set", link, "master", "line")
	}
	x.line.Run("ip", "link", "set", "line", "up")
	return x
}

// addSite makes one of the sites. Its client has addresses in 172.30.BLOCK.0/24.
func (x *exchange) addSite(name, director, link string, number int, client string, block byte) *exchangeSite {
	x.Helper()
	site := &exchangeSite{Segment: x.lab.Segment(name), link: link}
	h := x.host(director)
	site.Plug(h, link, fmt.Sprintf("172.30.129.%d/22", number))
	site.director = &node{
		Host: h, segment: x.segment,
		config: filepath.Join(x.lab.Dir("etc"), "lvsd.toml"),
		run:    x.lab.Dir(director, "run"), state: x.lab.Dir(director, "state"),
	}
	for i := range 2 {
		n := 2*number - 1 + i
		site.servers = append(site.servers, x.addServer(site, fmt.Sprintf("exch%d", n), netip.AddrFrom4([4]byte{172, 30, 129, byte(10 + n)})))
	}
	h = x.host(client)
	site.Plug(h, exchangeLink, fmt.Sprintf("172.30.129.%d/22", 20+number))
	site.client = newCallers(x, h, block)
	return site
}

// host makes a host that is in no network yet, and knows the names.
func (x *exchange) host(name string) *lab.Host {
	x.Helper()
	h := x.lab.Host(name, fmt.Sprintf("10.99.0.%d/24", len(x.lab.Hosts())+1))
	h.Run("ip", "link", "set", lab.LinkName, "down")
	h.Run("mount", "--bind", x.hosts, "/etc/hosts")
	return h
}

func (x *exchange) sites() []*exchangeSite { return []*exchangeSite{x.main, x.reserve} }

func (x *exchange) servers() []*exchangeServer {
	return append(append([]*exchangeServer(nil), x.main.servers...), x.reserve.servers...)
}

func (x *exchange) directors() []*node { return []*node{x.main.director, x.reserve.director} }

func (x *exchange) write(path, text string) {
	x.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		x.Fatalf("%v", err)
	}
}

// example is the text of a file of the example, with parts of it replaced, as the
// speed of the machine and of a test asks. Each part must be there once.
func (x *exchange) example(file string, replaced map[string]string) string {
	x.Helper()
	b, err := os.ReadFile(filepath.Join("../examples/exchange-two-dc", file))
	if err != nil {
		x.Fatalf("example: %v", err)
	}
	text := string(b)
	for old, replacement := range replaced {
		if n := strings.Count(text, old); n != 1 {
			x.Fatalf("%s has %q %d times, want once", file, old, n)
		}
		text = strings.Replace(text, old, replacement, 1)
	}
	return text
}

// exchangeServer is a web server whose health page can fail.
type exchangeServer struct {
	*lab.Host
	site  *exchangeSite
	nginx *lab.Daemon
	// page is the file behind the health page.
	page string
	x    *exchange
}

func (x *exchange) addServer(site *exchangeSite, name string, address netip.Addr) *exchangeServer {
	x.Helper()
	s := &exchangeServer{Host: x.host(name), site: site, x: x}
	site.Plug(s.Host, exchangeLink, address.String()+"/22")
	s.Address = address
	s.page = filepath.Join(x.lab.Dir(name), "healthcheck.htm")
	s.heal()
	s.start()
	return s
}

// start starts nginx. Under another name than the service's there is nothing.
func (s *exchangeServer) start() {
	s.x.Helper()
	s.nginx = s.StartNginx(fmt.Sprintf(`
ssl_certificate %s;
ssl_certificate_key %s;
server { listen 443 ssl default_server; return 404; }
server {
  listen 443 ssl;
  server_name %s;
  root %s;
  location / { return 200 "%s"; }
  location = %s { try_files /%s =500; }
}
`, s.x.certificate.File, s.x.certificate.Key, exchangeName, filepath.Dir(s.page), s.Name, exchangePage, filepath.Base(s.page)), map[string]string{})
}

// fail has the health page answer 500, heal 200; all else is served as ever.
func (s *exchangeServer) fail() {
	s.x.Helper()
	if err := os.Remove(s.page); err != nil {
		s.x.Fatalf("%v", err)
	}
}

func (s *exchangeServer) heal() {
	s.x.Helper()
	s.x.write(s.page, "200 OK<br/>"+s.Name+"\n")
}

// setPower plugs or pulls the cables of everything in the site but its client's.
func (s *exchangeSite) setPower(on bool) {
	s.SetCable(s.director.Host, on)
	for _, server := range s.servers {
		s.SetCable(server.Host, on)
	}
}

// settled is an error unless the site's director is MASTER with the VIP, and the
// clients of the sites know.
func (x *exchange) settled(master *exchangeSite, seenFrom ...*exchangeSite) error {
	errs := []error{x.isMaster(master, true)}
	mac := macOf(master.director.Host, master.link)
	for _, site := range seenFrom {
		errs = append(errs, site.client.resolves(mac))
	}
	return errors.Join(errs...)
}

// isMaster is an error unless the site's director is MASTER with the VIP, or is
// BACKUP without.
func (x *exchange) isMaster(site *exchangeSite, master bool) error {
	state := "backup"
	if master {
		state = "master"
	}
	return errors.Join(site.director.says(state), wantVIPs(site.director.Host, site.link, []string{exchangeVIP}, master))
}

// settle waits until the site's director is MASTER, the other one BACKUP, and
// both clients know.
func (x *exchange) settle(master *exchangeSite) {
	x.Helper()
	x.lab.WaitFor(master.director.Name+" to be the only MASTER", func() error {
		errs := []error{x.settled(master, x.sites()...)}
		for _, site := range x.sites() {
			if site != master {
				errs = append(errs, x.isMaster(site, false))
			}
		}
		return errors.Join(errs...)
	})
}

// weighs is an error unless the server has in the director's kernel the weight of
// the file if it is up, and none if it is not.
func weighs(on *node, server *exchangeServer, up bool) error {
	status, err := on.status()
	if err != nil {
		return err
	}
	for _, s := range status.Services[0].RealServers {
		if !strings.HasPrefix(s.Address, server.Address.String()+":") {
			continue
		}
		want := 0
		if up {
			want = s.Configured
		}
		if s.KernelWeight != want {
			return fmt.Errorf("%s: %s has weight %d, want %d: %+v", on.Name, server.Name, s.KernelWeight, want, s.Checks)
		}
		return nil
	}
	return fmt.Errorf("%s has no real server %s", on.Name, server.Name)
}

// waitWeights waits until the directors' kernels have the servers' full weights,
// and none for the servers that are gone.
func (x *exchange) waitWeights(gone []*exchangeServer, on ...*node) {
	x.Helper()
	for _, n := range on {
		for _, server := range x.servers() {
			up := true
			for _, g := range gone {
				up = up && g != server
			}
			x.lab.WaitFor(fmt.Sprintf("%s: whether %s is up: %v", n.Name, server.Name, up), func() error {
				return weighs(n, server, up)
			})
		}
	}
}

// explained waits until the director explains its priority so.
func (x *exchange) explained(n *node, words string) {
	x.Helper()
	pattern := regexp.MustCompile(words)
	n.wait("priority "+words, func(i director.InstanceStatus) bool { return pattern.MatchString(i.Explanation) })
}

// macOf is the hardware address of a host's interface.
func macOf(h *lab.Host, name string) string {
	var mac string
	_ = h.Do(func() error {
		link, err := netlink.LinkByName(name)
		if err == nil {
			mac = link.Attrs().HardwareAddr.String()
		}
		return err
	})
	return mac
}
