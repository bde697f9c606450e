package director

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// end gives up what this node holds, or leaves it to a successor.
func (d *Director) end(cause error) error {
	d.recordStop(cause)
	if errors.Is(cause, ErrHandOver) {
		return d.handOver()
	}
	stopAll(d.currentInstances())
	ctx, cancel := context.WithTimeout(context.Background(), stopDeadline)
	defer cancel()
	lingers := d.lingerEnd(time.Now())
	err := d.giveUpAll(ctx)
	for !lingers.IsZero() && err == nil {
		d.Log.Info("waiting until the other nodes know this one's connections", "for", time.Until(lingers))
		pause(ctx, time.Until(lingers))
		lingers = d.lingerEnd(time.Now())
		err = d.giveUpAll(ctx)
	}
	d.omega()
	hooks, cancelHooks := context.WithTimeout(context.Background(), d.hookTime())
	defer cancelHooks()
	if err := errors.Join(err, d.endHooks(hooks)); err != nil {
		return fmt.Errorf("clean stop: %w", err)
	}
	d.Log.Info("stopped")
	return nil
}

// giveUpAll takes from the kernel all that a clean stop takes, and tries again.
func (d *Director) giveUpAll(ctx context.Context) error {
	err := d.step(ctx, true)
	for err != nil && pause(ctx, retryDelay) {
		err = d.step(ctx, true)
	}
	return err
}

// handOver leaves everything as it is. Hooks and trackers that run are ended
// first, while adverts still go out: the successor calls the hooks of its own
// first role.
func (d *Director) handOver() error {
	d.endTrackers()
	ended, cancel := context.WithCancelCause(context.Background())
	cancel(ErrHandOver)
	if err := d.endHooks(ended); err != nil {
		d.Log.Warn("hooks did not come to their end", "err", err)
	}
	for _, instance := range d.currentInstances() {
		instance.detach()
	}
	d.Log.Info("left VIPs, rules and virtual services to a successor")
	return d.remember()
}

// pause waits for the delay; it returns false if ctx ended.
func pause(ctx context.Context, delay time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(delay):
		return true
	}
}
