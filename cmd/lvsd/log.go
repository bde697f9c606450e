package main

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
)

// queueLength is how many log lines may wait for a slow reader.
const queueLength = 4096

// queuedWriter hands lines to a goroutine of its own, so that a reader that
// does not keep up (a full pipe, a stuck journal) never holds up the daemon.
// Lines that do not fit are counted and dropped.
type queuedWriter struct {
	w       io.Writer
	lines   chan []byte
	dropped atomic.Int64
	done    sync.WaitGroup
}

func newQueuedWriter(w io.Writer) *queuedWriter {
	q := &queuedWriter{w: w, lines: make(chan []byte, queueLength)}
	q.done.Go(q.copy)
	return q
}

// Write queues one line. It never blocks and never fails.
func (q *queuedWriter) Write(line []byte) (int, error) {
	select {
	case q.lines <- append([]byte(nil), line...):
	default:
		q.dropped.Add(1)
	}
	return len(line), nil
}

func (q *queuedWriter) copy() {
	for line := range q.lines {
		if n := q.dropped.Swap(0); n > 0 {
			fmt.Fprintf(q.w, "level=WARN msg=\"log lines dropped, the reader is too slow\" count=%d\n", n)
		}
		// There is nobody to tell of a log that cannot be written.
		_, _ = q.w.Write(line)
	}
}

// Close waits until every queued line is written. Nothing may be written after.
func (q *queuedWriter) Close() error {
	close(q.lines)
	q.done.Wait()
	return nil
}

// newLogger returns a logger in the given format: "text" or "json".
func newLogger(w io.Writer, format string, level slog.Level) (*slog.Logger, error) {
	options := &slog.HandlerOptions{Level: level}
	if os.Getenv("JOURNAL_STREAM") != "" {
		options.ReplaceAttr = withoutTime // journald has its own
	}
	switch format {
	case "text":
		return slog.New(slog.NewTextHandler(w, options)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, options)), nil
	default:
		return nil, usageError{fmt.Errorf("log format %q: want text or json", format)}
	}
}

func withoutTime(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && a.Key == slog.TimeKey {
		return slog.Attr{}
	}
	return a
}
