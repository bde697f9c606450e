package main

import (
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
)

// TestSlowReaderDoesNotHoldUpTheDaemon: nobody reads the pipe while more lines
// are written than fit.
func TestSlowReaderDoesNotHoldUpTheDaemon(t *testing.T) {
	reader, writer := io.Pipe()
	queue := newQueuedWriter(writer, func(w io.Writer) slog.Handler { return slog.NewTextHandler(w, nil) })
	for i := range 2 * queueLength {
		if _, err := fmt.Fprintf(queue, "line %d\n", i); err != nil {
			t.Fatal(err)
		}
	}
	read := make(chan string)
	go func() {
		text, _ := io.ReadAll(reader)
		read <- string(text)
	}()
	if err := queue.Close(); err != nil {
		t.Fatal(err)
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	text := <-read
	if !strings.Contains(text, "line 0\n") || !strings.Contains(text, "log lines dropped") {
		t.Errorf("%d bytes, without the first line or the note of what was dropped", len(text))
	}
	if n := strings.Count(text, "\n"); n < queueLength || n > queueLength+3 {
		t.Errorf("%d lines, want about %d", n, queueLength)
	}
}
