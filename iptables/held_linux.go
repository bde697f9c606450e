package iptables

import (
	"context"
	"fmt"
)

// ConntrackHeld reports whether the rule of HoldConntrack is there.
func (t *Table) ConntrackHeld(ctx context.Context) (bool, error) {
	if err := ctx.Err(); err != nil {
		return false, fmt.Errorf("look for the rule that holds connection tracking: %w", err)
	}
	held, err := t.command.Exists(holdTable, holdChain, holdSpec()...)
	if err != nil {
		return false, fmt.Errorf("look for the rule that holds connection tracking: %w", explain(err))
	}
	return held, nil
}
