package director

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/lvsd/lvsd/iptables"
)

// readRules lists the tagged rules. A second copy of a rule, and a rule that
// this version would not write, is a stray. While somebody else keeps the
// xtables lock, the rules are taken to be as they were: VIPs and services must
// not wait for it.
func (h *Host) readRules(ctx context.Context, s *Snapshot) error {
	tagged, err := h.rules.Redirects(ctx)
	locked := errors.Is(err, iptables.ErrLocked)
	switch {
	case err == nil:
		h.listed = tagged
	case !locked:
		return err
	}
	seen := Set[iptables.Redirect]{}
	for _, rule := range h.listed {
		if !rule.Known || seen.Has(rule.Redirect) {
			s.Strays = append(s.Strays, strings.Join(rule.Spec, " "))
			continue
		}
		seen.Add(rule.Redirect)
		s.Redirects = append(s.Redirects, rule.Redirect)
	}
	if locked || time.Since(h.heldAt) < holdInterval {
		s.ConntrackHeld = true
		return nil
	}
	if s.ConntrackHeld, err = h.rules.ConntrackHeld(ctx); s.ConntrackHeld {
		h.heldAt = time.Now()
	}
	return err
}

func (h *Host) doRule(ctx context.Context, op Op) error {
	switch op := op.(type) {
	case AddRedirect:
		return h.rules.Add(ctx, op.Rule)
	case DeleteRedirect:
		return h.rules.Delete(ctx, op.Rule)
	case HoldConntrack:
		return h.rules.HoldConntrack(ctx)
	case ReleaseConntrack:
		h.heldAt = time.Time{}
		return h.rules.ReleaseConntrack(ctx)
	case DeleteStray:
		return h.deleteStray(ctx, op.Rule)
	}
	return fmt.Errorf("%T: %w", op, errors.ErrUnsupported)
}

func (h *Host) deleteStray(ctx context.Context, text string) error {
	tagged, err := h.rules.Redirects(ctx)
	if err != nil {
		return err
	}
	for _, rule := range slices.Backward(tagged) {
		if strings.Join(rule.Spec, " ") == text {
			return h.rules.Remove(ctx, rule)
		}
	}
	return nil
}
