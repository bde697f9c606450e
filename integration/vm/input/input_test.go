package input

import (
	"context"
	"errors"
	"io"
	"os"
	"testing"
	"time"
)

func TestReader(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()

	if _, err := io.WriteString(w, "a\n"); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, 10)
	if n, err := NewReader(t.Context(), r).Read(line); err != nil || string(line[:n]) != "a\n" {
		t.Errorf("read %q, error %v", line[:n], err)
	}

	enough := errors.New("enough")
	ctx, cancel := context.WithTimeoutCause(t.Context(), 50*time.Millisecond, enough)
	defer cancel()
	if _, err := NewReader(ctx, r).Read(line); !errors.Is(err, enough) {
		t.Errorf("a read whose context ends: %v, want %v", err, enough)
	}

	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := NewReader(t.Context(), r).Read(line); err != io.EOF {
		t.Errorf("at the end: %v, want %v", err, io.EOF)
	}
}
