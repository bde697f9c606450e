package cluster

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	// headerTimeout bounds a handshake, and the headers of a request; bodyTimeout
	// the whole request, and the answer.
	headerTimeout = 5 * time.Second
	bodyTimeout   = 10 * time.Second
	// listenPause is the first pause before listening is tried again; it doubles
	// up to maxPause.
	listenPause = time.Second
)

// idle is how long the asking side keeps a connection that is not used. The other
// side keeps it for longer, so that no request meets a connection that just closed.
func idle(interval time.Duration) time.Duration { return 3*interval + 10*time.Second }

// serve answers the other nodes until ctx ends. It returns when no connection is
// left.
func (s *session) serve(ctx context.Context) error {
	listener, err := s.listen(ctx)
	if err != nil || ctx.Err() != nil {
		return err
	}
	defer func() { _ = listener.Close() }()
	var open sync.WaitGroup
	server := s.newServer(ctx, &open)
	defer context.AfterFunc(ctx, func() { _ = server.Close() })()
	g := newGate(listener, s.peers, s.log)
	err = server.Serve(tls.NewListener(g, s.tls(g)))
	_ = server.Close()
	open.Wait()
	if ctx.Err() != nil || errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("cluster: %w", err)
}

// newServer returns one whose requests end with ctx; open has its connections.
func (s *session) newServer(ctx context.Context, open *sync.WaitGroup) *http.Server {
	return &http.Server{
		Handler:                      s,
		ReadHeaderTimeout:            headerTimeout,
		ReadTimeout:                  bodyTimeout,
		WriteTimeout:                 bodyTimeout,
		IdleTimeout:                  2 * idle(s.cluster.Interval),
		MaxHeaderBytes:               maxHeader,
		DisableGeneralOptionsHandler: true,
		ErrorLog:                     log.New(io.Discard, "", 0), // the gate tells who was turned away
		BaseContext:                  func(net.Listener) context.Context { return ctx },
		ConnState: func(_ net.Conn, state http.ConnState) {
			switch state {
			case http.StateNew:
				open.Add(1)
			case http.StateClosed:
				open.Done()
			}
		},
	}
}

// tls is the listening side's, which has the gate tell of peers with another key.
func (s *session) tls(g *gate) *tls.Config {
	config := s.identity.tls(nil)
	config.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		from := addressOf(hello.Conn.RemoteAddr())
		return s.identity.tls(func() { g.turnedAway(from, "its key is another one") }), nil
	}
	return config
}

// listen waits for the own address, which may come after the daemon at boot, and for
// a predecessor that still has the port.
func (s *session) listen(ctx context.Context) (net.Listener, error) {
	address := netip.AddrPortFrom(s.own(), s.cluster.Port)
	for pause := listenPause; ; pause = min(2*pause, maxPause) {
		listener, err := s.network.listen(ctx, address)
		switch {
		case ctx.Err() != nil:
			if err == nil {
				_ = listener.Close()
			}
			return nil, nil
		case err == nil:
			if pause > listenPause {
				s.log.Info("listening for the other nodes", "address", address)
			}
			return listener, nil
		case !errors.Is(err, syscall.EADDRNOTAVAIL) && !errors.Is(err, syscall.EADDRINUSE):
			return nil, fmt.Errorf("cluster: listen on %s: %w", address, err)
		case pause == listenPause:
			s.log.Warn("cannot listen for the other nodes yet", "address", address, "err", err)
		}
		select {
		case <-ctx.Done():
			return nil, nil
		case <-time.After(pause):
		}
	}
}

// ServeHTTP answers a node.
func (s *session) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	from, _ := netip.ParseAddrPort(r.RemoteAddr)
	s.returned(from.Addr().Unmap())
	switch {
	case r.URL.Path != nodePath:
		refuse(w, http.StatusNotFound, fmt.Sprintf("this node has %s", strings.TrimPrefix(nodePath, "/")))
	case r.Method == http.MethodGet:
		s.answer(w, "")
	case r.Method == http.MethodPost:
		s.take(w, r, from.Addr().Unmap())
	default:
		refuse(w, http.StatusMethodNotAllowed, "GET or POST")
	}
}

// returned has a node that is down asked at once, since it asks. One that was there and
// refused, or was refused, is not there any more than before.
func (s *session) returned(from netip.Addr) {
	for _, p := range s.peers {
		if now := p.now(); p.address.Addr() == from && !now.status.Reachable && now.unreached {
			p.nudge()
		}
	}
}

// take takes in the overrides of a node.
func (s *session) take(w http.ResponseWriter, r *http.Request, from netip.Addr) {
	d, err := decode(r.Body)
	switch {
	case errors.Is(err, errTooLarge):
		refuse(w, http.StatusRequestEntityTooLarge, err.Error())
		return
	case err != nil:
		refuse(w, http.StatusBadRequest, err.Error())
		return
	case s.cluster.Nodes[d.Node] != from:
		refuse(w, http.StatusForbidden, fmt.Sprintf("%s is not the address of %q in [cluster.nodes] here", from, printable(d.Node)))
		return
	}
	if _, err := s.self.Merge(r.Context(), d.Overrides); err != nil {
		refuse(w, http.StatusInternalServerError, err.Error())
		return
	}
	s.answer(w, d.Digest)
}

// answer tells of this node, and of the overrides that it knows if their digest is
// another one than that of who asks; empty is not to tell of them.
func (s *session) answer(w http.ResponseWriter, theirs string) {
	d := s.document(nil)
	report := s.ownReport()
	d.Report = &report
	if theirs != "" && theirs != d.Digest {
		d.Overrides = s.self.Overrides()
	}
	reply(w, http.StatusOK, d)
}

func refuse(w http.ResponseWriter, status int, why string) { reply(w, status, problem{why}) }

func reply(w http.ResponseWriter, status int, body any) {
	text, err := json.Marshal(body)
	if err != nil {
		status, text = http.StatusInternalServerError, []byte(`{"error":"the answer cannot be written"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(text) // who is gone need not be told
}
