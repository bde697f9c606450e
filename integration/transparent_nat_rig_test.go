package integration

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lvsd/lvsd/integration/lab"
	"github.com/lvsd/lvsd/integration/relay"
)

// The addresses of examples/transparent-nat. The article's clients come through the
// firewall; the directors of two-networks.toml are on its outside too.
const (
	insideVIP   = "192.168.69.110"
	frontVIP    = "203.0.113.110"
	insideLink  = "enp0s3"
	frontLink   = "enp0s8"
	neighbourIP = "192.168.69.104"
	webName     = "www.example.test"
)

// bigFile is what is downloaded. It has many times of what fits into the buffers
// on the way.
var bigFile = strings.Repeat("one line of a long file\n", 4<<20/24)

// transparent is the system of examples/transparent-nat: two directors, web servers
// whose gateway is a VIP, a firewall with clients behind it, and a neighbour of the
// web servers.
type transparent struct {
	*segment
	directors           []*node
	webs                map[string]*web
	sorry               *web
	firewall, neighbour *lab.Host
	outside             *lab.Segment
	roots               *x509.CertPool
	// vips are the links of the VIPs, service the one that clients ask.
	vips    map[string]string
	service netip.Addr
	// requests numbers them, so that each can be found in a log.
	requests int
}

// web is a web server, a real nginx.
type web struct {
	*lab.Host
	nginx     *lab.Daemon
	directory string
	blocks    string
}

func newTransparent(t *testing.T) *transparent {
	t.Helper()
	s := newStages(t)
	l := lab.New(s)
	x := &transparent{
		segment:  &segment{stages: s, lab: l, interval: wholeSeconds(l)},
		outside:  l.Segment("out"),
		firewall: l.Host("firewall", "192.168.69.1/24"), neighbour: l.Host("neighbour", neighbourIP+"/24"),
		webs: map[string]*web{}, roots: x509.NewCertPool(),
	}
	x.client = l.Host("client", "203.0.113.20/24")
	x.outside.Move(x.client)
	x.client.Run("ip", "route", "add", "192.168.69.0/24", "via", "203.0.113.1")
	x.outside.Plug(x.firewall, "eth1", "203.0.113.1/24")
	x.firewall.Run("sysctl", "-q", "-w", "net.ipv4.ip_forward=1")
	for i, name := range []string{"lb1", "lb2"} {
		n := x.addNode(name, fmt.Sprintf("192.168.69.%d", 111+i))
		n.Run("ip", "link", "set", lab.LinkName, "down")
		n.Run("ip", "link", "set", lab.LinkName, "name", insideLink, "up")
		n.Run("ip", "route", "add", "default", "via", "192.168.69.1")
		x.outside.Plug(n.Host, frontLink, fmt.Sprintf("203.0.113.%d/24", 111+i))
		x.directors = append(x.directors, n)
	}
	certificate := x.certificate()
	for i, name := range []string{"s1", "s2", "sorry"} {
		w := x.newWeb(name, fmt.Sprintf("192.168.69.%d/24", 106+i), certificate)
		if name == "sorry" {
			x.sorry = w
		} else {
			x.webs[w.Name] = w
		}
	}
	return x
}

// certificate is the web servers', whose issuer the clients trust.
func (x *transparent) certificate() lab.Certificate {
	x.Helper()
	authority := x.lab.Authority("lab")
	text, err := os.ReadFile(authority.File)
	if err != nil || !x.roots.AppendCertsFromPEM(text) {
		x.Fatalf("authority: %v", err)
	}
	return authority.Issue(webName, time.Now().Add(24*time.Hour))
}

// newWeb starts a web server whose one peculiarity is its gateway.
func (x *transparent) newWeb(name, address string, c lab.Certificate) *web {
	x.Helper()
	w := &web{Host: x.lab.Host(name, address), directory: x.lab.Dir(name, "nginx")}
	w.Run("ip", "route", "replace", "default", "via", insideVIP)
	w.blocks = fmt.Sprintf(webBlocks, c.File, c.Key, name)
	w.start()
	w.WaitListening(80, 443)
	return w
}

