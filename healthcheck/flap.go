package healthcheck

import (
	"fmt"
	"math"
	"time"
)

// FlapScore is how much a verdict changed lately. Each change between up and
// down adds 1, and the score halves every HalfLife: it is how many changes there
// were, the older the less. The first verdict after the start is no change.
//
// If the check's Flap has a Limit, a server that is down when the score reaches
// it is suppressed: it stays down, whatever its results say, until the score is
// below half of the Limit. As a server that stays down adds nothing to its
// score, that takes at most three half-lives. Its successes count meanwhile, so
// that one which has recovered is up again with the first success after that. A
// score of 3 takes more than three changes, as the first are a little less than
// 1 by then.
type FlapScore struct {
	Score float64
	// Suppressed says that the server stays down because of it.
	Suppressed bool
}

// after is the score when the time has passed without a change.
func (s FlapScore) after(f Flap, passed time.Duration) FlapScore {
	if passed > 0 {
		s.Score *= math.Exp2(-float64(passed) / float64(f.halfLife()))
	}
	s.Suppressed = s.Suppressed && s.Score >= float64(f.Limit)/2
	return s
}

// changed is the score when the verdict just changed to up or down.
func (s FlapScore) changed(f Flap, up bool) FlapScore {
	s.Score++
	s.Suppressed = f.Limit > 0 && !up && s.Score >= float64(f.Limit)
	return s
}

// remaining is how long the server stays suppressed.
func (s FlapScore) remaining(f Flap) time.Duration {
	if !s.Suppressed {
		return 0
	}
	halvings := math.Log2(s.Score / (float64(f.Limit) / 2))
	return time.Duration(halvings * float64(f.halfLife()))
}

// held says why a suppressed server stays down at the time.
func (s FlapScore) held(f Flap, now time.Time) string {
	return fmt.Sprintf("flapping: the score is %.1f, it stays down until that is below %.1f at %s",
		s.Score, float64(f.Limit)/2, now.Add(s.remaining(f)).Format(time.TimeOnly))
}

func (f Flap) halfLife() time.Duration {
	if f.HalfLife == 0 {
		return DefaultHalfLife
	}
	return f.HalfLife
}
