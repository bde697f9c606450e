package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/lvsd/lvsd/integration/lab"
	"github.com/lvsd/lvsd/integration/relay"
)

// startLoad starts the client: one session per tenth of a second on a quiet
// machine, and room for those that hang while no relay answers.
func (d *demo) startLoad() {
	d.patience = d.cluster.Lab.Scaled(10 * time.Second)
	d.client = d.cluster.Client.StartSMTP(lab.SMTPLoad{
		Target: relay.Service, Rate: 10 / d.cluster.Lab.Scale(), Workers: 100, Deliver: true, Timeout: d.patience,
	})
}

// awaitDeliveries waits until each of the relays has taken deliveries that were
// begun since then.
func (d *demo) awaitDeliveries(begin time.Time, from ...*relay.Relay) {
	d.cluster.Lab.WaitFor("deliveries", func() error {
		taken := since(d.client.Events(), begin).ByRelay
		for _, r := range from {
			if taken[r.Name] < each {
				return fmt.Errorf("%s took %d, all: %v", r.Name, taken[r.Name], taken)
			}
		}
		return nil
	})
}

// flawless shows who took the deliveries begun since then, and ends the step if
// one of them failed.
func (d *demo) flawless(begin time.Time) string {
	summary := since(d.client.Events(), begin)
	if summary.Failures > 0 {
		d.Fatalf("%d of %d sessions failed\n%v", summary.Failures, summary.Sessions, summary)
	}
	var taken []string
	for _, r := range d.cluster.Relays {
		taken = append(taken, fmt.Sprintf("%s %d", r.Name, summary.ByRelay[r.Name]))
	}
	d.say("%d deliveries, none failed. By relay: %s.", summary.Sessions, strings.Join(taken, ", "))
	return fmt.Sprintf("%d deliveries, 0 failed", summary.Sessions)
}

func begun(e lab.Event) time.Time { return e.Time.Add(-e.Latency) }

// since sums up the sessions that were begun since then.
func since(events []lab.Event, begin time.Time) lab.Summary {
	events = slices.DeleteFunc(slices.Clone(events), func(e lab.Event) bool { return begun(e).Before(begin) })
	return lab.Summarize(events, begin, time.Now())
}

// outage is the time without a success around the kill: up to the first success
// of a session begun after it. The events are in order of time.
func outage(events []lab.Event, killed time.Time) (time.Duration, error) {
	last := killed
	for _, e := range events {
		switch {
		case e.Error != "":
		case begun(e).Before(killed):
			last = e.Time
		default:
			return e.Time.Sub(last), nil
		}
	}
	return 0, errors.New("none yet")
}

// trouble is what clients saw of a failure.
type trouble struct {
	sessions, failed int
	// lasted is until the last session was begun that failed.
	lasted time.Duration
}

// String is the trouble in a few words.
func (t trouble) String() string {
	if t.failed == 0 {
		return fmt.Sprintf("0 of %d sessions failed", t.sessions)
	}
	return fmt.Sprintf("%d of %d sessions failed, the last begun after %s", t.failed, t.sessions, seconds(t.lasted))
}

// failures looks at the sessions that were under way at one time, or begun
// between it and another.
func failures(events []lab.Event, from, to time.Time) trouble {
	var t trouble
	for _, e := range events {
		if e.Time.Before(from) || begun(e).After(to) {
			continue
		}
		t.sessions++
		if e.Error != "" {
			t.failed++
			t.lasted = max(t.lasted, begun(e).Sub(from))
		}
	}
	return t
}

// accepted counts the messages that each relay has accepted: a session that
// came as far as QUIT delivered its own, whatever became of the goodbye.
func accepted(events []lab.Event) map[string]int {
	counts := map[string]int{}
	for _, e := range events {
		if e.Phase == lab.PhaseQuit {
			counts[e.Relay]++
		}
	}
	return counts
}
