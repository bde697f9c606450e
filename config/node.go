package config

import (
	"maps"
	"slices"
	"strings"
)

// as is the table read for a node: problems are reported for that node, and
// forNode chooses its overrides.
func (t *table) as(node string) *table {
	r := *t.reader
	r.node, r.scope, r.spare = node, node, nil
	return &table{reader: &r, layers: t.layers}
}

// forNode lays the node's own table, [T.node."host"], over t. The keys that t
// has been asked for so far cannot be overridden.
func (t *table) forNode() *table {
	t.ask("node")
	t.describe("node", "table of tables", "host names", "none")
	merged := &table{reader: t.reader, layers: t.layers, main: t.known}
	nodes := t.nodeTables()
	matches := matching(t.node, slices.Collect(maps.Keys(nodes)))
	if len(matches) > 0 {
		merged.layers = slices.Concat([]layer{nodes[matches[0]]}, t.layers)
	}
	if len(matches) > 1 {
		t.failKey(nodes[matches[1]].path, "names this host as %q does, expected full host names where short ones are ambiguous", matches[0])
	}
	return merged
}

// nodeTables are the override tables by host name.
func (t *table) nodeTables() map[string]layer {
	tables := make(map[string]layer)
	raw, ok := t.layers[0].values["node"]
	if !ok {
		return tables
	}
	at := t.path().key("node")
	nodes, _ := t.tableValues(at, raw)
	for name, raw := range nodes {
		if values, ok := t.tableValues(at.key(name), raw); ok {
			tables[name] = layer{at.key(name), values}
		}
	}
	return tables
}

// matching are the names that mean the node, at best exactly, in alphabetical
// order. Case does not matter, and hosts that know only the short form of
// their name find the full one, and the other way round.
func matching(node string, names []string) []string {
	var exact, short []string
	for _, name := range slices.Sorted(slices.Values(names)) {
		switch {
		case strings.EqualFold(name, node):
			exact = append(exact, name)
		case isShortOf(name, node), isShortOf(node, name):
			short = append(short, name)
		}
	}
	if exact != nil {
		return exact
	}
	return short
}

// isShortOf reports whether short is the first label of the full host name.
func isShortOf(short, full string) bool {
	label, _, dotted := strings.Cut(full, ".")
	return dotted && strings.EqualFold(label, short)
}

// nodeNames are the node that loads and every node that the tables name: by
// their own tables, or in their lists of nodes.
func nodeNames(loading string, tables []*table) []string {
	names := map[string]bool{loading: true}
	for _, t := range tables {
		nodes, _ := t.layers[0].values["node"].(map[string]any)
		for name := range nodes {
			names[name] = true
		}
		listed, _ := t.layers[0].values["nodes"].([]any)
		for _, raw := range listed {
			if name, ok := raw.(string); ok {
				names[name] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(names))
}
