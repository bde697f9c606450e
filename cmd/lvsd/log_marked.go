package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
)

// markedHandler writes lines of text with how grave they are before them, as "<4>",
// which journald takes off the lines of a service's standard error.
type markedHandler struct {
	// byPriority has a handler for each syslog priority.
	byPriority map[int]slog.Handler
}

func newMarkedHandler(w io.Writer, options *slog.HandlerOptions) *markedHandler {
	h := &markedHandler{map[int]slog.Handler{}}
	for _, level := range []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError} {
		priority := syslogPriority(level)
		h.byPriority[priority] = slog.NewTextHandler(markedWriter{w, fmt.Sprintf("<%d>", priority)}, options)
	}
	return h
}

// Enabled implements slog.Handler.
func (h *markedHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.byPriority[syslogPriority(level)].Enabled(ctx, level)
}

// Handle implements slog.Handler.
func (h *markedHandler) Handle(ctx context.Context, r slog.Record) error {
	return h.byPriority[syslogPriority(r.Level)].Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (h *markedHandler) WithAttrs(attributes []slog.Attr) slog.Handler {
	return h.with(func(one slog.Handler) slog.Handler { return one.WithAttrs(attributes) })
}

// WithGroup implements slog.Handler.
func (h *markedHandler) WithGroup(name string) slog.Handler {
	return h.with(func(one slog.Handler) slog.Handler { return one.WithGroup(name) })
}

func (h *markedHandler) with(change func(slog.Handler) slog.Handler) slog.Handler {
	own := &markedHandler{make(map[int]slog.Handler, len(h.byPriority))}
	for priority, one := range h.byPriority {
		own.byPriority[priority] = change(one)
	}
	return own
}

// markedWriter writes each line with a mark before it.
type markedWriter struct {
	w    io.Writer
	mark string
}

func (m markedWriter) Write(line []byte) (int, error) {
	if _, err := m.w.Write(append([]byte(m.mark), line...)); err != nil {
		return 0, err
	}
	return len(line), nil
}
