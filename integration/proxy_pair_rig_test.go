package integration

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/lvsd/lvsd/integration/lab"
)

// The addresses of examples/proxy-pair, which a lab can have as they are.
const (
	proxyVIP1  = "192.168.2.101"
	proxyVIP2  = "192.168.2.102"
	proxyPort  = "3128"
	webAddress = "203.0.113.80"
)

// proxyPair is the system of examples/proxy-pair: two proxies, each of them MASTER
// of one VIP and BACKUP of the other, between the office and the Internet.
type proxyPair struct {
	*segment
	// internet is where the proxies have their eth1, and the web server is.
	internet      *lab.Segment
	first, second *proxy
}

// proxy is a node with a Squid.
type proxy struct {
	*node
	squid *lab.Squid
	// outside is its address in the Internet, by which the web server knows it.
	outside string
	// hook is the command that lvsd calls on changes of role.
	hook string
	// read is how much of lvsd's log the stages before have had.
	read int
}

// squidAnywhere listens on every address. squidOnVIPs does so by address, and on one
// more: a Squid that can listen nowhere ends, and no tracker would let the VIPs come.
const (
	squidAnywhere = "http_access allow all\nhttp_port " + proxyPort + "\n"
	squidOnVIPs   = "http_access allow all\nhttp_port 127.0.0.1:" + proxyPort +
		"\nhttp_port " + proxyVIP1 + ":" + proxyPort + "\nhttp_port " + proxyVIP2 + ":" + proxyPort + "\n"
)

// newProxyPair builds the system with everything but lvsd.
func newProxyPair(t *testing.T, squid string) *proxyPair {
	t.Helper()
	s := newStages(t)
	l := lab.New(s)
	p := &proxyPair{
		segment:  &segment{stages: s, lab: l, client: l.Host("client", "192.168.2.3/24"), interval: wholeSeconds(l)},
		internet: l.Segment("up"),
	}
	web := l.Host("web", "192.0.2.80/24")
	web.SetLink(false) // it is in the Internet only
	p.internet.Plug(web, "eth1", webAddress+"/24")
	web.StartNginx("server { listen 80; return 200 $remote_addr; }\n", map[string]string{})
	p.first = p.newProxy("proxy-serv01", "251", squid)
	p.second = p.newProxy("proxy-serv02", "252", squid)
	return p
}

// newProxy adds a proxy whose addresses inside and outside end alike.
func (p *proxyPair) newProxy(name, number, squid string) *proxy {
	p.Helper()
	n := &proxy{node: p.addNode(name, "192.168.2."+number), outside: "203.0.113." + number}
	p.internet.Plug(n.Host, "eth1", n.outside+"/24")
	n.squid = n.StartSquid(squid)
	n.hook = filepath.Join(p.lab.Dir(name), "notify.sh")
	n.tellNobody()
	return n
}

// tellSquid makes the example's notify.sh the hook. The Squid must have been up for
// a moment: the signal ends one that has not read its configuration yet.
func (n *proxy) tellSquid() {
	n.segment.Helper()
	n.writeHook(proxyExample(n.segment, "notify.sh",
		"/usr/sbin/squid -k reconfigure", strings.Join(n.squid.Order("reconfigure"), " ")))
}

// tellNobody makes it one that does nothing, as a Squid on all addresses needs.
func (n *proxy) tellNobody() { n.segment.Helper(); n.writeHook("#!/bin/sh\n") }

// writeHook replaces the hook, which may be running.
func (n *proxy) writeHook(text string) {
	n.segment.Helper()
	err := os.WriteFile(n.hook+".new", []byte(text), 0o755)
	if err = cmp.Or(err, os.Rename(n.hook+".new", n.hook)); err != nil {
		n.segment.Fatalf("%s: %v", n.Name, err)
	}
}

func (p *proxyPair) proxies() []*proxy { return []*proxy{p.first, p.second} }

// proxyExample is the text of a file of examples/proxy-pair with pairs of an old text,
// which must be there, and a new one.
func proxyExample(t lab.TB, file string, edits ...string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "examples", "proxy-pair", file))
	if err != nil {
		t.Fatalf("%v", err)
	}
	text := string(b)
	for ; len(edits) > 0; edits = edits[2:] {
		if !strings.Contains(text, edits[0]) {
			t.Fatalf("%s has no %q", file, edits[0])
		}
		text = strings.ReplaceAll(text, edits[0], edits[1])
	}
	return text
}

// start starts lvsd on both proxies with the example's file, but for paths, and
// times that suit the machine.
func (p *proxyPair) start(file string) {
	p.Helper()
	for _, n := range p.proxies() {
		n.write(proxyExample(p, file,
			"/etc/lvsd/notify.sh", n.hook,
			`"/usr/sbin/squid", "-k", "check"`, `"`+strings.Join(n.squid.Order("check"), `", "`)+`"`,
			`interval = "3s"`, `interval = "500ms"`,
			`timeout = "2s"`, `timeout = "1m"`,
			"version = 2\n", fmt.Sprintf("version = 2\nadvert_interval = %q\n", p.interval),
		))
		n.start()
	}
}

// roles are the states of proxy_ip1 and proxy_ip2 on the first and second proxy.
type roles struct{ first, second [2]string }

