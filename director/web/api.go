package web

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/lvsd/lvsd/director/control"
)

// api adds the routes of the control socket to the site: reading for who may look,
// changing for users who may change something.
func (s *site) api(mux *http.ServeMux) {
	for _, one := range control.Reading(s.source) {
		mux.Handle(one.Pattern(), s.known(s.read(one.Handler)))
	}
	for _, one := range control.Changing(s.source) {
		mux.Handle(one.Pattern(), s.known(s.change(one.Handler)))
	}
}

// read answers what changes nothing. What is followed takes a place, as the page's own
// streams do.
func (s *site) read(next http.Handler) func(http.ResponseWriter, *http.Request, *session) {
	return func(w http.ResponseWriter, r *http.Request, one *session) {
		if !r.URL.Query().Has("follow") {
			next.ServeHTTP(w, r)
			return
		}
		ctx, leave := s.follow(w, r, one)
		if ctx == nil {
			return
		}
		defer leave()
		next.ServeHTTP(w, r.WithContext(ctx))
	}
}

// change does what changes something, for users who may, and only for their own page.
func (s *site) change(next http.Handler) func(http.ResponseWriter, *http.Request, *session) {
	return func(w http.ResponseWriter, r *http.Request, one *session) {
		switch {
		case !s.mayChange(one):
			refuse(w, control.CodeNotPermitted, "the page is read-only: admin is not set in [web]")
			return
		case !one.hasToken(r):
			refuse(w, control.CodeNotPermitted, "the request does not come from the page: its token is missing")
			return
		}
		by := fmt.Sprintf("web:%s@%s", one.user, peer(r))
		s.log.Info("a user changes something by the page", "by", by, "path", r.URL.Path)
		next.ServeHTTP(w, r.WithContext(control.WithCaller(r.Context(), by)))
	}
}

// follow takes a place for a stream. The context ends with the request and with the
// session; it is nil where no place was left, which is answered then.
func (s *site) follow(w http.ResponseWriter, r *http.Request, one *session) (context.Context, func()) {
	from := peer(r)
	if !s.streams.take(from) {
		w.Header().Set("Retry-After", "10")
		refuse(w, control.CodeTooMany, "too many look at the page")
		return nil, nil
	}
	until := time.Now().Add(sessionTime)
	if one != nil {
		until = one.until
	}
	ctx, cancel := context.WithDeadline(r.Context(), until)
	left := make(chan struct{})
	if one != nil {
		go func() {
			defer close(left)
			select {
			case <-one.over:
				cancel()
			case <-ctx.Done():
			}
		}()
	} else {
		close(left)
	}
	return ctx, func() {
		cancel()
		<-left
		s.streams.leave(from)
	}
}

// refuse answers with an error.
func refuse(w http.ResponseWriter, code, message string) {
	control.WriteError(w, &control.Error{Code: code, Message: message})
}
