package main

import (
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
)

// queueLength is how many log lines may wait for a slow reader.
const queueLength = 4096

// queuedWriter hands lines to a goroutine of its own, so that a reader that
// does not keep up (a full pipe, a stuck journal) never holds up the daemon.
// Lines that do not fit are counted and dropped.
type queuedWriter struct {
	w     io.Writer
	lines chan []byte
	// tell is for the log's own troubles, past the queue.
	tell    *slog.Logger
	dropped atomic.Int64
	done    sync.WaitGroup
}

// newQueuedWriter returns one for w that tells of dropped lines in the same format.
func newQueuedWriter(w io.Writer, format func(io.Writer) slog.Handler) *queuedWriter {
	q := &queuedWriter{w: w, lines: make(chan []byte, queueLength), tell: slog.New(format(w))}
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
			q.tell.Warn("log lines dropped, the reader is too slow", "count", n)
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

// The formats of the log.
const (
	logAuto     = "auto"
	logText     = "text"
	logJSON     = "json"
	logJournald = "journald"
)

// openLog returns a logger in the given format and what ends it when its last line is
// written. Journald's own protocol is used if the format is journald, or auto where
// standard error goes to the journal; where journald does not answer, lines of text
// have its mark of how grave they are.
func openLog(standardError io.Writer, format string, level slog.Level) (*slog.Logger, func(), error) {
	return logTo(standardError, format, level, journalSocket)
}

// logTo is openLog with journald at a socket.
func logTo(standardError io.Writer, format string, level slog.Level, socket string) (*slog.Logger, func(), error) {
	inJournal := isJournal(standardError)
	options := &slog.HandlerOptions{Level: level}
	if inJournal {
		options.ReplaceAttr = withoutTime // journald has its own
	}
	w, handler := standardError, (func(io.Writer) slog.Handler)(nil)
	done := func() {}
	switch {
	case format == logJSON:
		handler = func(w io.Writer) slog.Handler { return slog.NewJSONHandler(w, options) }
	case format == logText || format == logAuto && !inJournal:
		handler = func(w io.Writer) slog.Handler { return slog.NewTextHandler(w, options) }
	case format == logJournald || format == logAuto:
		journal, err := dialJournal(socket)
		if err != nil {
			handler = func(w io.Writer) slog.Handler { return newMarkedHandler(w, options) }
			break
		}
		w, done = journal, func() { _ = journal.Close() }
		handler = func(w io.Writer) slog.Handler { return &journalHandler{w: w, level: level} }
	default:
		return nil, nil, usageError{fmt.Errorf("log format %q: want auto, text, json or journald", format)}
	}
	queue := newQueuedWriter(w, handler)
	return slog.New(handler(queue)), func() {
		_ = queue.Close()
		done()
	}, nil
}

func withoutTime(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && a.Key == slog.TimeKey {
		return slog.Attr{}
	}
	return a
}
