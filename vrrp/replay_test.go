package vrrp

import (
	"testing"
	"time"
)

func TestOrder(t *testing.T) {
	const window = 5 * time.Second
	start := time.Unix(1_700_000_000, 0)
	at := func(d time.Duration) Sequence { return SequenceAt(start.Add(d)) }
	type advert struct {
		clock    time.Duration // ours
		sequence Sequence
		want     Discard
	}
	for _, tt := range []struct {
		name    string
		window  time.Duration
		adverts []advert
	}{
		{"in order", 0, []advert{{0, at(0), Accepted}, {0, at(0) + 1, Accepted}, {time.Second, at(time.Second), Accepted}}},
		{"twice", 0, []advert{{0, at(0), Accepted}, {0, at(0), Replayed}, {0, at(0) + 1, Accepted}}},
		{"older", 0, []advert{{0, at(0), Accepted}, {0, at(-time.Hour), Replayed}}},
		{"any clock without window", 0, []advert{{0, at(time.Hour), Accepted}, {time.Hour, at(time.Hour) + 1, Accepted}}},
		{"our clock jumps without window", 0, []advert{{0, at(0), Accepted}, {-time.Hour, at(time.Second), Accepted}, {24 * time.Hour, at(2 * time.Second), Accepted}}},
		{"wrap", 0, []advert{{0, ^Sequence(0), Accepted}, {0, 3, Accepted}, {0, ^Sequence(0), Replayed}}},
		{"window", window, []advert{
			{0, at(window), Accepted}, {0, at(window + time.Second), WrongTime}, {0, at(-window - time.Second), WrongTime},
		}},
		{"out of the window leaves no mark", window, []advert{{0, at(time.Hour), WrongTime}, {0, at(0), Accepted}}},
		{"in the window, twice", window, []advert{{0, at(-time.Second), Accepted}, {time.Second, at(-time.Second), Replayed}}},
		{"our clock comes back", window, []advert{
			{time.Hour, at(time.Hour), Accepted}, {0, at(0), Accepted}, {0, at(0), Replayed},
		}},
	} {
		s := make(senders)
		for i, a := range tt.adverts {
			if got := s.order(hostAddr(1), a.sequence, tt.window, start.Add(a.clock)); got != a.want {
				t.Errorf("%s, advert %d: %v, want %v", tt.name, i, got, a.want)
			}
		}
	}
}

// Each sender has its own order, and the memory its bound.
func TestOrderOfMany(t *testing.T) {
	s := make(senders)
	now := time.Unix(1_700_000_000, 0)
	for i := range 200 {
		now = now.Add(time.Millisecond)
		for _, h := range []int{i, 0} { // 0 goes on sending
			if d := s.order(hostAddr(h), SequenceAt(now)+Sequence(h), 0, now); d != Accepted && i != h {
				t.Fatalf("%d: %v", i, d)
			}
		}
	}
	if len(s) != maxSenders {
		t.Errorf("%d senders", len(s))
	}
	if d := s.order(hostAddr(0), SequenceAt(now), 0, now); d != Replayed {
		t.Errorf("who sends all the time was forgotten: %v", d)
	}
}
