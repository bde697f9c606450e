package track

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// maxPIDs is how many processes a reason names.
const maxPIDs = 5

// trackProcess reports how many processes run, until ctx ends.
func trackProcess(ctx context.Context, p Process, w *watcher, report func(found)) {
	counts := w.subscribe(p.Name)
	defer w.unsubscribe(counts)
	verdict := debounce{downDelay: p.DownDelay, upDelay: p.UpDelay}
	timer := time.NewTimer(0)
	defer timer.Stop()
	<-timer.C
	var last count
	for {
		select {
		case <-ctx.Done():
			return
		case last = <-counts:
		case <-timer.C:
		}
		state, again := verdict.next(time.Now(), last.err == nil && len(last.pids) >= p.Quorum)
		timer.Stop()
		if again > 0 {
			timer.Reset(again)
		}
		report(found{state: state, reason: last.describe(p.Quorum)})
	}
}

// count is the processes of one name that run.
type count struct {
	pids []int
	err  error // they could not be counted
}

func (c count) describe(quorum int) string {
	if c.err != nil {
		return c.err.Error()
	}
	text := fmt.Sprintf("%d of %d running", len(c.pids), quorum)
	if len(c.pids) == 0 {
		return text
	}
	names := strings.Trim(fmt.Sprint(c.pids[:min(len(c.pids), maxPIDs)]), "[]")
	if len(c.pids) > maxPIDs {
		names += " ..."
	}
	return text + " (pid " + names + ")"
}

// debounce makes a state of what is seen: it changes when the contrary has been
// seen for long enough. What is seen first decides.
type debounce struct {
	downDelay, upDelay time.Duration
	state              State
	since              time.Time // when the contrary was first seen; zero if it is not
}

// next is the state at now, and after how long it changes if nothing else is
// seen; 0 is never.
func (d *debounce) next(now time.Time, enough bool) (state State, again time.Duration) {
	says, delay := Down, d.downDelay
	if enough {
		says, delay = Up, d.upDelay
	}
	switch {
	case says == d.state:
		d.since = time.Time{}
		return d.state, 0
	case d.state == Unknown:
		delay = 0
	case d.since.IsZero():
		d.since = now
	}
	if left := delay - now.Sub(d.since); delay > 0 && left > 0 {
		return d.state, left
	}
	d.state, d.since = says, time.Time{}
	return d.state, 0
}
