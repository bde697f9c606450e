package cluster

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/director"
)

// patience is how long a condition may take to come about.
const patience = 2 * time.Minute

func waitFor(t *testing.T, what string, met func() error) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		err := met()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("waited for %s: %v", what, err)
		}
		<-time.After(10 * time.Millisecond)
	}
}

// loopbacks are addresses of this host that no other test has.
func loopbacks(count int) []netip.Addr {
	var all []netip.Addr
	x, y := byte(1+mathrand.IntN(250)), byte(mathrand.IntN(250))
	for i := range count {
		all = append(all, netip.AddrFrom4([4]byte{127, x, y, byte(i + 1)}))
	}
	return all
}

// startLoopback starts real nodes that poll as often as they may.
func startLoopback(t *testing.T, keys ...config.Secret) ([]*node, []netip.Addr) {
	t.Helper()
	addresses := loopbacks(len(keys) + 1)
	var nodes []*node
	for i, key := range keys {
		n := newNode(nameOf(i), tcp{})
		c := clusterOf(n.name, addresses[:len(keys)])
		c.Interval, c.Key = 100*time.Millisecond, key
		n.run(t, c)
		t.Cleanup(n.end)
		nodes = append(nodes, n)
	}
	return nodes, addresses
}

func (n *node) sees(names ...string) error {
	for _, name := range names {
		if status := n.other(name); !status.Reachable || status.Error != "" {
			return fmt.Errorf("%s is %v to %s: %s", name, status.Reachable, n.name, status.Error)
		}
	}
	return nil
}

// TestLoopback: real TLS between real sockets. Each node speaks from its own address:
// the kernel would choose another one, which is turned away.
func TestLoopback(t *testing.T) {
	t.Parallel()
	nodes, _ := startLoopback(t, testKey, testKey, testKey)
	waitFor(t, "all to see all", func() error {
		return errors.Join(nodes[0].sees("b", "c"), nodes[1].sees("a", "c"), nodes[2].sees("a", "b"))
	})
	told, untold := nodes[1].order(t.Context(), "192.0.2.11:80", director.Drain, time.Now().UTC().Round(0))
	if !slices.Equal(told, []string{"a", "c"}) || len(untold) > 0 {
		t.Errorf("told %v, not %v", told, untold)
	}
	for _, n := range nodes {
		if diff := cmp.Diff(nodes[1].Overrides(), n.Overrides()); diff != "" {
			t.Errorf("b and %s (-b +%s):\n%s", n.name, n.name, diff)
		}
	}
	nodes[2].end()
	waitFor(t, "c to be down", func() error {
		if nodes[0].other("c").Reachable {
			return errors.New("it is up")
		}
		return nil
	})
	nodes[0].order(t.Context(), "192.0.2.12:80", director.Drain, time.Now().UTC().Round(0))
	nodes[0].end()
	c := clusterOf("c", nil)
	c.Nodes, c.Interval = nodes[1].cluster(), 100*time.Millisecond
	nodes[2].run(t, c)
	t.Cleanup(nodes[2].end)
	waitFor(t, "c to learn from b what a ordered meanwhile", func() error {
		if have := len(nodes[2].Overrides()); have != 2 {
			return fmt.Errorf("it has %d", have)
		}
		return nil
	})
}

// cluster are the nodes of its configuration.
func (n *node) cluster() map[string]netip.Addr { return n.channel.session().cluster.Nodes }

// TestOtherKey: nodes of different keys tell each other nothing.
func TestOtherKey(t *testing.T) {
	t.Parallel()
	nodes, _ := startLoopback(t, testKey, "correct horse battery stapler")
	nodes[0].order(t.Context(), "192.0.2.11:80", director.Drain, time.Now())
	for i, n := range nodes {
		other := nameOf(1 - i)
		waitFor(t, other+" to be down", func() error {
			if status := n.other(other); status.Error != errOtherKey.Error() || len(n.takeEvents()) == 0 {
				return errors.New(status.Error)
			}
			return nil
		})
	}
	if got := nodes[1].Overrides(); len(got) > 0 {
		t.Errorf("an order passed: %v", got)
	}
}

// impostors are who does not have the key, by how they try.
func impostors(t *testing.T) map[string]*tls.Config {
	t.Helper()
	other, err := newIdentity("another one altogether")
	if err != nil {
		t.Fatal(err)
	}
	real, err := newIdentity(testKey)
	if err != nil {
		t.Fatal(err)
	}
	_, strange, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &curve.PublicKey, curve)
	if err != nil {
		t.Fatal(err)
	}
	old := configWith(real.own)
	old.MinVersion, old.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
	return map[string]*tls.Config{
		"another key":           configWith(other.own),
		"another kind of key":   configWith(tls.Certificate{Certificate: [][]byte{der}, PrivateKey: curve}),
		"a copied certificate":  configWith(tls.Certificate{Certificate: real.own.Certificate, PrivateKey: strange}),
		"a certificate beneath": configWith(tls.Certificate{Certificate: [][]byte{other.own.Certificate[0], real.own.Certificate[0]}, PrivateKey: other.own.PrivateKey}),
		"the key, but TLS 1.2":  old,
		"no certificate":        configWith(),
	}
}

