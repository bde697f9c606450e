package control

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/user"
	"strconv"

	"golang.org/x/sys/unix"
)

// callerKey is the context key of a request's caller.
type callerKey struct{}

// caller is who asks.
type caller struct {
	name string
	// anybody tells that what it says of itself is to stand before its name.
	anybody bool
}

// WithCaller returns the context of a request that comes from the one with the name,
// such as "web:alice@192.0.2.1". Its server has made sure of that.
func WithCaller(ctx context.Context, name string) context.Context {
	return context.WithValue(ctx, callerKey{}, caller{name: name})
}

// called refuses a request that no one is known to have made.
func called(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, known := r.Context().Value(callerKey{}).(caller); !known {
			WriteError(w, &Error{CodeNotPermitted, "it is not known who asks"})
			return
		}
		next.ServeHTTP(w, r)
	})
}

// byWhom is who ordered something: the caller. Of root, who may be anybody, what it
// says of itself stands before that.
func byWhom(ctx context.Context, said string) string {
	c, _ := ctx.Value(callerKey{}).(caller)
	if !c.anybody || said == "" || said == c.name {
		return c.name
	}
	return said + " as " + c.name
}

// peerKey is the context key of a connection's peer.
type peerKey struct{}

// peer is the process at the other end of a connection, by the kernel's word.
type peer struct {
	uid uint32
	err error
}

// withPeer adds the peer to a connection's context.
func withPeer(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, peerKey{}, peerOf(c))
}

// peerOf asks the kernel who has connected. The socket's mode keeps others out
// already; that holds no more where somebody has changed it.
func peerOf(c net.Conn) peer {
	socket, ok := c.(*net.UnixConn)
	if !ok {
		return peer{err: fmt.Errorf("%T is no unix socket", c)}
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return peer{err: err}
	}
	var found peer
	err = raw.Control(func(fd uintptr) {
		credentials, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
		if err != nil {
			found.err = fmt.Errorf("SO_PEERCRED: %w", err)
			return
		}
		found.uid = credentials.Uid
	})
	if err != nil {
		found.err = err
	}
	return found
}

// admit lets in root and the daemon's own user, as the caller, and nobody else.
func admit(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, known := r.Context().Value(peerKey{}).(peer)
		switch {
		case !known: // the zero peer would be root
			WriteError(w, &Error{CodeNotPermitted, "it is not known who asks"})
			return
		case p.err != nil:
			WriteError(w, fmt.Errorf("find out who asks: %w", p.err))
			return
		case p.uid != 0 && p.uid != uint32(os.Geteuid()):
			WriteError(w, &Error{CodeNotPermitted, fmt.Sprintf("user %s may not ask: want root", userName(p.uid))})
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), callerKey{}, p.caller())))
	})
}

// caller is the peer as the caller of a request.
func (p peer) caller() caller { return caller{userName(p.uid), p.uid == 0} }

// userName is the user's name, or its number where it has none.
func userName(uid uint32) string {
	number := strconv.FormatUint(uint64(uid), 10)
	if found, err := user.LookupId(number); err == nil {
		return found.Username
	}
	return "uid " + number
}
