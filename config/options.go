package config

import (
	"slices"
	"strconv"
	"strings"
)

// options are the keys of a table that only some of its types have.
type options[T ~string] map[string][]T

// check reports keys that the type does not have. What is the table, for the
// message: "a check". A type that could not be read has them all.
func (o options[T]) check(t *table, what string, of T) {
	for key, types := range o {
		if !t.has(key) || slices.Contains(types, of) {
			continue
		}
		t.ask(key)
		if of != "" {
			t.failKey(t.at(key), "%s of type %q has no such option, expected type %s", what, of, quotedTypes(types))
		}
	}
}

func quotedTypes[T ~string](types []T) string {
	quoted := make([]string, len(types))
	for i, t := range types {
		quoted[i] = strconv.Quote(string(t))
	}
	return strings.Join(quoted, " or ")
}
