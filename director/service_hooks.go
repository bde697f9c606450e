package director

import (
	"context"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/director/hook"
)

// hookConcurrency is how many commands of services run at a time: a rack that
// dies must not start a thousand.
const hookConcurrency = 8

func serviceCommands(c config.ServiceHooks) hook.Commands {
	return hook.Commands{
		QuorumUp: c.QuorumUp, QuorumDown: c.QuorumDown, ServerUp: c.ServerUp, ServerDown: c.ServerDown,
		Timeout: c.Timeout, User: c.User, Environment: c.Environment,
	}
}

func (d *Director) newServiceHooks(background context.Context, c hook.Commands) *hooks {
	h := &hooks{runner: hook.New(c, d.logHook), timeout: c.Timeout}
	h.runner.Slots = d.hookSlots
	h.running.Go(func() { _ = h.runner.Run(background) }) // it fails only if run twice
	return h
}

// notifyService hands a change of a service's quorum, or of one of its real
// servers, to the hooks. It does not block.
func (d *Director) notifyService(s *standing, server string, up bool, reason string) {
	if s.hooks == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	s.hooks.runner.Notify(d.serviceEvent(s, server, up, reason))
}

// serviceEvent needs d.mu.
func (d *Director) serviceEvent(s *standing, server string, up bool, reason string) hook.Event {
	state, previous := hook.Up, hook.Down
	if !up {
		state, previous = previous, state
	}
	return hook.Event{
		Service: s.config.Name, Server: server, RouterID: d.config.Global.RouterID,
		State: state, Previous: previous, Reason: reason,
		Quorum: s.tally.Needed, Weight: s.tally.Up,
	}
}

// omega tells the hooks of services that want it that all is down: this node
// serves them no longer.
func (d *Director) omega() {
	const reason = "clean stop"
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, s := range d.standings {
		if !s.config.Omega || s.hooks == nil {
			continue
		}
		for _, server := range s.config.RealServers {
			if s.up[server.Address] {
				s.hooks.runner.Notify(d.serviceEvent(s, server.Address.String(), false, reason))
			}
		}
		if s.quorate {
			s.hooks.runner.Notify(d.serviceEvent(s, "", false, reason))
		}
	}
}
