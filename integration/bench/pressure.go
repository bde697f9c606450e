package main

import (
	"os"
	"strconv"
	"strings"
	"time"
)

// stalled is how long, since boot, some process of this machine has waited for
// a CPU; zero where the kernel does not tell.
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

// load measures how busy the machine was from start to percent.
type load struct {
	at      time.Time
	stalled time.Duration
}

func startLoad() load { return load{time.Now(), stalled()} }

// percent is the share of the time since, in which some process waited.
func (l load) percent() float64 {
	return 100 * float64(stalled()-l.stalled) / float64(time.Since(l.at))
}
