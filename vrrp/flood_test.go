package vrrp

import (
	"net/netip"
	"slices"
	"testing"
	"time"
)

// Who is muted in a flood: those few who send most of it, else everybody but who is
// spared; and never who is spared.
func TestFloodJudge(t *testing.T) {
	start := time.Unix(1000, 0)
	master, rogue, other := hostAddr(1), hostAddr(66), hostAddr(67)
	times := func(from netip.Addr, n int) []netip.Addr { return slices.Repeat([]netip.Addr{from}, n) }
	var everywhere []netip.Addr
	for i := range floodLeast {
		everywhere = append(everywhere, netip.AddrFrom4([4]byte{198, 18, byte(i >> 8), byte(i)}))
	}
	many := make([]netip.Addr, maxMuted+1)
	for _, tt := range []struct {
		name   string
		heard  []netip.Addr
		spared []netip.Addr
		muted  Mute
		want   Mute
		ok     bool
	}{
		{name: "one", heard: slices.Concat(times(rogue, 499), times(master, 1)), want: Mute{Sources: []netip.Addr{rogue}}, ok: true},
		{
			name: "two, the worse first", heard: slices.Concat(times(other, 200), times(rogue, 300)),
			want: Mute{Sources: []netip.Addr{rogue, other}}, ok: true,
		},
		{
			name: "one more than before", heard: times(other, 500), muted: Mute{Sources: []netip.Addr{rogue}},
			want: Mute{Sources: []netip.Addr{other, rogue}}, ok: true,
		},
		{
			name: "one who is spared", heard: slices.Concat(times(master, 400), times(rogue, 100)), spared: []netip.Addr{master},
		},
		{
			name: "another beside one who is spared", heard: slices.Concat(times(master, 200), times(rogue, 300)), spared: []netip.Addr{master},
			want: Mute{Sources: []netip.Addr{rogue}}, ok: true,
		},
		{name: "everywhere", heard: everywhere, spared: []netip.Addr{master}, want: Mute{Sources: []netip.Addr{master}, Others: true}, ok: true},
		{
			name: "one more beside everywhere", heard: times(rogue, 500), muted: Mute{Others: true},
			want: Mute{Others: true}, ok: true,
		},
		{name: "everywhere, and too many are spared", heard: everywhere, spared: many},
		{
			name: "more than can be named", heard: times(rogue, 500), muted: Mute{Sources: many[:maxMuted]},
			want: Mute{Others: true}, ok: true,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := flood{muted: tt.muted}
			for i, from := range tt.heard {
				if last := i == floodLeast-1; f.note(from, floodLeast, start) != last {
					t.Fatalf("a flood after %d packets: %v", i+1, !last)
				}
			}
			got, ok := f.judge(tt.spared, start)
			if ok != tt.ok || got.Others != tt.want.Others || !slices.Equal(got.Sources, tt.want.Sources) {
				t.Errorf("muted %+v, %v, want %+v, %v", got, ok, tt.want, tt.ok)
			}
			if f.count != 0 || len(f.from) != 0 {
				t.Errorf("the next window begins with %d of %d", f.count, len(f.from))
			}
		})
	}
}

// What comes within a window counts, and adverts at their pace are no flood.
func TestFloodWindow(t *testing.T) {
	now := time.Unix(1000, 0)
	var f flood
	for i := range 100 * floodLeast {
		now = now.Add(floodWindow/(floodLeast-1) + 1)
		if f.note(hostAddr(1), floodLeast, now) {
			t.Fatalf("a flood after %d packets", i+1)
		}
	}
	for interval, want := range map[time.Duration]int{time.Second: 500, 20 * time.Millisecond: 500, 10 * time.Millisecond: 1000, MaxIntervalV3: 500} {
		if got := (&Config{Interval: interval}).floodLimit(); got != want {
			t.Errorf("at an interval of %v: %d, want %d", interval, got, want)
		}
	}
}
