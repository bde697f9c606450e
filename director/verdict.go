package director

import (
	"fmt"
	"strings"
	"time"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/healthcheck"
	"github.com/lvsd/lvsd/healthcheck/probe"
)

// verdict is what the checks of a real server come to together.
type verdict struct {
	// State is Up if there are no checks.
	State healthcheck.State
	// By is the place of the check that decides among the server's; -1 if there
	// are none. Where one check is enough for the State, that is the first that
	// came to it; where it takes all, the last. Status is its.
	By     int
	Status healthcheck.Status
}

// verdictOf combines the checks of the server: Down if one is, otherwise Unknown
// if one has not answered, otherwise Up. With AnyCheck it is the other way round:
// Up if one is, otherwise Unknown if one has not answered, otherwise Down.
func verdictOf(server *config.RealServer, ask func(healthcheck.Spec) healthcheck.Status) verdict {
	v := verdict{State: healthcheck.Up, By: -1}
	for i := range server.Checks {
		status := ask(server.Checks[i])
		if v.By < 0 || decides(server.AnyCheck, status, v.Status) {
			v = verdict{status.State, i, status}
		}
	}
	return v
}

// decides reports whether the status of one check outweighs that of another.
func decides(anyCheck bool, status, other healthcheck.Status) bool {
	alone := healthcheck.Down // what one check is enough for
	if anyCheck {
		alone = healthcheck.Up
	}
	rank := func(s healthcheck.State) int {
		switch s {
		case alone:
			return 2
		case healthcheck.Unknown:
			return 1
		}
		return 0
	}
	switch {
	case status.State != other.State:
		return rank(status.State) > rank(other.State)
	case status.State == alone:
		return status.Since.Before(other.Since)
	default:
		return status.Since.After(other.Since)
	}
}

// Since is when the deciding check came to its state; zero without checks.
func (v verdict) Since() time.Time { return v.Status.Since }

// result is the one that speaks for the state, of the check that decides; zero if
// there is none.
func (v verdict) result() probe.Result {
	last := v.Status.Last
	switch {
	case v.By < 0:
		return probe.Result{}
	case v.State == healthcheck.Down && (last.OK || !last.Conclusive()):
		return v.Status.LastFailure
	case !last.Conclusive(): // this host's own trouble is no reason
		return probe.Result{}
	}
	return last
}

// reason is why, in the words of the check that decides.
func (v verdict) reason(server *config.RealServer) string {
	if v.By < 0 {
		return ""
	}
	last := v.result()
	text := fmt.Sprintf("%s %s", server.Checks[v.By], last.Code)
	if v.State == healthcheck.Down {
		text += ": " + last.Reason
	}
	return strings.TrimSpace(text)
}