// The roles that the pair has: each VIP at home, or both on one side.
var (
	bothAtHome    = roles{[2]string{"master", "backup"}, [2]string{"backup", "master"}}
	onFirst       = roles{[2]string{"master", "master"}, [2]string{"fault", "fault"}}
	onSecond      = roles{[2]string{"fault", "fault"}, [2]string{"master", "master"}}
	secondIsDeaf  = roles{[2]string{"master", "backup"}, [2]string{"master", "master"}}
	proxyVIPs     = [2]string{proxyVIP1, proxyVIP2}
	proxyLabels   = [2]string{"eth0:1", "eth0:2"}
	proxyInstance = [2]string{"proxy_ip1", "proxy_ip2"}
)

// settle waits until the proxies have the roles, and the VIPs by them.
func (p *proxyPair) settle(want roles) {
	p.Helper()
	p.lab.WaitFor(fmt.Sprintf("the roles %v", want), func() error {
		return errors.Join(p.first.has(want.first), p.second.has(want.second))
	})
}

// has is nil when lvsd and "ip address" agree that the proxy has these roles.
func (n *proxy) has(states [2]string) error {
	status, err := n.status()
	if err != nil {
		return fmt.Errorf("%s: %w", n.Name, err)
	}
	shown, err := n.Try("ip", "-oneline", "-4", "address", "show", lab.LinkName)
	if err != nil {
		return err
	}
	for i, name := range proxyInstance {
		state, reason := "none", ""
		for _, instance := range status.Instances {
			if instance.Name == name {
				state, reason = instance.State, instance.Reason
			}
		}
		if state != states[i] {
			err = errors.Join(err, fmt.Errorf("%s: %s is %s because %s, want %s", n.Name, name, state, reason, states[i]))
		}
		vip := regexp.MustCompile(regexp.QuoteMeta(" inet "+proxyVIPs[i]+"/24 ") + `.* ` + proxyLabels[i] + `\\`)
		if vip.MatchString(shown) != (states[i] == "master") {
			err = errors.Join(err, fmt.Errorf("%s: %s is to be %s:\n%s", n.Name, name, states[i], shown))
		}
	}
	return err
}

// browse waits until the client gets the page through each VIP, by the proxy that
// is to have it.
func (p *proxyPair) browse(by1, by2 *proxy) {
	p.Helper()
	p.lab.WaitFor("the client to browse by both VIPs", func() error {
		return errors.Join(p.fetch(proxyVIP1, by1), p.fetch(proxyVIP2, by2))
	})
}

// fetch is nil when the client gets the page through the VIP by this proxy: the
// Squid says so, and the web server has seen its address.
func (p *proxyPair) fetch(vip string, by *proxy) error {
	inside := func(_ context.Context, network, address string) (conn net.Conn, err error) {
		err = p.client.Do(func() error {
			conn, err = net.DialTimeout(network, address, p.lab.Scaled(2*time.Second))
			return err
		})
		return conn, err
	}
	browser := http.Client{
		Timeout: p.lab.Scaled(20 * time.Second),
		Transport: &http.Transport{
			DialContext: inside, DisableKeepAlives: true,
			Proxy: http.ProxyURL(&url.URL{Scheme: "http", Host: net.JoinHostPort(vip, proxyPort)}),
		},
	}
	answer, err := browser.Get("http://" + webAddress + "/")
	if err != nil {
		return fmt.Errorf("by %s: %w", vip, err)
	}
	defer answer.Body.Close()
	page, err := io.ReadAll(answer.Body)
	via := answer.Header.Get("Via")
	if string(page) != by.outside || !strings.Contains(via, " "+by.Name+" ") {
		err = cmp.Or(err, fmt.Errorf("by %s: %s, via %q, got %q, want %s of %s", vip, answer.Status, via, page, by.outside, by.Name))
	}
	return err
}

var (
	// transcript matches what a README shows of a journal: whose it is, and the lines.
	transcript = regexp.MustCompile("(?ms)^```console\n(proxy-serv0[12])# journalctl [^\n]*\n(.*?)^```$")
	// beginning is what lines on standard error have around the message, where the
	// journal has a field of its own.
	beginning = regexp.MustCompile(`(?m)^time=\S+ level=\S+ msg=(?:"([^"]*)"|(\S+))`)
)

// logged waits until each line that the README shows under the heading, where "..."
// stands for anything, has been logged since the same was asked before.
func (p *proxyPair) logged(heading string) {
	p.Helper()
	_, section, found := strings.Cut(proxyExample(p, "README.md"), "\n### "+heading+"\n")
	section, _, _ = strings.Cut(section, "\n#")
	shown := transcript.FindAllStringSubmatch(section, -1)
	if !found || len(shown) == 0 {
		p.Fatalf("the README shows no log under %q", heading)
	}
	for _, match := range shown {
		n := p.first
		if match[1] == p.second.Name {
			n = p.second
		}
		for line := range strings.Lines(match[2]) {
			want := regexp.MustCompile("(?m)^" + strings.ReplaceAll(regexp.QuoteMeta(line), `\.\.\.`, `[^\n]*`))
			p.lab.WaitFor(n.Name+" to log what the README shows", func() error {
				log := beginning.ReplaceAllString(n.daemon.Output()[n.read:], "$1$2")
				if !want.MatchString(log) {
					return fmt.Errorf("no line %sin\n%s", line, log)
				}
				return nil
			})
		}
	}
	for _, n := range p.proxies() {
		n.read = len(n.daemon.Output())
	}
}
