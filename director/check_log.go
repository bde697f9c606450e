package director

import (
	"context"
	"log/slog"
	"maps"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/healthcheck"
	"github.com/lvsd/lvsd/healthcheck/probe"
)

// hearing is what a check was last heard to say beside its state.
type hearing struct {
	weight  probe.Weight
	warning string
}

// verdictChanged takes what changed of a check from the check's goroutine. It
// does not block.
func (d *Director) verdictChanged(c healthcheck.Change) {
	now := hearing{c.Weight, c.Warning}
	d.mu.Lock()
	d.verdicts = append(d.verdicts, c)
	before := d.heard[c.Spec]
	if now == (hearing{}) {
		delete(d.heard, c.Spec)
	} else {
		d.heard[c.Spec] = now
	}
	d.mu.Unlock()
	nudge(d.wake)
	d.logCheck(c, before)
	d.lookAgain()
}

// forgetHeard drops what was heard of checks that c does not have.
func (d *Director) forgetHeard(c *config.Config) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.heard) == 0 {
		return
	}
	kept := SetOf(specs(c)...)
	maps.DeleteFunc(d.heard, func(spec healthcheck.Spec, _ hearing) bool { return !kept.Has(spec) })
}

// logCheck tells of a change in a line: of the state, with the weight if that is
// new too, or of the weight; and in another one of a warning.
func (d *Director) logCheck(c healthcheck.Change, before hearing) {
	log := func(level slog.Level, message string, arguments ...any) {
		arguments = append([]any{"check", c.Spec.Type(), "target", c.Spec.Target}, arguments...)
		d.Log.Log(context.Background(), level, message, arguments...)
	}
	why := []any{"code", c.Result.Code, "reason", c.Result.Reason}
	var weight []any
	if c.Weight != before.weight {
		weight = []any{"weight_told", weightText(c.Weight), "weight_before", weightText(before.weight)}
	}
	switch {
	case c.From != c.To:
		level := slog.LevelInfo
		if c.To == healthcheck.Down {
			level = slog.LevelWarn
		}
		arguments := append([]any{"from", c.From.String()}, why...)
		log(level, "check "+c.To.String(), append(arguments, weight...)...)
	case weight != nil:
		log(slog.LevelInfo, "check tells another weight", append(weight, why...)...)
	}
	switch {
	case c.Warning == before.warning:
	case c.Warning == "":
		log(slog.LevelInfo, "check warns no more", "before", before.warning)
	default:
		log(slog.LevelWarn, "check warns", "warning", c.Warning)
	}
}

// weightText is the weight, or that there is none.
func weightText(w probe.Weight) any {
	if !w.Known {
		return "none"
	}
	return w.Value
}

// poolNoticed takes a notice of the pool of checks. It does not block.
func (d *Director) poolNoticed(n healthcheck.Notice) {
	if n.Over {
		d.Log.Info("checks go on as usual", "after", string(n.Kind), "reason", n.Text)
		return
	}
	d.Log.Warn("checks "+string(n.Kind), "reason", n.Text)
}
