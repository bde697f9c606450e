package web

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/director/control"
)

const (
	// requestTimeout bounds every exchange but a stream, so that a stuck client
	// costs nothing.
	requestTimeout = 10 * time.Second
	// idleTimeout is how long a connection may wait for its next request.
	idleTimeout = time.Minute
	// graceful is how long requests may go on after the end; streams end at once.
	graceful = 2 * time.Second
	// headerLimit and bodyLimit bound a request, in bytes.
	headerLimit = 16 << 10
	bodyLimit   = 8 << 10
	// connectionLimit bounds the connections at a time, connectionsEach those of one
	// address.
	connectionLimit = 512
	connectionsEach = 64
	// streamLimit and streamsEach bound the streams likewise.
	streamLimit = 64
	streamsEach = 16
)

// site is the page with all that is behind it.
type site struct {
	config.Web
	source control.Source
	log    *slog.Logger
	// keys is nil for plain HTTP.
	keys     *keyPair
	names    hostNames
	users    users
	sessions sessions
	streams  places
	live     live
}

func newSite(c config.Web, source control.Source, log *slog.Logger) *site {
	s := &site{Web: c, source: source, log: log, names: append(thisHost(), c.Names...), users: newUsers(c.Users)}
	s.streams.all, s.streams.each = streamLimit, streamsEach
	s.live.init(source, log)
	return s
}

// serve answers on l until ctx ends, and returns when nothing of it runs any more.
func (s *site) serve(ctx context.Context, l net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	var working sync.WaitGroup
	defer working.Wait()
	defer cancel()
	working.Go(func() { s.live.run(ctx) })
	server := &http.Server{
		Handler:           s.handler(),
		ReadHeaderTimeout: requestTimeout,
		ReadTimeout:       requestTimeout,
		WriteTimeout:      requestTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    headerLimit,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	working.Go(func() {
		<-ctx.Done()
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), graceful)
		defer cancel()
		if server.Shutdown(grace) != nil {
			_ = server.Close()
		}
	})
	l = &bounded{l, &places{all: connectionLimit, each: connectionsEach}}
	var err error
	if s.keys == nil {
		err = server.Serve(l)
	} else {
		server.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: s.keys.get}
		err = server.ServeTLS(l, "", "")
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("the page: %w", err)
}

// handler answers every request: who may not ask at all is refused first.
func (s *site) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /assets/{name}", serveAsset)
	mux.HandleFunc("GET /favicon.ico", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	mux.HandleFunc("GET /sign-in", s.signInPage)
	mux.HandleFunc("POST /sign-in", s.signIn)
	mux.HandleFunc("POST /sign-out", s.signOut)
	mux.HandleFunc("GET /{$}", s.page)
	mux.Handle("GET /v1/session", s.known(s.session))
	mux.Handle("GET /v1/stream", s.known(s.stream))
	s.api(mux)
	return s.guard(control.Known(mux))
}
