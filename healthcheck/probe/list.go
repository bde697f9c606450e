package probe

import (
	"encoding/json"
	"iter"
	"unique"
)

// List is a list that is comparable, for options of kinds: equal lists are
// equal values. The zero value is empty.
type List[T comparable] struct {
	last unique.Handle[node[T]]
}

type node[T comparable] struct {
	value  T
	before List[T]
}

// ListOf returns the list of the values.
func ListOf[T comparable](values ...T) List[T] {
	var l List[T]
	for _, value := range values {
		l = List[T]{unique.Make(node[T]{value, l})}
	}
	return l
}

// MarshalJSON writes the values as an array.
func (l List[T]) MarshalJSON() ([]byte, error) { return json.Marshal(l.Values()) }

// Len is how many values the list has.
func (l List[T]) Len() int {
	n := 0
	for range l.backward {
		n++
	}
	return n
}

// Values returns the values in order.
func (l List[T]) Values() []T {
	values := make([]T, l.Len())
	n := len(values)
	for value := range l.backward {
		n--
		values[n] = value
	}
	return values
}

// All yields the values in order.
func (l List[T]) All() iter.Seq[T] {
	return func(yield func(T) bool) {
		for _, value := range l.Values() {
			if !yield(value) {
				return
			}
		}
	}
}

func (l List[T]) backward(yield func(T) bool) {
	for l != (List[T]{}) {
		n := l.last.Value()
		if !yield(n.value) {
			return
		}
		l = n.before
	}
}
