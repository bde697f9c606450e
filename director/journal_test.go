package director

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"pgregory.net/rapid"
)

// TestEventsInOrder: the ring and those who follow have every event once, in order,
// whatever comes between.
func TestEventsInOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var d Director
		recorded := 0
		after := uint64(rapid.IntRange(0, 30).Draw(t, "after"))
		for range after {
			d.Record(Event{Kind: EventTracker})
			recorded++
		}
		var mu sync.Mutex
		var followed []uint64
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() {
			ended <- d.FollowEvents(ctx, after, func(events []Event) error {
				mu.Lock()
				defer mu.Unlock()
				for _, e := range events {
					followed = append(followed, e.Seq)
				}
				return nil
			})
		}()
		for _, burst := range rapid.SliceOfN(rapid.IntRange(1, eventsKept/4), 1, 12).Draw(t, "bursts") {
			for range burst {
				d.Record(Event{Kind: EventTracker})
				recorded++
			}
			for last := uint64(0); last < uint64(recorded) && uint64(recorded) > after; { // it keeps up
				mu.Lock()
				if len(followed) > 0 {
					last = followed[len(followed)-1]
				}
				mu.Unlock()
				runtime.Gosched()
			}
			from := uint64(rapid.IntRange(0, recorded).Draw(t, "from"))
			want := uint64(max(int(from), recorded-eventsKept)) + 1
			for i, e := range d.Events(from) {
				if e.Seq != want+uint64(i) || e.At.IsZero() || e.Severity == "" {
					t.Fatalf("event %d after %d is %+v", i, from, e)
				}
			}
			if got := len(d.Events(from)); got != recorded+1-int(want) {
				t.Fatalf("%d events after %d of %d", got, from, recorded)
			}
		}
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Fatalf("ended with %v", err)
		}
		for i, seq := range followed {
			if seq != after+uint64(i)+1 {
				t.Fatalf("followed %v", followed)
			}
		}
		if want := max(recorded-int(after), 0); len(followed) != want {
			t.Fatalf("followed %d, want %d", len(followed), want)
		}
	})
}

// TestFollowersOfManyWriters: no wake-up is lost.
func TestFollowersOfManyWriters(t *testing.T) {
	const writers, each = 8, eventsKept / 10
	var d Director
	enough := errors.New("enough")
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			var seqs []uint64
			err := d.FollowEvents(t.Context(), 0, func(events []Event) error {
				for _, e := range events {
					seqs = append(seqs, e.Seq)
				}
				if len(seqs) == writers*each {
					return enough
				}
				return nil
			})
			if !errors.Is(err, enough) || !slices.IsSorted(seqs) || seqs[0] != 1 {
				t.Errorf("ended with %v after %d events", err, len(seqs))
			}
		})
	}
	for range writers {
		all.Go(func() {
			for range each {
				d.Record(Event{Kind: EventTracker})
			}
		})
	}
	all.Wait()
}

// TestSlowFollower misses what is too old, and Seq tells how much. It holds nobody up.
func TestSlowFollower(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d Director
		ctx, cancel := context.WithCancel(t.Context())
		busy := make(chan struct{})
		var seqs []uint64
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_ = d.FollowEvents(ctx, 0, func(events []Event) error {
				for _, e := range events {
					seqs = append(seqs, e.Seq)
				}
				<-busy
				return nil
			})
		}()
		synctest.Wait()
		for n := range 3 * eventsKept {
			d.Record(Event{Kind: EventTracker})
			if n == 0 {
				synctest.Wait() // it is busy with the first
			}
		}
		close(busy)
		synctest.Wait()
		cancel()
		<-ended
		if len(seqs) != eventsKept+1 || seqs[1] != 2*eventsKept+1 {
			t.Errorf("%d events, the second is %d", len(seqs), seqs[1])
		}
	})
}

func TestEventKindsAreDistinct(t *testing.T) {
	kinds := EventKinds()
	slices.Sort(kinds)
	if len(slices.Compact(kinds)) != len(EventKinds()) {
		t.Error("a kind is there twice")
	}
}

// TestEventsAfterARestart: who goes on where it was hears of all events of now.
func TestEventsAfterARestart(t *testing.T) {
	var d Director
	d.Record(Event{Kind: EventTracker})
	if got := d.Events(17); len(got) != 1 {
		t.Errorf("after an event of before: %v", got)
	}
	if got := d.Events(1); len(got) != 0 {
		t.Errorf("after the last one: %v", got)
	}
}
