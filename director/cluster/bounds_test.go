package cluster

import (
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestSlow: whoever is slow is cut off, at whatever point.
func TestSlow(t *testing.T) {
	genuine, err := newIdentity(testKey)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		handshake bool
		send      string
		within    time.Duration
	}{
		"says nothing":      {false, "", headerTimeout},
		"handshake, no end": {true, "", headerTimeout},
		"half a header":     {true, "GET /v1/node HTTP/1.1\r\nHost: no", headerTimeout},
		"half a body":       {true, "POST /v1/node HTTP/1.1\r\nHost: node\r\nContent-Length: 100\r\n\r\n{", bodyTimeout},
		"idle":              {true, "GET /v1/node HTTP/1.1\r\nHost: node\r\n\r\n", 2 * idle(2*time.Second)},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newGroup(2)
				g.nodes[0].run(t, g.cluster(0))
				synctest.Wait()
				conn, err := g.dial(t.Context(), g.addresses[1], netip.AddrPortFrom(g.addresses[0], 9468))
				if err != nil {
					t.Fatal(err)
				}
				if c.handshake {
					conn = tls.Client(conn, configWith(genuine.own))
				}
				if _, err := io.WriteString(conn, c.send); err != nil {
					t.Fatal(err)
				}
				began := time.Now()
				_, _ = io.Copy(io.Discard, conn)
				if took := time.Since(began); took < c.within-time.Second || took > c.within+time.Second {
					t.Errorf("cut off after %v, want %v", took, c.within)
				}
				_ = conn.Close()
				g.nodes[0].end()
			})
		})
	}
}

// TestDeaf: one that does not read its answer is cut off.
func TestDeaf(t *testing.T) {
	genuine, err := newIdentity(testKey)
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(2)
		g.nodes[0].run(t, g.cluster(0))
		synctest.Wait()
		conn, err := g.dial(t.Context(), g.addresses[1], netip.AddrPortFrom(g.addresses[0], 9468))
		if err != nil {
			t.Fatal(err)
		}
		secure := tls.Client(conn, configWith(genuine.own))
		if _, err := io.WriteString(secure, "GET /v1/node HTTP/1.1\r\nHost: node\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		advance(bodyTimeout + 6*time.Second)
		if _, err := conn.Write([]byte{0}); !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("not cut off: %v", err)
		}
		_ = conn.Close()
		g.nodes[0].end()
	})
}

// TestGate: a node may open a few connections, and not too often.
func TestGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		from := netip.MustParseAddr("192.0.2.2")
		log := &buffer{}
		g := newGate(nil, []*peer{{address: netip.AddrPortFrom(from, 9468)}}, slog.New(slog.NewTextHandler(log, nil)))
		enter := func(want string) func() {
			t.Helper()
			leave, why := g.enter(from)
			if why != want {
				t.Errorf("%q, want %q", why, want)
			}
			return leave
		}
		var leaves []func()
		for range maxConnections {
			leaves = append(leaves, enter(""))
		}
		enter("it has too many connections")
		leaves[0]()
		leaves[0]() // to be closed twice is to leave once
		leaves = append(leaves[1:], enter(""))
		enter("it has too many connections")
		for _, leave := range leaves {
			leave()
		}
		for range handshakeBurst - maxConnections - 1 {
			enter("")()
		}
		enter("it connects too often")
		<-time.After(handshakePause)
		enter("")()
		enter("it connects too often")
		<-time.After(time.Hour)
		for range handshakeBurst {
			enter("")()
		}
		enter("it connects too often")
		if _, why := g.enter(netip.MustParseAddr("192.0.2.3")); why != "it is not the address of a node" {
			t.Errorf("a stranger: %q", why)
		}

		// A flood is one line a minute.
		for range 250 {
			g.turnedAway(from, "it connects too often")
			<-time.After(time.Second)
		}
		if lines := log.count("turned away"); lines != 5 {
			t.Errorf("%d lines:\n%s", lines, log)
		}
		if !strings.Contains(log.String(), "count=61") {
			t.Errorf("the others are not counted:\n%s", log)
		}
	})
}

// TestAnswers: what another node may answer, and what is told of it.
func TestAnswers(t *testing.T) {
	genuine, err := newIdentity(testKey)
	if err != nil {
		t.Fatal(err)
	}
	text := func(status int, text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = io.WriteString(w, text)
		}
	}
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		want   string
	}{
		"newer version": {
			text(404, `{"error":"this node has v2/node and v3/node"}`),
			"it does not speak version 1 of the channel, as this node does: this node has v2/node and v3/node",
		},
		"newer fields":    {text(200, `{"node":"b","mood":1,"digest":"`+digest(nil)+`","report":{"ready":true,"mood":2}}`), ""},
		"other name":      {text(200, `{"node":"relay2","report":{}}`), `it calls itself "relay2", here it is "b"`},
		"no report":       {text(200, `{"node":"b"}`), "no document of a node: no report"},
		"no JSON":         {text(200, "<html>"), "no document of a node: invalid character '<' looking for beginning of value"},
		"hostile refusal": {text(500, `{"error":"\u001b[2J\nno `+strings.Repeat("x", 5000)+`"}`), "it refuses: 500 [2J no " + strings.Repeat("x", maxError-8)},
		"never": {
			func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
			"no answer in time",
		},
		"hangs up": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "it closes the connection: perhaps 192.0.2.1 is not among its [cluster.nodes]"},
		"redirects": {
			func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, "https://192.0.2.9/", http.StatusFound)
			},
			"it refuses: 302",
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newGroup(2)
				listener, err := g.listen(t.Context(), netip.AddrPortFrom(g.addresses[1], 9468))
				if err != nil {
					t.Fatal(err)
				}
				server := &http.Server{Handler: c.answer, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, 0)}
				go func() { _ = server.Serve(tls.NewListener(listener, genuine.tls(nil))) }()
				a := g.nodes[0]
				a.run(t, g.cluster(0))
				advance(time.Minute)
				if got := a.other("b"); strings.TrimSpace(got.Error) != c.want || got.Reachable != (c.want == "") {
					t.Errorf("got  %v %q\nwant %q", got.Reachable, got.Error, c.want)
				}
				a.end()
				_ = server.Close()
			})
		})
	}
}

var _ net.Listener = (*gate)(nil)
