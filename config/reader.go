package config

import (
	"fmt"
	"slices"
	"strings"
)

// reader reads a document for one node and reports what is wrong with it.
type reader struct {
	*document
	// node is the host name that overrides are chosen by. Only the one that is
	// loading has the files that the document names: others' are out of reach.
	node, loading string
	// scope is the node that problems are reported for: node, or everyNode.
	scope  string
	report *report
	// keys collects what each key accepts, for the reference; nil otherwise.
	keys map[string]keySpec
	// spare is room for the known keys of the next tables.
	spare [][]string
	// failed counts the problems reported by this reader, filesRead the files
	// read that the document names.
	failed, filesRead int
}

// keySpec is what the reference says of a key.
type keySpec struct{ kind, allowed, fallback string }

// fail reports a problem with the value at p.
func (r *reader) fail(p path, format string, args ...any) {
	r.add(p, r.positions().of(p).value, fmt.Sprintf(format, args...))
}

// failKey reports a problem with the key at p itself.
func (r *reader) failKey(p path, format string, args ...any) {
	r.add(p, r.positions().of(p).key, fmt.Sprintf(format, args...))
}

func (r *reader) add(p path, offset int, message string) {
	r.failed++
	line, column := r.positions().place(offset)
	r.report.add(Problem{File: r.file, Line: line, Column: column, Key: p.name(), Message: message}, r.scope)
}

// line is the line of the key at p, for messages that point to a second place.
func (r *reader) line(p path) int {
	line, _ := r.positions().place(r.positions().of(p).key)
	return line
}

// table is one table of the document under reading. Asking for a key makes it
// known; close reports the rest.
type table struct {
	*reader
	// layers hold the key's values: a node's overrides, if any, before the
	// main table. The first that has a key decides.
	layers []layer
	// known are the keys asked for. Those of main may stand only in the main
	// table.
	known, main []string
}

// layer is a table as the document has it.
type layer struct {
	path   path
	values map[string]any
}

// path is where the main table is.
func (t *table) path() path { return t.layers[len(t.layers)-1].path }

// has reports whether the key is set.
func (t *table) has(key string) bool {
	_, ok := t.layer(key)
	return ok
}

// at is the path of the key's deciding value, or of the table if it has none.
func (t *table) at(key string) path {
	if l, ok := t.layer(key); ok {
		return l.path.key(key)
	}
	return t.path()
}

func (t *table) layer(key string) (layer, bool) {
	for _, l := range t.layers {
		if _, ok := l.values[key]; ok {
			return l, true
		}
	}
	return layer{}, false
}

// missing reports a key that must be there and is not.
func (t *table) missing(key, expected string) {
	at := t.positions().of(t.path()).key
	t.add(t.path().key(key), at, "missing, expected "+expected)
}

// ask makes a key known.
func (t *table) ask(key string) {
	if last := len(t.spare) - 1; t.known == nil && last >= 0 {
		t.known, t.spare = t.spare[last], t.spare[:last]
	}
	t.known = append(t.known, key)
}

// close ends the reading of the table and reports the keys that nobody asked
// for.
func (t *table) close() {
	t.reportUnknown()
	if t.main == nil && t.known != nil { // else the main table's
		t.spare, t.known = append(t.spare, t.known[:0]), nil
	}
}

func (t *table) reportUnknown() {
	for i, l := range t.layers {
		valid := t.known
		if i == len(t.layers)-1 && t.main != nil {
			valid = slices.Concat(t.known, t.main)
		}
		for key := range l.values {
			switch {
			case slices.Contains(valid, key):
			case slices.Contains(t.main, key):
				t.failKey(l.path.key(key), "cannot differ between nodes, expected only in the main table")
			default:
				t.failKey(l.path.key(key), "unknown key%s", expectedName(key, valid))
			}
		}
	}
}

