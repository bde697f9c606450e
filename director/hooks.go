package director

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/director/hook"
	"github.com/lvsd/lvsd/vrrp"
)

// hooks runs the commands of one instance, sync group or service in a goroutine
// of its own.
type hooks struct {
	runner  *hook.Runner
	running sync.WaitGroup
	// timeout bounds one command; it is for the loop only.
	timeout time.Duration
}

func (d *Director) newHooks(background context.Context, c hook.Commands) *hooks {
	h := &hooks{runner: hook.New(c, d.logHook), timeout: c.Timeout}
	h.running.Go(func() { _ = h.runner.Run(background) }) // it fails only if run twice
	return h
}

// reconfigure changes the commands of every later event.
func (h *hooks) reconfigure(c hook.Commands) {
	h.timeout = c.Timeout
	h.runner.SetCommands(c)
}

// end waits until the last event is dealt with, or ctx ends.
func (h *hooks) end(ctx context.Context) error {
	err := h.runner.Finish(ctx)
	h.running.Wait()
	return err
}

func commands(c config.Hooks) hook.Commands {
	return hook.Commands{
		Master: c.Master, Backup: c.Backup, Fault: c.Fault, Stop: c.Stop,
		Any: c.Any, Timeout: c.Timeout, User: c.User, Environment: c.Environment,
	}
}

// notify hands a transition to the hooks of its instance. It does not block.
func (d *Director) notify(t vrrp.Transition) {
	d.mu.Lock()
	defer d.mu.Unlock()
	i, ok := d.instances[t.Name]
	if !ok {
		return
	}
	i.told = t.To
	e := d.instanceEvent(i, t.From, t.To, t.Why())
	e.Priority = int(t.Priority)
	i.hooks.runner.Notify(e)
}

// instanceEvent needs d.mu.
func (d *Director) instanceEvent(i *instance, from, to vrrp.Role, why string) hook.Event {
	e := hook.Event{
		Instance: i.config.Router.Name, Interface: i.config.Interface, RouterID: d.config.Global.RouterID,
		VRID: int(i.config.Router.VRID), State: hookState(to), Previous: hookState(from),
		Priority: int(i.fit.Priority), Reason: why,
	}
	for _, vip := range i.config.VIPs {
		e.VIPs = append(e.VIPs, vip.Addr.String())
	}
	return e
}

// notifyAgain runs the hooks of a MASTER once more, and those of its group: what
// another MASTER's hooks set up elsewhere is to be put right.
func (d *Director) notifyAgain(name string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	i, ok := d.instances[name]
	if !ok || i.told != vrrp.Master {
		return
	}
	i.hooks.runner.Notify(d.instanceEvent(i, vrrp.Master, vrrp.Master, reasonYielded))
	for _, g := range d.groups {
		if g.role == vrrp.Master && slices.Contains(g.config.Instances, name) {
			g.hooks.runner.Notify(d.groupEvent(g, vrrp.Master, name+": "+reasonYielded))
		}
	}
}

// hookTime is how long the last event may take: two commands, the specific one
// and the generic one.
func (d *Director) hookTime() time.Duration {
	longest := hook.DefaultTimeout
	for _, h := range d.allHooks() {
		longest = max(longest, h.timeout)
	}
	return 2 * longest
}

// endHooks lets the commands that run or wait come to their end, all side by
// side, until ctx ends.
func (d *Director) endHooks(ctx context.Context) error {
	all := d.allHooks()
	errs := make([]error, len(all))
	var ending sync.WaitGroup
	for n, h := range all {
		ending.Go(func() { errs[n] = h.end(ctx) })
	}
	ending.Wait()
	return errors.Join(errs...)
}

// allHooks are those of the instances, the groups and the services.
func (d *Director) allHooks() []*hooks {
	d.mu.Lock()
	defer d.mu.Unlock()
	var all []*hooks
	for _, i := range d.instances {
		all = append(all, i.hooks)
	}
	for _, g := range d.groups {
		all = append(all, g.hooks)
	}
	for _, s := range d.standings {
		if s.hooks != nil {
			all = append(all, s.hooks)
		}
	}
	return all
}

// retire lets the hooks of something that is gone run their last event while the
// loop goes on; Run waits for them.
func (d *Director) retire(name string, h *hooks) {
	patience := 2 * max(h.timeout, hook.DefaultTimeout)
	d.retired.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := h.end(ctx); err != nil {
			d.Log.Warn("hooks of what was removed", "name", name, "err", err)
		}
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
	whose := []any{"instance", r.Event.Instance}
	switch {
	case r.Event.Group != "":
		whose = []any{"group", r.Event.Group}
	case r.Event.Server != "":
		whose = []any{"service", r.Event.Service, "server", r.Event.Server}
	case r.Event.Service != "":
		whose = []any{"service", r.Event.Service}
	}
	arguments := append(whose, "state", r.Event.State, "command", r.Command, "duration", r.Duration)
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