// configWith is of one who accepts anybody.
func configWith(certificates ...tls.Certificate) *tls.Config {
	return &tls.Config{Certificates: certificates, InsecureSkipVerify: true, ClientAuth: tls.RequestClientCert} //nolint:gosec // an impostor
}

// TestImpostorsThatAsk: who does not have the key learns nothing, from the right
// address too.
func TestImpostorsThatAsk(t *testing.T) {
	t.Parallel()
	addresses := loopbacks(2)
	a := newNode("a", tcp{})
	a.run(t, clusterOf("a", addresses))
	t.Cleanup(a.end)
	for how, config := range impostors(t) {
		answer, err := exchange(t, addresses, config, "GET /v1/node HTTP/1.1\r\nHost: node\r\n\r\n")
		if err == nil || answer != "" {
			t.Errorf("%s: %v: %q", how, err, answer)
		}
	}
	if told := a.log.count("address=" + addresses[1].String() + ` reason="its key is another one"`); told != 1 {
		t.Errorf("logged %d times:\n%s", told, a.log)
	}
	genuine, err := newIdentity(testKey)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := exchange(t, addresses, configWith(genuine.own), "GET /v1/node HTTP/1.1\r\nHost: node\r\nConnection: close\r\n\r\n")
	if err != nil || !strings.HasPrefix(answer, "HTTP/1.1 200 OK\r\n") {
		t.Errorf("a node: %v: %q", err, answer)
	}
}

// exchange sends text to the first address from the second one and returns all that
// comes back.
func exchange(t *testing.T, addresses []netip.Addr, config *tls.Config, text string) (string, error) {
	t.Helper()
	conn := connect(t, addresses[1], addresses[0])
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(patience))
	secure := tls.Client(conn, config)
	if err := secure.Handshake(); err != nil {
		return "", err
	}
	if _, err := io.WriteString(secure, text); err != nil {
		return "", err
	}
	answer, err := io.ReadAll(secure)
	return string(answer), err
}

// connect waits until the address listens.
func connect(t *testing.T, from, to netip.Addr) net.Conn {
	t.Helper()
	var conn net.Conn
	waitFor(t, "a connection", func() (err error) {
		conn, err = tcp{}.dial(t.Context(), from, netip.AddrPortFrom(to, 9468))
		return err
	})
	return conn
}

// TestImpostorsThatAnswer: who has a node's address but not the key is told nothing,
// and not believed.
func TestImpostorsThatAnswer(t *testing.T) {
	t.Parallel()
	for how, config := range impostors(t) {
		addresses := loopbacks(2)
		listener, err := tcp{}.listen(t.Context(), netip.AddrPortFrom(addresses[1], 9468))
		if err != nil {
			t.Fatal(err)
		}
		asked := make(chan struct{}, 100)
		server := &http.Server{ErrorLog: slog.NewLogLogger(slog.DiscardHandler, 0), Handler: http.HandlerFunc(
			func(w http.ResponseWriter, _ *http.Request) {
				asked <- struct{}{}
				_, _ = io.WriteString(w, `{"node":"b","digest":"","report":{"version":"evil"}}`)
			})}
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_ = server.Serve(tls.NewListener(listener, config))
		}()
		a := newNode("a", tcp{})
		c := clusterOf("a", addresses)
		c.Interval = 100 * time.Millisecond
		a.run(t, c)
		waitFor(t, how+" to be taken for down", func() error {
			if events := a.takeEvents(); len(events) == 0 || !strings.Contains(events[0], "node.down") {
				return fmt.Errorf("%v", events)
			}
			return nil
		})
		if status := a.other("b"); status.Version != "" || len(asked) > 0 {
			t.Errorf("%s: asked %d times: %+v", how, len(asked), status)
		}
		a.end()
		_ = server.Close()
		<-ended
	}
}

// TestStranger: an address that is no node's is turned away before a byte is said,
// though it has the key.
func TestStranger(t *testing.T) {
	t.Parallel()
	nodes, addresses := startLoopback(t, testKey, testKey)
	waitFor(t, "the nodes to see each other", func() error { return nodes[0].sees("b") })
	genuine, err := newIdentity(testKey)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		conn := connect(t, addresses[2], addresses[0])
		_ = conn.SetDeadline(time.Now().Add(patience))
		if err := tls.Client(conn, configWith(genuine.own)).HandshakeContext(context.Background()); err == nil {
			t.Error("a stranger was let in")
		}
		_ = conn.Close()
	}
	if told := nodes[0].log.count("turned away"); told != 1 {
		t.Errorf("logged %d times:\n%s", told, nodes[0].log)
	}
	if err := nodes[0].sees("b"); err != nil {
		t.Error(err)
	}
}

