package keepalived

import (
	"net/netip"
	"time"
)

// This file has the makers of entries for plain settings.

func textOf[T any](field func(*T) *string) entry[T] {
	return entry[T]{read: func(r *reading, s *Statement, t *T) { *field(t) = r.text(s) }}
}

func numberOf[T any](field func(*T) *int, least, most int) entry[T] {
	return entry[T]{read: func(r *reading, s *Statement, t *T) {
		if n, ok := r.integer(s, least, most); ok {
			*field(t) = n
		}
	}}
}

func optionalNumber[T any](field func(*T) **int, least, most int) entry[T] {
	return entry[T]{read: func(r *reading, s *Statement, t *T) {
		if n, ok := r.integer(s, least, most); ok {
			*field(t) = &n
		}
	}}
}

func timeOf[T any](field func(*T) *time.Duration) entry[T] { return timeWithin(field, 0, longest) }

func timeWithin[T any](field func(*T) *time.Duration, least, most time.Duration) entry[T] {
	return entry[T]{read: func(r *reading, s *Statement, t *T) {
		if d, ok := r.secondsWithin(s, 1, least, most); ok {
			*field(t) = d
		}
	}}
}

// wholeSeconds are those that keepalived takes no fraction of.
func wholeSeconds[T any](field func(*T) *time.Duration) entry[T] {
	return entry[T]{read: func(r *reading, s *Statement, t *T) {
		if n, ok := r.integer(s, 0, 4294); ok {
			if n == 0 {
				r.broken(s, "%s: 0 is not possible; keepalived takes 1", s.Word())
				n = 1
			}
			*field(t) = time.Duration(n) * time.Second
		}
	}}
}

func optionalTime[T any](field func(*T) **time.Duration) entry[T] {
	return optionalTimeWithin(field, 0, longest)
}

func optionalTimeWithin[T any](field func(*T) **time.Duration, least, most time.Duration) entry[T] {
	return entry[T]{read: func(r *reading, s *Statement, t *T) {
		if d, ok := r.secondsWithin(s, 1, least, most); ok {
			*field(t) = &d
		}
	}}
}

// repeats is how often something is sent, where keepalived makes 1 of 0.
func repeats[T any](field func(*T) **int) entry[T] {
	return entry[T]{read: func(r *reading, s *Statement, t *T) {
		n, ok := r.integer(s, 0, 1<<30)
		if !ok {
			return
		}
		if n == 0 {
			r.broken(s, "%s: 0 is not possible; keepalived takes 1", s.Word())
			n = 1
		}
		*field(t) = &n
	}}
}

func truthOf[T any](field func(*T) *bool) entry[T] {
	return entry[T]{read: func(r *reading, s *Statement, t *T) { *field(t) = r.truth(s) }}
}

func optionalTruth[T any](field func(*T) **bool) entry[T] {
	return entry[T]{read: func(r *reading, s *Statement, t *T) {
		yes := r.truth(s)
		*field(t) = &yes
	}}
}

func addressOf[T any](field func(*T) *netip.Addr) entry[T] {
	return entry[T]{read: func(r *reading, s *Statement, t *T) {
		if a := r.address(s, s.word(1)); a.IsValid() {
			*field(t) = a
		}
	}}
}

func scriptOf[T any](field func(*T) **Script) entry[T] {
	return entry[T]{words: anyWords, read: func(r *reading, s *Statement, t *T) { *field(t) = r.script(s) }}
}

// hookOf is a script of which keepalived keeps the first.
func hookOf[T any](field func(*T) **Script) entry[T] {
	e := scriptOf(field)
	e.again = firstCounts
	return e
}

func none[T any](why string) entry[T] { return entry[T]{none: why} }

func lost[T any](what string) entry[T] { return entry[T]{lost: what} }

// all gives keywords one entry.
func (v vocabulary[T]) all(e entry[T], names ...string) vocabulary[T] {
	for _, name := range names {
		v[name] = e
	}
	return v
}
