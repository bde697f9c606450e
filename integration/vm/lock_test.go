package main

import (
	"context"
	"errors"
	"testing"
)

func TestLock(t *testing.T) {
	cache := t.TempDir()
	unlock, err := lock(t.Context(), cache, "kernel")
	if err != nil {
		t.Fatal(err)
	}
	other, err := lock(t.Context(), cache, "here")
	if err != nil {
		t.Fatalf("another lock: %v", err)
	}
	defer other()
	why := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(why)
	if _, err := lock(ctx, cache, "kernel"); !errors.Is(err, why) {
		t.Errorf("the same lock again: error %v, want %v", err, why)
	}
	got := make(chan error, 1)
	go func() {
		unlock, err := lock(t.Context(), cache, "kernel")
		if err == nil {
			unlock()
		}
		got <- err
	}()
	unlock()
	if err := <-got; err != nil {
		t.Errorf("after it was given back: %v", err)
	}
}
