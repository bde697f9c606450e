package vrrp

import (
	"testing"
	"time"
)

// TestAlarm: it rings at the time it was set to last, never before, and not any
// more once closed.
func TestAlarm(t *testing.T) {
	rung := make(chan time.Time, 8)
	a, err := newAlarm(func() { rung <- time.Now() })
	if err != nil {
		t.Fatal(err)
	}
	const soon, later = time.Millisecond, 50 * time.Millisecond
	for _, wait := range []time.Duration{0, soon} {
		start := time.Now()
		if err := a.set(wait); err != nil {
			t.Fatal(err)
		}
		if at := <-rung; at.Sub(start) < wait {
			t.Errorf("rang after %v, was set to %v", at.Sub(start), wait)
		}
	}
	start := time.Now()
	for _, wait := range []time.Duration{time.Hour, later} {
		if err := a.set(wait); err != nil {
			t.Fatal(err)
		}
	}
	if at := <-rung; at.Sub(start) < later {
		t.Errorf("rang after %v, was set to %v", at.Sub(start), later)
	}
	if err := a.set(time.Hour); err != nil {
		t.Fatal(err)
	}
	a.close()
	if len(rung) != 0 {
		t.Error("rang once more")
	}
}
