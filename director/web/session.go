package web

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"sync"
	"time"

	"github.com/lvsd/lvsd/director/control"
)

const (
	// sessionTime is how long a browser is known after signing in.
	sessionTime = 12 * time.Hour
	// sessionLimit bounds the sessions; the oldest goes for a new one.
	sessionLimit = 256
	// cookieName is the session's cookie. With TLS it has a prefix that keeps
	// other hosts of the domain from setting it.
	cookieName       = "lvsd_session"
	secureCookieName = "__Host-" + cookieName
	// tokenHeader brings the session's token with everything that changes
	// something: a foreign page can neither read the token nor send the header.
	tokenHeader = "X-Lvsd-Token"
)

// session is a browser that somebody has signed in with.
type session struct {
	user, token string
	until       time.Time
	// over is closed when it ends.
	over chan struct{}
}

// sessions are known by a hash of their cookie, so that what is in memory cannot
// be used as one, and finding one takes no time that tells of it.
type sessions struct {
	mu  sync.Mutex
	all map[[sha256.Size]byte]*session
}

// begin makes a session and returns its cookie's value.
func (s *sessions) begin(user string, now time.Time) (cookie string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all == nil {
		s.all = map[[sha256.Size]byte]*session{}
	}
	s.makeRoom(now)
	cookie = rand.Text()
	s.all[sha256.Sum256([]byte(cookie))] = &session{user, rand.Text(), now.Add(sessionTime), make(chan struct{})}
	return cookie
}

// makeRoom removes those whose time is over, or else the oldest. It needs s.mu.
func (s *sessions) makeRoom(now time.Time) {
	var oldest [sha256.Size]byte
	for key, one := range s.all {
		if !now.Before(one.until) {
			s.remove(key)
			continue
		}
		if first := s.all[oldest]; first == nil || one.until.Before(first.until) {
			oldest = key
		}
	}
	if len(s.all) >= sessionLimit {
		s.remove(oldest)
	}
}

func (s *sessions) remove(key [sha256.Size]byte) {
	if one := s.all[key]; one != nil {
		close(one.over)
		delete(s.all, key)
	}
}

// find is the session of the cookie; nil if there is none.
func (s *sessions) find(cookie string, now time.Time) *session {
	s.mu.Lock()
	defer s.mu.Unlock()
	one := s.all[sha256.Sum256([]byte(cookie))]
	if one == nil || !now.Before(one.until) {
		return nil
	}
	return one
}

// end ends the session of the cookie.
func (s *sessions) end(cookie string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.remove(sha256.Sum256([]byte(cookie)))
}

// signed is the session of the request; nil if there is none.
func (s *site) signed(r *http.Request) *session {
	cookie, err := r.Cookie(s.cookieName())
	if err != nil {
		return nil
	}
	return s.sessions.find(cookie.Value, time.Now())
}

// known lets the handler answer those who are signed in; or everybody, with a nil
// session, where there are no users.
func (s *site) known(handle func(http.ResponseWriter, *http.Request, *session)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		one := s.signed(r)
		if one == nil && len(s.Users) > 0 {
			refuse(w, control.CodeSignIn, "sign in first")
			return
		}
		handle(w, r, one)
	})
}

// mayChange reports whether the session's user may change anything.
func (s *site) mayChange(one *session) bool { return s.Admin && one != nil }

// hasToken reports whether the request comes from the session's own page.
func (one *session) hasToken(r *http.Request) bool {
	return subtle.ConstantTimeCompare([]byte(r.Header.Get(tokenHeader)), []byte(one.token)) == 1
}

// session tells the page who looks at it.
func (s *site) session(w http.ResponseWriter, _ *http.Request, one *session) {
	answer := struct {
		User  string `json:"user,omitempty"`
		Admin bool   `json:"admin"`
		Token string `json:"token,omitempty"`
		Build string `json:"build"`
	}{Admin: s.mayChange(one), Build: build()}
	if one != nil {
		answer.User, answer.Token = one.user, one.token
	}
	control.WriteJSON(w, http.StatusOK, answer)
}

func (s *site) cookieName() string {
	if s.keys != nil {
		return secureCookieName
	}
	return cookieName
}

// cookie is the session's cookie; without a value it is removed.
func (s *site) cookie(value string) *http.Cookie {
	c := &http.Cookie{
		Name: s.cookieName(), Value: value, Path: "/", MaxAge: int(sessionTime / time.Second),
		HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: s.keys != nil,
	}
	if value == "" {
		c.MaxAge = -1
	}
	return c
}
