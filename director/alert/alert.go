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

// Told is how far Run came. The zero Told is nothing yet.
type Told struct {
	// last is the Seq of the last event that Run was given; mail and webhooks have
	// what was left waiting for each, in the order of the file.
	last           uint64
	mail, webhooks []batch
}

// Run tells of the events after those that were told of before until ctx ends, and then
// for a few seconds of those that are waiting. It returns how far it came: run again
// with that it goes on with what is waiting still, and tells nobody of anything twice.
// Who has taken a mail's or webhook's place in the file is told of what waited there.
func Run(ctx context.Context, c config.Alerts, before Told, source Source, log *slog.Logger) Told {
	working, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	words, cancel := lingering(working, lastWords)
	defer cancel()
	var running sync.WaitGroup
	mail, webhooks := outletsOf(c, log)
	takeOn(mail, before.mail, log)
	takeOn(webhooks, before.webhooks, log)
	outlets := slices.Concat(mail, webhooks)
	for _, o := range outlets {
		running.Go(func() { o.run(working, words) })
	}
	pipe := newFIFO(c.FIFO, log)
	defer pipe.close()

	last := before.last
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
	_ = source.FollowEvents(ctx, last, take) // take never fails, so it is ctx that ended
	_ = take(source.Events(last))
	end()
	running.Wait()
	return Told{last, left(mail), left(webhooks)}
}

// takeOn has outlets go on with what those in their places left.
func takeOn(outlets []*outlet, batches []batch, log *slog.Logger) {
	for i, b := range batches {
		if i < len(outlets) {
			outlets[i].takeOn(b)
		} else if len(b.Events) > 0 {
			log.Error("events not told of: who was to be told is not in the file any more", "count", len(b.Events)+b.LeftOut)
		}
	}
}

func left(outlets []*outlet) []batch {
	var all []batch
	for _, o := range outlets {
		all = append(all, o.left())
	}
	return all
}

func outletsOf(c config.Alerts, log *slog.Logger) (mails, webhooks []*outlet) {
	for _, mail := range c.Mail {
		m := newMailer(mail)
		mails = append(mails, newOutlet("mail", mail.Server, terms{mail.Events, mail.Digest, mail.PerHour}, m.send, log))
	}
	for _, hook := range c.Webhooks {
		w := newWebhook(hook)
		webhooks = append(webhooks, newOutlet("webhook", w.host, terms{hook.Events, hook.Digest, hook.PerHour}, w.send, log))
	}
	return mails, webhooks
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