// webBlocks: clients take their time, and a file named unwell makes it unwell.
const webBlocks = `send_timeout 1h;
keepalive_timeout 1h;
server {
	listen 80;
	listen 443 ssl;
	ssl_certificate %s;
	ssl_certificate_key %s;
	root DIR;
	access_log DIR/access.log;
	location = / { return 200 "%s"; }
	location = /health {
		access_log off;
		if (-f DIR/unwell) { return 503; }
		return 200;
	}
}
`

func (w *web) start() {
	w.nginx = w.StartNginx(w.blocks, map[string]string{"big": bigFile})
}

// setUnwell makes the server's health page say 503, or 200 again.
func (x *transparent) setUnwell(w *web, unwell bool) {
	x.Helper()
	path := filepath.Join(w.directory, "unwell")
	err := os.Remove(path)
	if unwell {
		err = os.WriteFile(path, nil, 0o644)
	}
	if err != nil {
		x.Fatalf("%s: %v", w.Name, err)
	}
}

// example is a file of examples/transparent-nat. Its intervals fit the machine.
func (x *transparent) example(file string) string {
	x.Helper()
	text, err := os.ReadFile(filepath.Join("..", "examples", "transparent-nat", file))
	if err != nil {
		x.Fatalf("example: %v", err)
	}
	// A server that is slow is not dead.
	edited := x.edit(string(text), `interval = "2s"`, `interval = "1s"`+"\n  "+`timeout = "60s"`)
	return x.edit(edited, "\nversion = 2", fmt.Sprintf("\nadvert_interval = %q\nversion = 2", x.interval))
}

// edit replaces what the text must have.
func (x *transparent) edit(text, written, wanted string) string {
	x.Helper()
	if !strings.Contains(text, written) {
		x.Fatalf("the example has no %s", written)
	}
	return strings.ReplaceAll(text, written, wanted)
}

// begin starts both directors with the file, the first one first.
func (x *transparent) begin(text, service string, vips map[string]string) {
	x.Helper()
	x.service, x.vips = netip.MustParseAddr(service), vips
	for _, n := range x.directors {
		n.write(text)
		if out, err := n.Try(relay.Binary(x), "check", "-c", n.config); err != nil {
			x.Fatalf("the example: %v: %s", err, out)
		}
	}
	x.directors[0].start()
	x.lab.WaitFor("lb1 to be MASTER", func() error { return x.role(x.directors[0], true) })
	x.directors[1].start()
	x.settle(x.directors[0])
}

// settle waits until the node has all VIPs and the other one, if it takes part,
// none.
func (x *transparent) settle(master *node) {
	x.Helper()
	x.lab.WaitFor(master.Name+" to be the only MASTER", func() error {
		errs := []error{x.role(master, true)}
		if backup := x.beside(master); backup.daemon.Running() {
			errs = append(errs, x.role(backup, false))
		}
		return errors.Join(errs...)
	})
}

// beside is the other director.
func (x *transparent) beside(n *node) *node {
	if n == x.directors[0] {
		return x.directors[1]
	}
	return x.directors[0]
}

// role is an error unless every instance of the node is MASTER, or none is, with
// the VIPs in the kernel that belong to that.
func (x *transparent) role(n *node, master bool) error {
	var errs []error
	for vip, link := range x.vips {
		errs = append(errs, wantVIPs(n.Host, link, []string{vip}, master))
	}
	instances, err := n.all()
	if err == nil && len(instances) != len(x.vips) {
		err = fmt.Errorf("%d instances", len(instances))
	}
	errs = append(errs, err)
	for name, i := range instances {
		if (i.State == "master") != master {
			errs = append(errs, fmt.Errorf("%s is %s because %s", name, i.State, i.Reason))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("%s: %w", n.Name, err)
	}
	return nil
}
