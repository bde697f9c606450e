package healthcheck

import (
	"fmt"
	"time"

	"github.com/lvsd/lvsd/healthcheck/probe"
)

// busy knows how late this host lately woke who asked to be woken. Then a
// timeout tells nothing: the answer may have been there in time.
type busy struct {
	late time.Duration
	at   time.Time // when it woke
}

// tooLate is from how late on a timeout may be this host's fault, or from a
// quarter of the timeout, if that is more.
const tooLate = 200 * time.Millisecond

// memory is how long a long delay hides shorter ones: longer than timeouts are.
const memory = time.Minute

// woke notes that this host woke at now who asked for due. It returns whether
// that was too late.
func (b *busy) woke(due, now time.Time) bool {
	late := now.Sub(due)
	if late <= tooLate {
		return false
	}
	if late >= b.late || now.Sub(b.at) > memory {
		b.late, b.at = late, now
	}
	return true
}

// excuse makes r, the result of a probe with the timeout, not conclusive if it
// may be this host's fault.
func (b *busy) excuse(r probe.Result, timeout time.Duration) probe.Result {
	switch r.Code {
	case probe.L4TOUT, probe.L6TOUT, probe.L7TOUT:
	default:
		return r
	}
	if b.late <= max(tooLate, timeout/4) || b.at.Before(r.At) {
		return r
	}
	r.Code = probe.SOCKERR
	r.Reason = fmt.Sprintf("this host was busy: %s, and checks were %v late", r.Reason, b.late.Round(time.Millisecond))
	return r
}

func (b *busy) notice() string {
	return fmt.Sprintf("this host is busy: checks were %v late, what timed out does not count", b.late.Round(time.Millisecond))
}
