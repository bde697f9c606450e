package lab

import (
	"crypto/sha256"
	"os"
	"strconv"
	"strings"
	"time"
)

const (
	// waitDeadline is how long WaitFor waits, before scaling: not what is
	// expected, but what tells hanging from slow.
	waitDeadline = 90 * time.Second
	pollInterval = 250 * time.Millisecond
)

// Scale is how much slower than a quiet machine this one is, at least 1. It was
// measured when the lab was made, and the machine may get slower.
func (l *Lab) Scale() float64 { return l.scale }

// Scaled is d on this machine.
func (l *Lab) Scaled(d time.Duration) time.Duration {
	return time.Duration(float64(d) * l.scale)
}

// WaitFor calls condition until it returns nil. The test ends with the last
// error if that takes minutes.
func (l *Lab) WaitFor(what string, condition func() error) {
	l.t.Helper()
	l.WaitWithin(waitDeadline, what, condition)
}

// WaitWithin is WaitFor with a deadline, which is scaled.
func (l *Lab) WaitWithin(deadline time.Duration, what string, condition func() error) {
	l.t.Helper()
	start := time.Now()
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		err := condition()
		if err == nil {
			return
		}
		if waited := time.Since(start); waited > l.Scaled(deadline) {
			l.t.Fatalf("waited %v for %s: %v", waited.Round(time.Second), what, err)
		}
		select {
		case <-tick.C:
		case <-l.t.Context().Done():
			l.t.Fatalf("waiting for %s: %v: %v", what, l.t.Context().Err(), err)
		}
	}
}

// measureScale times a fixed piece of work against what it takes on a quiet
// machine, and adds how long processes wait for a CPU here.
func measureScale() float64 {
	const (
		work  = 1 << 20
		quiet = 5 * time.Millisecond // per MiB of SHA-256, without instructions for it
		most  = 10
	)
	block := make([]byte, work)
	best := time.Hour
	for range 3 {
		start := time.Now()
		sha256.Sum256(block)
		best = min(best, time.Since(start))
	}
	scale := max(1, float64(best)/float64(quiet))
	return min(most, scale*(1+cpuPressure()/25))
}

// cpuPressure is the share of time, in percent over 10 s, in which some
// process waited for a CPU; zero where the kernel does not tell.
func cpuPressure() float64 {
	b, err := os.ReadFile("/proc/pressure/cpu")
	if err != nil {
		return 0
	}
	for field := range strings.FieldsSeq(string(b)) {
		if value, found := strings.CutPrefix(field, "avg10="); found {
			percent, err := strconv.ParseFloat(value, 64)
			if err != nil {
				return 0
			}
			return percent
		}
	}
	return 0
}
