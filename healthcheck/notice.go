package healthcheck

import (
	"slices"
	"time"
)

// Notice is something that the pool as a whole wants known: what began, or, if
// Over, that it ended.
type Notice struct {
	Kind NoticeKind
	Text string
	Over bool
	At   time.Time
}

// NoticeKind is what a Notice is about.
type NoticeKind string

// The kinds of Notice.
const (
	// Delayed: probes wait, because too many are in flight or this host has no
	// descriptors left.
	Delayed NoticeKind = "delayed"
	// Held: so many checks began to fail at once that this host is suspected;
	// verdicts stay.
	Held NoticeKind = "held"
	// Starved: this host was too busy to tell who is slow, itself or a server;
	// what timed out meanwhile does not count.
	Starved NoticeKind = "starved"
)

// settled is how long nothing was the matter when a notice is over, so that
// what comes and goes is told once.
const settled = 10 * time.Second

// board holds the notices in force, at most one of each kind, the oldest first.
type board struct {
	up     []standing
	untold []Notice
}

// standing is a notice in force, and when there was last reason for it.
type standing struct {
	Notice
	reason time.Time
}

// raise notes that there is reason for a notice of the kind now.
func (b *board) raise(kind NoticeKind, text string, now time.Time) {
	for i := range b.up {
		if b.up[i].Kind == kind {
			b.up[i].reason, b.up[i].Text = now, text
			return
		}
	}
	n := Notice{Kind: kind, Text: text, At: now}
	b.up = append(b.up, standing{n, now})
	b.untold = append(b.untold, n)
}

// settle ends the notices without a reason of late.
func (b *board) settle(now time.Time) {
	b.up = slices.DeleteFunc(b.up, func(s standing) bool {
		over := now.Sub(s.reason) >= settled
		if over {
			b.untold = append(b.untold, Notice{Kind: s.Kind, Text: s.Text, Over: true, At: now})
		}
		return over
	})
}

// end ends the notice of the kind.
func (b *board) end(kind NoticeKind, now time.Time) {
	for i := range b.up {
		if b.up[i].Kind == kind {
			b.up[i].reason = now.Add(-settled)
		}
	}
	b.settle(now)
}

func (b *board) has(kind NoticeKind) bool {
	return slices.ContainsFunc(b.up, func(s standing) bool { return s.Kind == kind })
}

// tell returns what began and ended since it was last called.
func (b *board) tell() []Notice {
	untold := b.untold
	b.untold = nil
	return untold
}

func (b *board) notices() []Notice {
	var all []Notice
	for _, s := range b.up {
		all = append(all, s.Notice)
	}
	return all
}
