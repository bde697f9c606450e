package director

import (
	"github.com/lvsd/lvsd/healthcheck"
	"github.com/lvsd/lvsd/healthcheck/probe"
)

// leastFlapScore is the least score that is told of.
const leastFlapScore = 0.05

func describeCheck(spec healthcheck.Spec, s healthcheck.Status) CheckStatus {
	status := CheckStatus{
		Kind:           spec.Type(),
		Target:         spec.Target.String(),
		State:          s.State.String(),
		Since:          s.Since,
		Code:           string(s.Last.Code),
		Reason:         s.Last.Reason,
		At:             s.Last.At,
		Duration:       s.Last.Duration,
		Held:           s.Held,
		FlapSuppressed: s.Flap.Suppressed,
		Told:           shownWeight(s.Weight),
		Warning:        s.Warning,
	}
	if s.Flap.Score > leastFlapScore {
		status.FlapScore = s.Flap.Score
	}
	return status
}

// shownWeight is nil where none is known.
func shownWeight(w probe.Weight) *int {
	if !w.Known {
		return nil
	}
	return &w.Value
}

func describeCheckNotices(notices []healthcheck.Notice) []CheckNoticeStatus {
	all := []CheckNoticeStatus{}
	for _, n := range notices {
		all = append(all, CheckNoticeStatus{Kind: string(n.Kind), Reason: n.Text, Since: n.At})
	}
	return all
}
