package healthcheck

import (
	"context"
	"time"

	"github.com/lvsd/lvsd/healthcheck/probe"
)

// monitor keeps one check going. It is a goroutine and a timer around a
// schedule; thousands of checks could share one loop over schedules instead.
type monitor struct {
	schedule schedule
	// probe asks once; it may wait before it starts, and returns false if ctx
	// ended.
	probe func(context.Context) (probe.Result, bool)
	// report takes the outcome of each attempt.
	report func(probe.Result)
}

// run probes until ctx ends, one probe at a time.
func (m *monitor) run(ctx context.Context) {
	timer := time.NewTimer(m.schedule.startDelay())
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		r, ok := m.probe(ctx)
		if !ok {
			return
		}
		due, over := m.schedule.next(&r)
		if over {
			m.report(r)
		}
		timer.Reset(time.Until(due))
	}
}
