package healthcheck

import (
	"fmt"
	"time"

	"github.com/lvsd/lvsd/healthcheck/probe"
)

// busy knows how late this host lately did what was due: the pool's loop, the
// goroutine of a probe, or a probe that its timeout was to end. Then a timeout
// tells nothing: the answer may have been there in time.
type busy struct {
	late time.Duration
	at   time.Time // when it was done
}

// tooLate is from how late on a timeout may be this host's fault, or from a
// quarter of the timeout, if that is more.
const tooLate = 200 * time.Millisecond

// memory is how long a long delay hides shorter ones: longer than timeouts are.
const memory = time.Minute

// woke notes that this host did at now what was due then. It returns whether that
// was too late.
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

// overrun is by how much a probe that took r exceeded its timeout; not positive
// if it did not. A program is given time to end: it says nothing.
func overrun(r probe.Result, timeout time.Duration) time.Duration {
	if r.Code == probe.PROCTOUT {
		return 0
	}
	return r.Duration - timeout
}

// excuse makes r, the result of a probe with the timeout, not conclusive if it
// may be this host's fault.
func (b *busy) excuse(r probe.Result, timeout time.Duration) probe.Result {
	switch r.Code {
	case probe.L4TOUT, probe.L6TOUT, probe.L7TOUT, probe.PROCTOUT:
	default:
		return r
	}
	late := overrun(r, timeout) // a longer delay may hide this
	if !b.at.Before(r.At) {
		late = max(late, b.late)
	}
	if late <= max(tooLate, timeout/4) {
		return r
	}
	r.Code = probe.SOCKERR
	r.Reason = fmt.Sprintf("this host was busy: %s, and checks were %v late", r.Reason, late.Round(time.Millisecond))
	return r
}

func (b *busy) notice() string {
	return fmt.Sprintf("this host is busy: checks were %v late, what timed out does not count", b.late.Round(time.Millisecond))
}
