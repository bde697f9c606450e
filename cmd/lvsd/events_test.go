package main

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lvsd/lvsd/director"
)

// TestEventsAreFollowed: those to come follow those that there were, of the kinds that
// are wanted; what was missed is told; and an interrupt is no failure.
func TestEventsAreFollowed(t *testing.T) {
	directory := answer(t, &scripted{
		Happened: []director.Event{
			{Seq: 1, At: time.Unix(1, 0), Kind: director.EventStarted, Text: "not wanted"},
			{Seq: 2, At: time.Unix(2, 0), Kind: director.EventServerDown, Text: "it was before"},
		},
		orders: filepath.Join(t.TempDir(), "orders"),
	})
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	code := make(chan int, 1)
	go func() {
		defer writer.Close()
		code <- run(ctx, []string{"events", "-f", "--kind", "server.*", "--run-dir", directory}, writer, io.Discard)
	}()
	var got strings.Builder
	buffer := make([]byte, 4096)
	for !strings.Contains(got.String(), "while looking") {
		n, err := reader.Read(buffer)
		if err != nil {
			t.Fatalf("%v after %q", err, got.String())
		}
		got.Write(buffer[:n])
	}
	interrupt()
	if got := <-code; got != exitOK {
		t.Errorf("exit code %d after an interrupt", got)
	}
	rest, err := io.ReadAll(reader)
	text := got.String() + string(rest)
	if err != nil || strings.Contains(text, "wanted") || strings.Contains(text, "of no interest") {
		t.Errorf("%v: %s", err, text)
	}
	before, missed, late := strings.Index(text, "it was before"), strings.Index(text, "4 events missed"), strings.Index(text, "while looking")
	if before < 0 || missed < before || late < missed {
		t.Errorf("not in order: %s", text)
	}
}
