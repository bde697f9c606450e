package director

import (
	"context"
	"log/slog"

	"github.com/lvsd/lvsd/healthcheck"
	"github.com/lvsd/lvsd/healthcheck/probe"
)

// verdictChanged takes what changed of a check. It does not block.
func (d *Director) verdictChanged(c healthcheck.Change) {
	d.mu.Lock()
	d.verdicts = append(d.verdicts, c)
	d.mu.Unlock()
	nudge(d.wake)
	d.logCheck(c)
	d.lookAgain()
}

// logCheck tells of a change in a line: of the state, with the weight if that is
// new too, or of the weight; and in another one of a warning.
func (d *Director) logCheck(c healthcheck.Change) {
	log := func(level slog.Level, message string, arguments ...any) {
		arguments = append([]any{"check", c.Spec.Type(), "target", c.Spec.Target}, arguments...)
		d.Log.Log(context.Background(), level, message, arguments...)
	}
	why := []any{"code", c.Result.Code, "reason", c.Result.Reason}
	var weight []any
	if c.Weight != c.WeightBefore {
		weight = []any{"told_weight", weightText(c.Weight), "told_weight_before", weightText(c.WeightBefore)}
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
	case c.Warning == c.WarningBefore:
	case c.Warning == "":
		log(slog.LevelInfo, "check warns no more", "before", c.WarningBefore)
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
		d.happened(slog.LevelInfo, "checks go on as usual", checksEvent(n), "after", string(n.Kind))
		return
	}
	d.happened(slog.LevelWarn, "checks "+string(n.Kind), checksEvent(n))
}
