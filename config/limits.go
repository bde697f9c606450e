package config

import (
	"time"

	"github.com/lvsd/lvsd/healthcheck"
)

// readLimits reads [checks].
func readLimits(t *table) healthcheck.Limits {
	defer t.close()
	return healthcheck.Limits{
		Concurrency: read(t, "concurrency", integer(1, 65536)).or(healthcheck.DefaultConcurrency),
		PerHost:     read(t, "per_host", integer(1, 65536)).or(healthcheck.DefaultPerHost),
		OwnFault: healthcheck.OwnFault{
			Percent: read(t, "own_fault_percent", integer(0, 100)).or(80),
			Minimum: read(t, "own_fault_minimum", integer(1, 1_000_000)).or(10),
			Hold:    read(t, "own_fault_hold", duration(0, 24*time.Hour, 1)).or(time.Minute),
		},
	}
}
