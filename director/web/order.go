package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/lvsd/lvsd/director"
)

const (
	// reasonLimit bounds an operator's words, in characters.
	reasonLimit = 200
	// longestOrder is how long an order with an end may stand.
	longestOrder = 366 * 24 * time.Hour
)

// order hands on what a user orders of a real server or a virtual service, and
// answers with the director.Spread.
func (s *site) order(w http.ResponseWriter, r *http.Request, one *session) {
	s.change(w, r, one, func(ctx context.Context, by string) (director.Spread, error) {
		var order director.Order
		if err := decode(r, &order); err != nil {
			return director.Spread{}, err
		}
		if err := sensible(order); err != nil {
			return director.Spread{}, err
		}
		order.By = by
		return s.source.Order(ctx, order)
	})
}

// clear takes an order back.
func (s *site) clear(w http.ResponseWriter, r *http.Request, one *session) {
	s.change(w, r, one, func(ctx context.Context, by string) (director.Spread, error) {
		var request struct {
			Target director.Target `json:"target"`
		}
		if err := decode(r, &request); err != nil {
			return director.Spread{}, err
		}
		if err := sensibleTarget(request.Target); err != nil {
			return director.Spread{}, err
		}
		return s.source.Clear(ctx, request.Target, by)
	})
}

// change does what changes something, for users who may.
func (s *site) change(
	w http.ResponseWriter, r *http.Request, one *session, do func(ctx context.Context, by string) (director.Spread, error),
) {
	switch {
	case !s.mayChange(one):
		writeError(w, http.StatusForbidden, codeForbidden, "the page is read-only: admin is not set in [web]")
		return
	case !one.hasToken(r):
		writeError(w, http.StatusForbidden, codeForbidden, "the request does not come from the page: its token is missing")
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), orderTimeout)
	defer cancel()
	// An answer that comes too late for the connection is lost; the order stands.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(orderTimeout + requestTimeout))
	by := fmt.Sprintf("web:%s@%s", one.user, peer(r))
	spread, err := do(ctx, by)
	if err != nil {
		s.log.Warn("an order from the page is refused", "by", by, "err", err)
		writeFailure(w, err)
		return
	}
	writeJSON(w, http.StatusOK, spread)
}

// decode reads the body, an object without unknown fields.
func decode(r *http.Request, request any) error {
	decoder := json.NewDecoder(r.Body)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(request); err != nil {
		return fmt.Errorf("%w: body: %w", director.ErrBadOrder, err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: body: more than one value", director.ErrBadOrder)
	}
	return nil
}

// sensible refuses what the page does not offer; the director looks at the rest.
func sensible(order director.Order) error {
	switch {
	case utf8.RuneCountInString(order.Reason) > reasonLimit:
		return fmt.Errorf("%w: reason: want at most %d characters", director.ErrBadOrder, reasonLimit)
	case strings.ContainsFunc(order.Reason, unicode.IsControl) || !utf8.ValidString(order.Reason):
		return fmt.Errorf("%w: reason: want one line of text", director.ErrBadOrder)
	case order.For < 0 || order.For > longestOrder:
		return fmt.Errorf("%w: for %v: want a time up to %v", director.ErrBadOrder, order.For, longestOrder)
	}
	return sensibleTarget(order.Target)
}

func sensibleTarget(target director.Target) error {
	if target.Node != "" || target.Service == "" {
		return fmt.Errorf("%w: target: want a virtual service, or one of its real servers", director.ErrBadOrder)
	}
	return nil
}
