package main

import "sync"

// A memo is what an injection leaves to the check, for each site: contestants go
// through a fault at the same time.
type memo[T any] struct {
	mu   sync.Mutex
	kept map[*Site]T
}

func (m *memo[T]) keep(s *Site, value T) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.kept == nil {
		m.kept = map[*Site]T{}
	}
	m.kept[s] = value
}

// of is what was kept for the site last; zero if nothing was.
func (m *memo[T]) of(s *Site) T {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.kept[s]
}
