package integration

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lvsd/lvsd/director"
	"github.com/lvsd/lvsd/integration/lab"
)

// siteName is what the certificate of the web farm is for.
const siteName = "www.felix.com"

// webFarm is the example web-farm: two nodes that may have the VIP, and two web
// servers. What they run is in the example's own files.
type webFarm struct {
	*segment
	vip   string
	nodes [2]*node
	web   [2]*node
	// nginx are the servers' programs, and certificates what they show.
	nginx        [2]*lab.Daemon
	authority    *lab.Authority
	certificates [2]lab.Certificate
	// urls are of the site, by scheme.
	urls map[string]string
}

// webNames are those of the web servers, and what their pages begin with.
var webNames = [2]string{"web01", "web02"}

// newWebFarm makes the hosts in a network of which format makes addresses, with
// the numbers that the example gives them.
func newWebFarm(t *testing.T, format string, vip, node, web int) *webFarm {
	t.Helper()
	s := newStages(t)
	l := lab.New(s)
	f := &webFarm{vip: fmt.Sprintf(format, vip), segment: &segment{
		stages: s, lab: l, client: l.Host("client", fmt.Sprintf(format, 250)+"/24"),
		interval: time.Duration(math.Ceil(l.Scale()/4)) * time.Second,
	}}
	for i := range f.nodes {
		f.nodes[i] = f.addNode(fmt.Sprintf("lb%d", i+1), fmt.Sprintf(format, node+i))
		f.nodes[i].router = virtualRouter{VIPs: []string{f.vip}}
		f.web[i] = f.addNode(webNames[i], fmt.Sprintf(format, web+i))
	}
	f.urls = map[string]string{"http": "http://" + f.vip + "/", "https": "https://" + siteName + "/"}
	return f
}

// example is a file of the example, with its texts replaced: old, new, and so on. A
// text that is not there fails the test, for then the example has changed.
func (f *webFarm) example(name string, edits ...string) string {
	f.Helper()
	b, err := os.ReadFile(filepath.Join("..", "examples", "web-farm", name))
	if err != nil {
		f.Fatalf("%v", err)
	}
	text := string(b)
	for i := 0; i < len(edits); i += 2 {
		if !strings.Contains(text, edits[i]) {
			f.Fatalf("%s has no %q", name, edits[i])
		}
		text = strings.ReplaceAll(text, edits[i], edits[i+1])
	}
	return text
}

// keyed is a line of a file with a duration.
func keyed(key string, d time.Duration) string {
	return fmt.Sprintf("%s = \"%dms\"", key, d.Milliseconds())
}

// serveWeb starts a web server. It tells who asked and at which address.
func (f *webFarm) serveWeb(i int) {
	f.Helper()
	page := fmt.Sprintf("default_type text/plain;\nkeepalive_timeout 1h;\nkeepalive_requests 100000;\n"+
		"location / { return 200 \"%s $remote_addr $server_addr\\n\"; }\n", webNames[i])
	blocks := "server {\nlisten 80;\n" + page + "}\n"
	if f.authority != nil {
		blocks += fmt.Sprintf("server {\nlisten 443 ssl;\nssl_certificate %s;\nssl_certificate_key %s;\n%s}\n",
			f.certificates[i].File, f.certificates[i].Key, page)
	}
	f.nginx[i] = f.web[i].StartNginx(blocks, map[string]string{})
}

// settle waits until the node is the only MASTER and the client knows.
func (f *webFarm) settle(master *node) {
	f.Helper()
	f.lab.WaitFor(master.Name+" to be the only MASTER", func() error {
		errs := []error{f.clientResolves(f.vip, master.MAC()), master.inState("master")}
		for _, n := range f.nodes {
			if n != master && n.takesPart() {
				errs = append(errs, n.inState("backup"))
			}
		}
		return errors.Join(errs...)
	})
}

// stays checks that nothing changes the roles for longer than a node that preempts
// would wait.
func (f *webFarm) stays(t *testing.T, master, backup *node) {
	t.Helper()
	f.settle(master)
	since, heard := f.current(master).Since, f.current(backup).Received
	f.lab.WaitFor(backup.Name+" to hear adverts", func() error {
		i, err := backup.instance()
		if err == nil && i.Received < heard+5 {
			err = fmt.Errorf("%d so far", i.Received-heard)
		}
		return err
	})
	f.settle(master)
	if i := f.current(master); !i.Since.Equal(since) {
		t.Errorf("%s has changed its role, it is %s because %s", master.Name, i.State, i.Reason)
	}
}

// current is what lvsd says of the node's instance, however busy the machine is.
func (f *webFarm) current(n *node) (i director.InstanceStatus) {
	f.Helper()
	f.lab.WaitFor(n.Name+" to tell its status", func() (err error) {
		i, err = n.instance()
		return err
	})
	return i
}

