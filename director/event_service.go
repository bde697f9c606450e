package director

import (
	"fmt"
	"log/slog"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/healthcheck"
	"github.com/lvsd/lvsd/healthcheck/probe"
)

// tellServer tells that a real server came up or went down, what its check says, and
// what that means for its service, of whose servers so many are up now.
func (d *Director) tellServer(f Facts, s *standing, server *config.RealServer, v verdict, up int) {
	result := v.result()
	e := Event{
		Kind: EventServerDown, Service: s.config.Name, Server: server.Address.String(), From: stateUp, To: stateDown,
		Code: string(result.Code), Reason: result.Reason, Addresses: s.addresses(),
	}
	level := slog.LevelWarn
	if v.State == healthcheck.Up {
		e.Kind, e.From, e.To, level = EventServerUp, stateDown, stateUp, slog.LevelInfo
	}
	servers := len(s.config.RealServers)
	weight := weightEffect(f, &s.config, server, v.State == healthcheck.Up)
	e.Text = fmt.Sprintf("server %s/%s %s%s%s; %s now %d of %d up",
		e.Service, e.Server, e.To, said(result), prefixed("; ", weight), e.Service, up, servers)
	arguments := []any{"service", e.Service, "server", e.Server, "servers_up", up, "servers", servers}
	if weight != "" {
		arguments = append(arguments, "effect", weight)
	}
	if e.Code != "" {
		arguments = append(arguments, "code", e.Code)
	}
	d.happened(level, "server "+e.To, e, arguments...)
}

// said is what a check says, with a colon before it.
func said(r probe.Result) string {
	text := string(r.Code)
	if text != "" && r.Reason != "" {
		text += " "
	}
	return prefixed(": ", text+r.Reason)
}

// prefixed is the text after a prefix, or nothing.
func prefixed(prefix, text string) string {
	if text == "" {
		return ""
	}
	return prefix + text
}

// weightEffect is what becomes of the weight of a real server that came up or went
// down; empty is nothing.
func weightEffect(f Facts, s *config.VirtualService, server *config.RealServer, up bool) string {
	weight := f.weight(s, server)
	if admin, _ := f.Admin.of(s, server.Address); admin != Enabled {
		return "an operator has it " + adminWord(admin) + " all the same"
	}
	switch remove := s.OnFailure == config.Remove; {
	case weight == 0:
		return ""
	case up && remove:
		return fmt.Sprintf("back with weight %d", weight)
	case up:
		return fmt.Sprintf("weight 0 -> %d", weight)
	case remove:
		return fmt.Sprintf("removed, had weight %d", weight)
	default:
		return fmt.Sprintf("weight %d -> 0", weight)
	}
}

// adminWord is the state that an operator has ordered, as it stands in a sentence.
func adminWord(state AdminState) string {
	if state == Drain {
		return "drained"
	}
	return string(state)
}

func (s *standing) quorumEvent(t tally) Event {
	e := Event{
		Kind: EventQuorumUp, Service: s.config.Name, From: stateDown, To: stateUp,
		Reason: quorumReason(t), Addresses: s.addresses(),
	}
	e.Text = fmt.Sprintf("service %s has its quorum again: %s", e.Service, e.Reason)
	if !t.Quorate {
		e.Kind, e.From, e.To = EventQuorumDown, stateUp, stateDown
		e.Text = fmt.Sprintf("service %s has lost its quorum: %s", e.Service, e.Reason)
	}
	return e
}

func quorumReason(t tally) string { return fmt.Sprintf("weight %d is up, quorum %d", t.Up, t.Needed) }

// addresses are the kernel's virtual services of the name, as events have them. It is
// for the loop.
func (s *standing) addresses() []string {
	all := make([]string, len(s.keys))
	for i, key := range s.keys {
		all[i] = key.String()
	}
	return all
}
