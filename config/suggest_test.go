package config

import "testing"

func TestNearest(t *testing.T) {
	keys := []string{"priority", "preempt", "vips", "vrid", "advert_interval", "scheduler"}
	for _, tt := range []struct{ name, want string }{
		{"priorty", "priority"},
		{"prioirty", "priority"}, // neighbours swapped
		{"Priority", "priority"},
		{"advert-interval", "advert_interval"},
		{"vip", "vips"},
		{"virtual_router_id", "vrid"}, // keepalived's word
		{"lb_kind", ""},               // its counterpart is not a key here
		{"colour", ""},
		{"", ""},
	} {
		if got := nearest(tt.name, keys); got != tt.want {
			t.Errorf("nearest(%q) = %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestEditDistance(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want int
	}{
		{"", "", 0},
		{"", "abc", 3},
		{"abc", "", 3},
		{"abc", "abc", 0},
		{"abc", "axc", 1},
		{"abc", "abxc", 1},
		{"abc", "acb", 1},
		{"kitten", "sitting", 3},
	} {
		if got := editDistance(tt.a, tt.b); got != tt.want {
			t.Errorf("editDistance(%q, %q) = %d, want %d", tt.a, tt.b, got, tt.want)
		}
	}
}
