package director

import (
	"testing"
	"time"

	"github.com/lvsd/lvsd/track"
)

func TestDebounce(t *testing.T) {
	d := delays{down: 3 * time.Second, up: 10 * time.Second}
	var b debounced
	for _, step := range []struct {
		at    int // seconds
		found track.State
		want  track.State
		since int
		due   int // 0 is never
	}{
		{0, track.Unknown, track.Unknown, 0, 0},
		{1, track.Up, track.Up, 1, 0}, // the first answer decides
		{2, track.Down, track.Up, 1, 5},
		{4, track.Up, track.Up, 1, 0}, // it did not last
		{5, track.Down, track.Up, 1, 8},
		{7, track.Down, track.Up, 1, 8},
		{8, track.Down, track.Down, 8, 0},
		{9, track.Unknown, track.Down, 8, 0}, // what is known stands
		{10, track.Up, track.Down, 8, 20},
		{12, track.Unknown, track.Down, 8, 0},
		{13, track.Up, track.Down, 8, 23},
		{30, track.Up, track.Up, 30, 0},
	} {
		at := func(s int) time.Time { return noon.Add(time.Duration(s) * time.Second) }
		due := b.take(finding{State: step.found}, d, at(step.at))
		if b.State != step.want || !b.since.Equal(at(step.since)) {
			t.Errorf("at %d s: %v since %v, want %v since %d s", step.at, b.State, b.since, step.want, step.since)
		}
		if want := at(step.due); step.due == 0 && !due.IsZero() || step.due != 0 && !due.Equal(want) {
			t.Errorf("at %d s: due %v, want %d s", step.at, due, step.due)
		}
	}
}

func TestDebounceTakesANumberAtOnce(t *testing.T) {
	b := debounced{finding: finding{State: track.Up, Value: 1}, since: noon}
	b.take(finding{State: track.Up, Value: 2, Reason: "value 2"}, delays{time.Hour, time.Hour}, noon.Add(time.Second))
	if b.Value != 2 || !b.since.Equal(noon.Add(time.Second)) || b.Reason != "value 2" {
		t.Errorf("%+v", b)
	}
}
