package main

import (
	"context"
	"time"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/director/control"
)

// awaitConfirmation has the reload rolled back to the configuration before, unless it
// is confirmed in time. It returns when that is.
func (r *reloader) awaitConfirmation(before *config.Config, within time.Duration) (until time.Time) {
	p := &pendingReload{until: time.Now().Add(within), before: before, confirmed: make(chan struct{})}
	r.mu.Lock()
	r.pending = p
	r.mu.Unlock()
	r.log.Warn("the reload is rolled back unless it is confirmed", "until", p.until)
	r.work.Go(func() { r.watchOver(r.background, p) })
	return p.until
}

// watchOver rolls the reload back when nobody has confirmed it in time. Where the
// daemon ends before that, the file stands.
func (r *reloader) watchOver(ctx context.Context, p *pendingReload) {
	timer := time.NewTimer(time.Until(p.until))
	defer timer.Stop()
	select {
	case <-p.confirmed:
		return
	case <-ctx.Done():
		return
	case <-timer.C:
	}
	r.turn.Lock()
	defer r.turn.Unlock()
	if !r.settleConfirmation(p) {
		return
	}
	_ = r.takeBack(ctx, r.current, p.before, errUnconfirmed) // it is in log and status
	if p.asked {
		// Not the file that was taken back, or that would be for nothing.
		r.askIfEdited()
	}
}

// putOff notes that another reload was asked for, and reports whether it has to wait
// until the one before is confirmed.
func (r *reloader) putOff() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.pending == nil {
		return false
	}
	r.pending.asked = true
	r.log.Info("a reload comes after the one that waits to be confirmed", "until", r.pending.until)
	return true
}

// settleConfirmation ends the waiting, and reports whether it had not ended before.
func (r *reloader) settleConfirmation(p *pendingReload) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if p == nil || r.pending != p {
		return false
	}
	r.pending = nil
	return true
}

// Confirm implements control.Source.
func (r *reloader) Confirm(context.Context) error {
	r.mu.Lock()
	p := r.pending
	r.mu.Unlock()
	if !r.settleConfirmation(p) {
		return &control.Error{Code: control.CodeNothingToConfirm, Message: "no reload waits to be confirmed"}
	}
	close(p.confirmed)
	r.log.Info("the reload was confirmed", "config", r.flags.file.path)
	if p.asked {
		r.ask()
	}
	return nil
}

// confirmUntil is when a reload is rolled back; zero if none waits to be confirmed.
func (r *reloader) confirmUntil() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.pending == nil {
		return time.Time{}
	}
	return r.pending.until
}
