package lab

import (
	"os"
	"strconv"
	"strings"
	"time"
)

// Busy measures how busy the machine has been since a time.
type Busy struct {
	since   time.Time
	stalled time.Duration
}

// StartBusy begins to measure.
func StartBusy() Busy { return Busy{time.Now(), stalled()} }

// Percent is the share of the time since, in which some process waited for a CPU;
// zero where the kernel does not tell.
func (b Busy) Percent() float64 {
	return 100 * float64(stalled()-b.stalled) / float64(time.Since(b.since))
}

// stalled is how long, since boot, some process of this machine has waited for a
// CPU; zero where the kernel does not tell.
func stalled() time.Duration {
	b, err := os.ReadFile("/proc/pressure/cpu")
	if err != nil {
		return 0
	}
	for field := range strings.FieldsSeq(string(b)) {
		if value, found := strings.CutPrefix(field, "total="); found {
			microseconds, err := strconv.ParseInt(value, 10, 64)
			if err == nil {
				return time.Duration(microseconds) * time.Microsecond
			}
		}
	}
	return 0
}