// forget lets go of the values, which have been read; has and at still know the
// keys.
func (t *table) forget() {
	for _, l := range t.layers {
		for key := range l.values {
			l.values[key] = nil
		}
	}
}

// expectedName ends a message about a wrong name: with the nearest valid name,
// or with all of them when none is near.
func expectedName(name string, valid []string) string {
	if near := nearest(name, valid); near != "" {
		return fmt.Sprintf("; nearest is %q", near)
	}
	return ", expected one of " + strings.Join(slices.Sorted(slices.Values(valid)), ", ")
}

// value is a key's value as read, or its absence.
type value[T any] struct {
	table *table
	key   string
	kind  kind[T]
	value T
	set   bool
}

// read takes the value of a key in each layer, so that a value which a node's
// table hides is checked too, and returns the deciding one: the zero value if
// that was wrong, which is reported.
func read[T any](t *table, key string, k kind[T]) value[T] {
	t.ask(key)
	v := value[T]{table: t, key: key, kind: k}
	for _, l := range slices.Backward(t.layers) {
		raw, ok := l.values[key]
		if !ok {
			continue
		}
		var err error
		if v.value, err = k.parse(raw); err != nil {
			t.fail(l.path.key(key), "%s", err)
		}
		v.set = true
	}
	return v
}

// or is the value, or the default.
func (v value[T]) or(fallback T) T {
	if v.table.keys == nil {
		return v.orElse(fallback, "")
	}
	return v.orElse(fallback, v.kind.show(fallback))
}

// orElse is the value, or a default that the reference describes in words.
func (v value[T]) orElse(fallback T, words string) T {
	v.table.describe(v.key, v.kind.name, v.kind.allowed, words)
	if !v.set {
		return fallback
	}
	return v.value
}

// optional is the value, or the zero value.
func (v value[T]) optional() T {
	var none T
	return v.orElse(none, "none")
}

// required is the value; its absence is reported.
func (v value[T]) required() T {
	v.table.describe(v.key, v.kind.name, v.kind.allowed, "required")
	if !v.set {
		v.table.missing(v.key, v.kind.expected)
	}
	return v.value
}

func (t *table) describe(key, kind, allowed, fallback string) {
	if t.keys != nil {
		t.keys[t.path().key(key).name()] = keySpec{kind, allowed, fallback}
	}
}

// located is a value and where it stands.
type located[T any] struct {
	value T
	at    path
}

// sub is the table under key in each layer that has it; without a layer it is
// nil.
func (t *table) sub(key string) *table {
	t.ask(key)
	t.describe(key, "table", "", "none")
	var layers []layer
	for _, l := range t.layers {
		if raw, ok := l.values[key]; ok {
			if values, ok := t.tableValues(l.path.key(key), raw); ok {
				layers = append(layers, layer{l.path.key(key), values})
			}
		}
	}
	if layers == nil {
		return nil
	}
	return &table{reader: t.reader, layers: layers}
}

// subOrEmpty is the table under key, or an empty one: all its keys have
// defaults.
func (t *table) subOrEmpty(key string) *table {
	if s := t.sub(key); s != nil {
		return s
	}
	return &table{reader: t.reader, layers: []layer{{path: t.path().key(key)}}}
}

func (t *table) tableValues(at path, raw any) (map[string]any, bool) {
	values, ok := raw.(map[string]any)
	if !ok {
		expected := "a table"
		if _, several := raw.([]map[string]any); several {
			expected = fmt.Sprintf("one table, written [%s]", at.name())
		}
		t.fail(at, "%s, expected %s", describeTableless(raw), expected)
	}
	return values, ok
}

// describeTableless says what stands where a table should. A string is not
// shown: it may be a secret that was meant to be in the table.
func describeTableless(raw any) string {
	if _, ok := raw.(string); ok {
		return "is a string"
	}
	return describe(raw)
}

// raw is the deciding value of a key, or nil.
func (t *table) raw(key string) any {
	l, _ := t.layer(key)
	return l.values[key]
}
