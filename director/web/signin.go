package web

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/director/control"
)

const (
	// passwordLimit is what bcrypt takes, in bytes.
	passwordLimit = 72
	// compareAtOnce bounds the passwords compared at a time: each takes a
	// processor for a while, which a director has better use for.
	compareAtOnce = 2
	// triesAtOnce wrong passwords may come from an address at once, and one more
	// for each triesEvery.
	triesAtOnce = 5
	triesEvery  = 10 * time.Second
	// triersLimit bounds the addresses that are remembered.
	triersLimit = 4096
)

// users may sign in.
type users struct {
	hashes map[string]config.Secret
	// nobody is a hash for names that there are none of, so that they take the
	// time that others take.
	nobody []byte
	// comparing has a place for each password compared now.
	comparing chan struct{}
	tries     *tries
}

func newUsers(hashes map[string]config.Secret) users {
	u := users{hashes: hashes, comparing: make(chan struct{}, compareAtOnce), tries: &tries{}}
	cost := 0
	for _, hash := range hashes {
		c, err := bcrypt.Cost([]byte(hash))
		if err == nil && c > cost {
			cost, u.nobody = c, []byte(hash)
		}
	}
	return u
}

// check reports whether the password is the user's. The error is ctx's, when too
// many wait.
func (u users) check(ctx context.Context, user, password string) (bool, error) {
	select {
	case u.comparing <- struct{}{}:
		defer func() { <-u.comparing }()
	case <-ctx.Done():
		return false, context.Cause(ctx)
	}
	hash, there := u.hashes[user]
	compared := []byte(hash)
	if !there {
		compared = u.nobody
	}
	same := bcrypt.CompareHashAndPassword(compared, []byte(password)) == nil
	return same && there && len(password) <= passwordLimit, nil
}

// tries counts wrong passwords by address.
type tries struct {
	mu sync.Mutex
	// free is when the address has all its tries again.
	free map[netip.Addr]time.Time
}

// take uses one of the address's tries. It returns how long to wait if there is
// none.
func (t *tries) take(address netip.Addr, now time.Time) (wait time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.free == nil {
		t.free = map[netip.Addr]time.Time{}
	}
	key := tryer(address)
	if _, there := t.free[key]; !there {
		t.makeRoom(now)
	}
	free := t.free[key]
	if free.Before(now) {
		free = now
	}
	if wait := free.Sub(now) - (triesAtOnce-1)*triesEvery; wait > 0 {
		return wait
	}
	t.free[key] = free.Add(triesEvery)
	return 0
}

// forget gives the address all its tries back.
func (t *tries) forget(address netip.Addr) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.free, tryer(address))
}

// makeRoom forgets those that have all their tries again, and, where there are too
// many still, half of them, so that it is seldom needed. It needs t.mu.
func (t *tries) makeRoom(now time.Time) {
	if len(t.free) < triersLimit {
		return
	}
	for key, free := range t.free {
		if free.Before(now) {
			delete(t.free, key)
		}
	}
	for key := range t.free {
		if len(t.free) <= triersLimit/2 {
			return
		}
		delete(t.free, key)
	}
}

// tryer is who an address stands for: of IPv6 a host has a whole /64.
func tryer(address netip.Addr) netip.Addr {
	if address.Is4() || !address.IsValid() {
		return address
	}
	prefix, _ := address.Prefix(64)
	return prefix.Addr()
}

// signInPage asks for a user and a password.
func (s *site) signInPage(w http.ResponseWriter, r *http.Request) {
	if len(s.Users) == 0 || s.signed(r) != nil {
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return
	}
	writeSignIn(w, http.StatusOK, "")
}

// signIn begins a session.
func (s *site) signIn(w http.ResponseWriter, r *http.Request) {
	if len(s.Users) == 0 {
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return
	}
	if err := r.ParseForm(); err != nil {
		refuse(w, control.CodeBadRequest, "the form cannot be read")
		return
	}
	from := peer(r)
	if wait := s.users.tries.take(from, time.Now()); wait > 0 {
		seconds := int(wait/time.Second) + 1
		w.Header().Set("Retry-After", fmt.Sprint(seconds))
		writeSignIn(w, http.StatusTooManyRequests, fmt.Sprintf("Too many tries from your address. Try again in %d seconds.", seconds))
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), requestTimeout/2)
	defer cancel()
	user := r.PostForm.Get("user")
	right, err := s.users.check(ctx, user, r.PostForm.Get("password"))
	switch {
	case err != nil:
		writeSignIn(w, http.StatusServiceUnavailable, "Too many sign in at once. Try again.")
	case !right:
		s.log.Warn("somebody could not sign in to the page", "user", user, "from", from)
		writeSignIn(w, http.StatusUnauthorized, "The user or the password is wrong.")
	default:
		s.users.tries.forget(from)
		s.log.Info("a user signed in to the page", "user", user, "from", from)
		http.SetCookie(w, s.cookie(s.sessions.begin(user, time.Now())))
		http.Redirect(w, r, "/", http.StatusSeeOther)
	}
}

// signOut ends the session.
func (s *site) signOut(w http.ResponseWriter, r *http.Request) {
	if cookie, err := r.Cookie(s.cookieName()); err == nil {
		s.sessions.end(cookie.Value)
	}
	http.SetCookie(w, s.cookie(""))
	http.Redirect(w, r, "/sign-in", http.StatusSeeOther)
}
