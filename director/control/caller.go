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

// callerKey is the context key of a connection's caller.
type callerKey struct{}

// caller is the process at the other end of a connection, by the kernel's word.
type caller struct {
	uid uint32
	err error
}

// withCaller adds the caller to a connection's context.
func withCaller(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, callerKey{}, callerOf(c))
}

// callerOf asks the kernel who has connected. The socket's mode keeps others out
// already; that holds no more where somebody has changed it.
func callerOf(c net.Conn) caller {
	socket, ok := c.(*net.UnixConn)
	if !ok {
		return caller{err: fmt.Errorf("%T is no unix socket", c)}
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return caller{err: err}
	}
	var found caller
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

// admit lets in root and the daemon's own user.
func admit(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, _ := r.Context().Value(callerKey{}).(caller)
		if c.err != nil {
			writeError(w, fmt.Errorf("find out who asks: %w", c.err))
			return
		}
		if c.uid != 0 && c.uid != uint32(os.Geteuid()) {
			writeError(w, &Error{CodeNotPermitted, fmt.Sprintf("user %s may not ask: want root", userName(c.uid))})
			return
		}
		next.ServeHTTP(w, r)
	})
}

// byWhom is who ordered something: the caller, by the kernel's word. Of root, who
// may be anybody, what it says of itself stands before that.
func byWhom(ctx context.Context, said string) string {
	c, _ := ctx.Value(callerKey{}).(caller)
	name := userName(c.uid)
	if c.uid != 0 || said == "" || said == name {
		return name
	}
	return said + " as " + name
}

// userName is the user's name, or its number where it has none.
func userName(uid uint32) string {
	number := strconv.FormatUint(uint64(uid), 10)
	if found, err := user.LookupId(number); err == nil {
		return found.Username
	}
	return "uid " + number
}
