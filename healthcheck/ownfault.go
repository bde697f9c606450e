package healthcheck

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/lvsd/lvsd/healthcheck/probe"
)

// minAddresses is of how many target addresses the failing checks must be
// before they speak against this host: one server with many services may well
// die alone, and so may a pair.
const minAddresses = 3

// ownFault finds out when failures are rather this host's fault than the
// servers', and keeps verdicts from going down meanwhile.
//
// A check accuses this host from its first failure against a verdict that is
// up, until the server answers or the check has failed for its window: twice
// its interval, or twice the longest that one of its attempts may take, if that
// is more. Checks are spread over their interval, and so are the failures that
// one event causes; within the window, each check that the event hit has told
// of it. The window is each check's own, as one that asks once a minute cannot
// tell sooner. A proper answer that says no (L7STS) is an answer, so that
// servers which all depend on one thing and all say that it is gone do not
// accuse.
//
// Verdicts are held as long as at least Percent of the checks that are up or
// accuse do accuse, provided that there are Minimum of them and that those which
// accuse are of minAddresses addresses. A check counts whether or not it went
// down since it began to accuse: where one failure is enough for that, some do
// before there are enough of them. Meanwhile those that accuse do so until
// their servers answer, and no verdict goes down, whatever its check found.
//
// If checks pass and the share falls below Percent, it is over and nothing
// happened. If it does not until Hold has passed, the servers are taken to be
// dead: the next failure of each counts, with those before it, and nobody
// accuses any more. As an accusation begins only with a first failure, checks
// have to pass before verdicts can be held for them again.
//
// It has no clock: time passes with the results. Each costs O(1), taken
// together.
type ownFault struct {
	limits OwnFault
	// checks counts those that are up or accuse, accusing only these.
	checks, accusing int
	// first and last are the ends of the list of those that accuse, in the
	// order in which they began to; addresses counts them by target.
	first, last *witness
	addresses   map[netip.Addr]int
	// since is when there were enough of them; zero if there are not.
	since time.Time
	// text is what holds says; empty if it must be written anew.
	text string
}

// witness is what an ownFault knows of one check of the address. The check's
// owner keeps it, beginning with the address only.
type witness struct {
	address        netip.Addr
	up             bool      // the verdict
	began          time.Time // when it began to accuse; zero if it does not
	previous, next *witness
}

// after is the status of w's check after one more attempt.
func (o *ownFault) after(w *witness, c Check, s Status, r probe.Result) Status {
	now := r.At.Add(r.Duration)
	o.verdict(w, s.Verdict, now)
	if r.Conclusive() {
		o.hear(w, c, s.Streak == 0, r, now)
	}
	s = s.after(c, o.holds(now), r)
	o.verdict(w, s.Verdict, now)
	return s
}

// verdict notes what w's verdict is. Apart from after, this is for verdicts that
// no result brought.
func (o *ownFault) verdict(w *witness, v Verdict, now time.Time) {
	if up := v.Up && v.decided(); w.up != up {
		o.count(w, -1)
		w.up = up
		o.count(w, 1)
	}
	o.judge(now)
}

// remove forgets w.
func (o *ownFault) remove(w *witness, now time.Time) {
	o.withdraw(w)
	o.verdict(w, Verdict{}, now)
}

// setLimits changes the limits.
func (o *ownFault) setLimits(l OwnFault, now time.Time) {
	o.limits, o.text = l, ""
	o.judge(now)
}

// holds says why no verdict may go down; empty if it may.
func (o *ownFault) holds(now time.Time) string {
	if o.since.IsZero() || o.expired(now) {
		return ""
	}
	if o.text == "" {
		o.text = o.accusation()
	}
	return o.text
}

// expired reports whether verdicts that are held have been for long enough.
func (o *ownFault) expired(now time.Time) bool {
	return o.limits.Hold > 0 && now.Sub(o.since) >= o.limits.Hold
}

func (o *ownFault) accusation() string {
	// Results need not arrive in the order in which they ended.
	span := max(0, o.last.began.Sub(o.first.began)).Truncate(100*time.Millisecond) + 100*time.Millisecond
	until := "checks pass again"
	if o.limits.Hold > 0 {
		until = o.since.Add(o.limits.Hold).Format(time.TimeOnly)
	}
	return fmt.Sprintf("%d of %d checks began to fail within %v: this host is suspected, verdicts stay until %s",
		o.accusing, o.checks, span, until)
}

// hear takes what w found; first says that nothing was against its verdict
// before.
func (o *ownFault) hear(w *witness, c Check, first bool, r probe.Result, now time.Time) {
	answered := r.OK || r.Code == probe.L7STS
	switch accuses := !w.began.IsZero(); {
	case accuses && (answered || o.holds(now) == "" && now.Sub(w.began) >= c.window()):
		o.withdraw(w)
	case !accuses && !answered && first && w.up:
		o.accuse(w, now)
	}
}

// window is how long a check accuses that keeps failing.
func (c Check) window() time.Duration {
	attempt := time.Duration(c.Retries+1)*c.Timeout + time.Duration(c.Retries)*c.RetryDelay
	return 2 * max(c.Interval, attempt)
}

func (o *ownFault) accuse(w *witness, now time.Time) {
	o.count(w, -1)
	w.began, w.previous, w.next = now, o.last, nil
	o.count(w, 1)
	if o.last == nil {
		o.first = w
	} else {
		o.last.next = w
	}
	o.last = w
	o.accusing++
	if o.addresses == nil {
		o.addresses = map[netip.Addr]int{}
	}
	o.addresses[w.address]++
	o.judge(now) // it may be what this very failure needs not to count
}

func (o *ownFault) withdraw(w *witness) {
	if w.began.IsZero() {
		return
	}
	o.count(w, -1)
	if w.previous == nil {
		o.first = w.next
	} else {
		w.previous.next = w.next
	}
	if w.next == nil {
		o.last = w.previous
	} else {
		w.next.previous = w.previous
	}
	w.began, w.previous, w.next = time.Time{}, nil, nil
	o.count(w, 1)
	o.accusing--
	if o.addresses[w.address]--; o.addresses[w.address] == 0 {
		delete(o.addresses, w.address)
	}
}

// count counts w n times if it is up or accuses. All that the text says but the
// limits changes with this.
func (o *ownFault) count(w *witness, n int) {
	if w.up || !w.began.IsZero() {
		o.checks += n
	}
	o.text = ""
}

// judge begins to hold verdicts when there are enough that accuse, and ends it
// when there are not, or when it lasted for Hold.
func (o *ownFault) judge(now time.Time) {
	if !o.since.IsZero() && o.expired(now) {
		for o.first != nil {
			o.withdraw(o.first)
		}
	}
	enough := o.limits.Percent > 0 && o.checks >= o.limits.Minimum &&
		len(o.addresses) >= minAddresses && 100*o.accusing >= o.limits.Percent*o.checks
	switch {
	case !enough:
		o.since = time.Time{}
	case o.since.IsZero():
		o.since = now
	}
}