// TestRequests: what one that has the key may send, and what comes back.
func TestRequests(t *testing.T) {
	t.Parallel()
	addresses := loopbacks(2)
	a := newNode("a", tcp{})
	a.run(t, clusterOf("a", addresses))
	t.Cleanup(a.end)
	genuine, err := newIdentity(testKey)
	if err != nil {
		t.Fatal(err)
	}
	post := func(body string) string {
		return fmt.Sprintf("POST /v1/node HTTP/1.1\r\nHost: node\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	}
	for name, c := range map[string]struct{ send, want string }{
		"ask":           {"GET /v1/node HTTP/1.0\r\n\r\n", `200 OK` + ` "node":"a"`},
		"overrides":     {post(`{"node":"b","digest":"x","overrides":[{"target":{"service":"web"},"state":"drain","node":"b","at":"2026-01-01T00:00:00Z"}]}`), `200 OK "overrides":[{"target":{"service":"web"}`},
		"newer fields":  {post(`{"node":"b","digest":"","mood":{"good":[true]}}`), "200 OK"},
		"newer version": {"GET /v2/node HTTP/1.0\r\n\r\n", `404 Not Found {"error":"this node has v1/node"}`},
		"own name":      {post(`{"node":"a"}`), `403 Forbidden is not the address of \"a\"`},
		"other name":    {post(`{"node":"zz"}`), `403 Forbidden is not the address of \"zz\"`},
		"no name":       {post(`{}`), "400 Bad Request no name"},
		"no JSON":       {post("\x00\xff\x00"), "400 Bad Request no document of a node"},
		"two documents": {post(`{"node":"b"}{"node":"b"}`), "400 Bad Request no document of a node"},
		"deep":          {post(strings.Repeat("[", 1<<20)), "400 Bad Request no document of a node"},
		"other method":  {"DELETE /v1/node HTTP/1.0\r\n\r\n", "405 Method Not Allowed GET or POST"},
		"announced large": {
			fmt.Sprintf("POST /v1/node HTTP/1.1\r\nHost: node\r\nContent-Length: %d\r\n\r\n%s", 1<<40, strings.Repeat(" ", maxBody+1)),
			"413 Request Entity Too Large more than 16 MiB",
		},
		"large in pieces": {
			"POST /v1/node HTTP/1.1\r\nHost: node\r\nTransfer-Encoding: chunked\r\n\r\n" +
				strings.Repeat("100000\r\n"+strings.Repeat(" ", 1<<20)+"\r\n", 17),
			"413 Request Entity Too Large more than 16 MiB",
		},
		"large headers": {"GET /v1/node HTTP/1.1\r\nHost: node\r\nX: " + strings.Repeat("x", 1<<14) + "\r\n\r\n", "431 Request Header Fields Too Large"},
		"no HTTP":       {"\x16\x03\x01 hello\r\n\r\n", "400 Bad Request"},
	} {
		answer, err := exchange(t, addresses, configWith(genuine.own), c.send)
		status, detail, _ := strings.Cut(c.want, " ")
		if !strings.HasPrefix(answer, "HTTP/1.1 "+status) && !strings.HasPrefix(answer, "HTTP/1.0 "+status) {
			t.Errorf("%s: %v: %.200q, want %s", name, err, answer, c.want)
		}
		if _, rest, _ := cutWords(detail); !strings.Contains(answer, rest) {
			t.Errorf("%s: %.300q, want %s", name, answer, rest)
		}
	}
	same := fmt.Sprintf(`{"node":"b","digest":%q}`, digest(a.Overrides()))
	if answer, err := exchange(t, addresses, configWith(genuine.own), post(same)); err != nil || strings.Contains(answer, "overrides") {
		t.Errorf("one that knows the same is told all again: %v: %s", err, answer)
	}
	if have := a.Overrides(); len(have) != 1 || have[0].Target.Service != "web" {
		t.Errorf("it knows %v", have)
	}
}

// cutWords parts a status text, whose words begin with capitals, from what follows.
func cutWords(text string) (status, rest string, found bool) {
	words := strings.Fields(text)
	i := slices.IndexFunc(words, func(w string) bool { return w[0] < 'A' || w[0] > 'Z' || w == "GET" })
	if i < 0 {
		return text, "", false
	}
	return strings.Join(words[:i], " "), strings.Join(words[i:], " "), true
}
