package director

import (
	"context"
	"log/slog"
	"sync"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/director/hook"
	"github.com/lvsd/lvsd/vrrp"
)

// hooks runs the notify commands of one instance in a goroutine of its own.
type hooks struct {
	runner  *hook.Runner
	running sync.WaitGroup
}

func (d *Director) newHooks(background context.Context, c config.VRRP) *hooks {
	h := &hooks{runner: hook.New(commands(c), d.logHook)}
	h.running.Go(func() { _ = h.runner.Run(background) }) // it fails only if run twice
	return h
}

// reconfigure changes the commands of every later event.
func (h *hooks) reconfigure(c config.VRRP) { h.runner.SetCommands(commands(c)) }

// end waits until the last event is dealt with, or ctx ends.
func (h *hooks) end(ctx context.Context) error {
	err := h.runner.Finish(ctx)
	h.running.Wait()
	return err
}

func commands(c config.VRRP) hook.Commands {
	return hook.Commands{
		Master: c.Hooks.Master, Backup: c.Hooks.Backup, Fault: c.Hooks.Fault, Stop: c.Hooks.Stop,
		Any: c.Hooks.Any, Timeout: c.Hooks.Timeout, Environment: c.Hooks.Environment,
	}
}

// notify hands a transition to the hooks of its instance. It does not block.
func (d *Director) notify(t vrrp.Transition) {
	d.mu.Lock()
	i, ok := d.instances[t.Name]
	routerID := d.config.Global.RouterID
	var vips []string
	if ok {
		for _, vip := range i.config.VIPs {
			vips = append(vips, vip.String())
		}
	}
	d.mu.Unlock()
	if !ok {
		return
	}
	i.hooks.runner.Notify(hook.Event{
		Instance: t.Name, Interface: t.Interface, RouterID: routerID, VRID: int(t.VRID),
		State: hookState(t.To), Previous: hookState(t.From), Priority: int(t.Priority),
		Reason: t.Why(), VIPs: vips,
	})
}

// hookState is the role in the words that hooks know from keepalived.
func hookState(r vrrp.Role) string {
	if r == vrrp.Initialize {
		return hook.Stop
	}
	return r.String()
}

// logHook reports how a command ended.
func (d *Director) logHook(r hook.Result) {
	level := slog.LevelInfo
	arguments := []any{
		"instance", r.Event.Instance, "state", r.Event.State, "command", r.Command,
		"duration", r.Duration,
	}
	if r.Skipped > 0 {
		arguments = append(arguments, "skipped_events", r.Skipped)
	}
	if r.Output != "" {
		arguments = append(arguments, "output", r.Output)
	}
	if r.Err != nil {
		level = slog.LevelWarn
		arguments = append(arguments, "exit", r.Exit, "err", r.Err)
	}
	d.Log.Log(context.Background(), level, "hook ended", arguments...)
}
