package config

import (
	"slices"
	"strconv"
	"strings"
)

// options are the keys of a table that only some of its types have.
type options[T ~string] map[string][]T

// check reports keys that the type does not have. What is the table, for the
// message: "a check". A type that could not be read has them all. It looks at
// the keys that are there: a file may have 50,000 such tables.
func (o options[T]) check(t *table, what string, of T) {
	for _, l := range t.layers {
		for key := range l.values {
			types, listed := o[key]
			if !listed || slices.Contains(types, of) {
				continue
			}
			t.ask(key)
			if of != "" {
				t.failKey(t.at(key), "%s of type %q has no such option, expected type %s", what, of, quotedTypes(types))
			}
		}
	}
}

// quotedTypes is "a", "b" or "c".
func quotedTypes[T ~string](types []T) string {
	quoted := make([]string, len(types))
	for i, t := range types {
		quoted[i] = strconv.Quote(string(t))
	}
	last := len(quoted) - 1
	if last == 0 {
		return quoted[0]
	}
	return strings.Join(quoted[:last], ", ") + " or " + quoted[last]
}
