package config

import "slices"

// listOf is how a list is read: its elements, and what messages and the
// reference call them.
type listOf[T any] struct {
	name, plural      string
	allowed, fallback string
	// read reports what is wrong with an element.
	read func(at path, raw any) (T, bool)
}

// readList takes a list of values. Wrong elements are reported and left out;
// the list is then not whole.
func readList[T any](t *table, key string, k kind[T], fallback string) (list []located[T], whole bool) {
	return readElements(t, key, listOf[T]{
		name: k.name, plural: k.plural, allowed: k.allowed, fallback: fallback,
		read: func(at path, raw any) (T, bool) {
			v, err := k.parse(raw)
			if err != nil {
				t.fail(at, "%s", err)
			}
			return v, err == nil
		},
	})
}

// readElements is readList for elements that are tables too.
func readElements[T any](t *table, key string, of listOf[T]) (list []located[T], whole bool) {
	t.ask(key)
	t.describe(key, "list of "+of.plural, of.allowed, of.fallback)
	whole = true
	for _, l := range slices.Backward(t.layers) {
		if raw, ok := l.values[key]; ok {
			list, whole = readEach(t, l.path.key(key), raw, of)
		}
	}
	if of.fallback == "required" && len(list) == 0 && whole {
		if t.has(key) {
			t.fail(t.at(key), "is empty, expected at least one %s", of.name)
		} else {
			t.missing(key, "a list of "+of.plural)
		}
	}
	return list, whole
}

func readEach[T any](t *table, at path, raw any, of listOf[T]) (list []located[T], whole bool) {
	elements, ok := elementsOf(raw)
	if !ok {
		t.fail(at, "%s, expected a list of %s in brackets", describe(raw), of.plural)
		return nil, false
	}
	whole = true
	for i, element := range elements {
		v, ok := of.read(at.index(i), element)
		if !ok {
			whole = false
			continue
		}
		list = append(list, located[T]{v, at.index(i)})
	}
	return list, whole
}

// elementsOf are the elements of an array, of tables or of anything.
func elementsOf(raw any) ([]any, bool) {
	tables, ok := raw.([]map[string]any)
	if !ok {
		elements, ok := raw.([]any)
		return elements, ok
	}
	elements := make([]any, len(tables))
	for i, values := range tables {
		elements[i] = values
	}
	return elements, true
}

// readTables reads the tables of an array of tables in each layer, and returns
// those of the deciding one.
func readTables[T any](t *table, key string, read func(*table) T) (all []T) {
	t.ask(key)
	t.describe(key, "array of tables", "", "none")
	for _, l := range slices.Backward(t.layers) {
		single := &table{reader: t.reader, layers: []layer{l}}
		if !single.has(key) {
			continue
		}
		all = nil
		for _, element := range single.list(key) {
			all = append(all, read(element))
		}
	}
	return all
}

// plain is the list without the places; nil when it is empty.
func plain[T any](list []located[T]) []T {
	if len(list) == 0 {
		return nil
	}
	values := make([]T, 0, len(list))
	for _, l := range list {
		values = append(values, l.value)
	}
	return values
}

// list is the tables of an array of tables, [[key]].
func (t *table) list(key string) []*table {
	t.ask(key)
	t.describe(key, "array of tables", "", "none")
	if !t.has(key) {
		return nil
	}
	at := t.at(key)
	elements, ok := elementsOf(t.raw(key))
	if !ok {
		t.fail(at, "%s, expected an array of tables, written [[%s]]", describeTableless(t.raw(key)), at.name())
	}
	// All in one piece of memory: a file may have 50,000 of them.
	made := make([]struct {
		table  table
		layers [1]layer
		last   step
	}, len(elements))
	tables := make([]*table, 0, len(elements))
	for i, element := range elements {
		m := &made[i]
		m.last = step{above: at.last, element: i + 1}
		if values, ok := t.tableValues(path{&m.last}, element); ok {
			m.layers[0] = layer{path{&m.last}, values}
			m.table = table{reader: t.reader, layers: m.layers[:]}
			tables = append(tables, &m.table)
		}
	}
	return tables
}

// listOrOne is list, but a single table [key] is taken for one element.
func (t *table) listOrOne(key string) []*table {
	if values, ok := t.raw(key).(map[string]any); ok {
		t.ask(key)
		t.describe(key, "array of tables", "", "none")
		return []*table{t.element(t.at(key), values)}
	}
	return t.list(key)
}

func (t *table) element(at path, values map[string]any) *table {
	return &table{reader: t.reader, layers: []layer{{at, values}}}
}