// curl is the command that asks for the site once.
func (f *webFarm) curl(scheme string) []string {
	patience := fmt.Sprint(int(f.lab.Scaled(time.Minute).Seconds()))
	args := []string{"curl", "-sS", "--max-time", patience, f.urls[scheme]}
	if scheme == "https" {
		args = append(args, "--cacert", f.authority.File, "--resolve", siteName+":443:"+f.vip)
	}
	return args
}

// asked asks for the site and returns the server that answered, and as what it saw
// client and itself.
func (f *webFarm) asked(scheme string) (server, client, itself string) {
	f.Helper()
	args := f.curl(scheme)
	page := f.client.Run(args[0], args[1:]...)
	if _, err := fmt.Sscan(page, &server, &client, &itself); err != nil {
		f.Fatalf("%s: the page is %q: %v", f.urls[scheme], page, err)
	}
	return server, client, itself
}

// alternates checks that requests go to the web servers in turn, which see the
// client's own address and the VIP as theirs.
func (f *webFarm) alternates(t *testing.T, scheme string) {
	t.Helper()
	var order []string
	for range 2 * len(f.web) {
		server, client, itself := f.asked(scheme)
		if client != f.client.Address.String() || itself != f.vip {
			t.Errorf("%s: %s saw the client as %s and itself as %s", scheme, server, client, itself)
		}
		order = append(order, server)
	}
	if order[0] == order[1] || order[0] != order[2] || order[1] != order[3] {
		t.Errorf("%s: answered by %q, want the two in turn", scheme, order)
	}
}

// curling asks for the site again and again, one request after the other.
type curling struct {
	farm   *webFarm
	scheme string
	daemon *lab.Daemon
}

// startCurl begins such a loop in the client, with more of curl's options.
func (f *webFarm) startCurl(scheme string, options ...string) *curling {
	f.Helper()
	const loop = `while :; do page=$("$@" 2>&1); echo "$? $page"; sleep 0.05; done`
	return &curling{farm: f, scheme: scheme, daemon: f.client.Start(lab.Command{
		Name: "curl " + scheme, Args: slices.Concat([]string{"sh", "-c", loop, "loop"}, f.curl(scheme), options),
	})}
}

// requests counts those that have ended, and lists what was said of those that
// failed.
func (c *curling) requests() (n int, failures []string) {
	for line := range strings.Lines(c.daemon.Output()) {
		switch {
		case !strings.HasSuffix(line, "\n"):
		case strings.HasPrefix(line, "0 web"):
			n++
		default:
			n++
			failures = append(failures, strings.TrimSpace(line))
		}
	}
	return n, failures
}

// answered waits until so many more requests have been answered in a row.
func (c *curling) answered(more int) {
	c.farm.Helper()
	n, failures := c.requests()
	c.farm.lab.WaitFor(fmt.Sprintf("%d more requests over %s to be answered", more, c.scheme), func() error {
		now, failed := c.requests()
		if len(failed) > len(failures) {
			n, failures = now, failed
		}
		if now < n+more {
			return fmt.Errorf("%d of %d so far, %d failed: %q", now-n, more, len(failures), failures)
		}
		return nil
	})
}

// farmSession is a connection to the site that stays open between requests.
type farmSession struct {
	farm   *webFarm
	scheme string
	conn   net.Conn
	in     *bufio.Reader
	// server is who answered first.
	server string
}

// open opens a connection and asks once.
func (f *webFarm) open(scheme string) *farmSession {
	f.Helper()
	c := &farmSession{farm: f, scheme: scheme}
	port := map[string]string{"http": "80", "https": "443"}[scheme]
	err := f.client.Do(func() (err error) {
		c.conn, err = net.DialTimeout("tcp4", net.JoinHostPort(f.vip, port), f.lab.Scaled(time.Minute))
		return err
	})
	if err != nil {
		f.Fatalf("%s: %v", scheme, err)
	}
	if scheme == "https" {
		// Who it is, curl looks at.
		c.conn = tls.Client(c.conn, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12})
	}
	f.T.Cleanup(func() { _ = c.conn.Close() })
	c.in = bufio.NewReader(c.conn)
	if c.server, err = c.ask(); err != nil {
		f.Fatalf("%s: %v", scheme, err)
	}
	return c
}

// ask asks again on the same connection and returns who answered.
func (c *farmSession) ask() (server string, err error) {
	if err := c.conn.SetDeadline(time.Now().Add(c.farm.lab.Scaled(time.Minute))); err != nil {
		return "", err
	}
	if _, err := io.WriteString(c.conn, "GET / HTTP/1.1\r\nHost: "+siteName+"\r\n\r\n"); err != nil {
		return "", err
	}
	response, err := http.ReadResponse(c.in, nil)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	page, err := io.ReadAll(response.Body)
	if err != nil {
		return "", err
	}
	server, _, _ = strings.Cut(string(page), " ")
	return server, nil
}

// lives is an error unless the same server answers on the connection.
func (c *farmSession) lives() error {
	server, err := c.ask()
	if err == nil && server != c.server {
		err = fmt.Errorf("%s answered", server)
	}
	if err != nil {
		return fmt.Errorf("%s, connection to %s: %w", c.scheme, c.server, err)
	}
	return nil
}
