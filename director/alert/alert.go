// Package alert tells people and programs of events: by mail, by webhooks and in a
// named pipe. It must not know how events come about, and nothing waits for it: who
// is told has a queue of his own, and one that hangs keeps no other waiting.
package alert

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/director"
)

// lastWords is how long Run goes on after its context has ended, to tell of events
// that are waiting.
const lastWords = 5 * time.Second

// Source is where events come from.
type Source interface {
	Events(after uint64) []director.Event
	FollowEvents(ctx context.Context, after uint64, deliver func([]director.Event) error) error
}

// DefaultAlerts are the patterns of the kinds of events that mail and webhooks tell
// of unless the file says otherwise: what may need somebody.
func DefaultAlerts() []string {
	return []string{
		"config.refused", "config.rolled_back", "instance.state", "instance.notice", "server.*", "service.*",
		"address.conflict", "kernel.*", "node.*",
	}
}

// matches reports whether one of the patterns means the kind: a kind itself,
// "SUBJECT.*", or "*".
func matches(patterns []string, kind director.EventKind) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		beginning, all := strings.CutSuffix(pattern, "*")
		return all && strings.HasPrefix(string(kind), beginning) || pattern == string(kind)
	})
}

// Run tells of the events after the given one until ctx ends, and then for a few
// seconds of those that are waiting. It returns the Seq of the last event that it was
// given: who runs it again after that hears nothing twice.
func Run(ctx context.Context, c config.Alerts, after uint64, source Source, log *slog.Logger) (last uint64) {
	working, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	words, cancel := lingering(working, lastWords)
	defer cancel()
	var running sync.WaitGroup
	outlets := outletsOf(c, log)
	for _, o := range outlets {
		running.Go(func() { o.run(working, words) })
	}
	pipe := newFIFO(c.FIFO, log)
	defer pipe.close()

	last = after
	take := func(events []director.Event) error {
		for _, e := range events {
			if missed := e.Seq - last - 1; missed > 0 {
				log.Warn("events came too fast to be told of", "count", missed)
			}
			last = e.Seq
			for _, o := range outlets {
				o.add(e)
			}
			pipe.tell(e)
		}
		return nil
	}
	_ = source.FollowEvents(ctx, after, take) // take never fails, so it is ctx that ended
	_ = take(source.Events(last))
	end()
	running.Wait()
	return last
}

func outletsOf(c config.Alerts, log *slog.Logger) []*outlet {
	var all []*outlet
	for _, mail := range c.Mail {
		m := newMailer(mail)
		all = append(all, newOutlet("mail", mail.Server, terms{mail.Events, mail.Digest, mail.PerHour}, m.send, log))
	}
	for _, hook := range c.Webhooks {
		w := newWebhook(hook)
		all = append(all, newOutlet("webhook", w.host, terms{hook.Events, hook.Digest, hook.PerHour}, w.send, log))
	}
	return all
}

// lingering returns a context that ends so long after ctx.
func lingering(ctx context.Context, patience time.Duration) (context.Context, context.CancelFunc) {
	late, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		timer := time.AfterFunc(patience, cancel)
		context.AfterFunc(late, func() { timer.Stop() })
	})
	return late, func() { stop(); cancel() }
}
