package keepalived

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// merge makes one document of those of the nodes of a cluster: what differs becomes
// overrides by host name. It changes the first document and returns it.
func merge(documents []*document, files []File) (*document, error) {
	if len(documents) == 0 {
		return nil, errors.New("no file to import")
	}
	base := documents[0]
	if len(documents) == 1 {
		return base, nil
	}
	m := merging{base: base}
	for _, d := range documents {
		m.tables = append(m.tables, slices.Clone(d.tables))
	}
	var names []string
	for _, f := range files {
		if f.Node == "" || slices.Contains(m.nodes, f.Node) {
			return nil, fmt.Errorf("%s: several files need the node that each is of, once each", f.Name)
		}
		m.nodes, names = append(m.nodes, f.Node), append(names, f.Name)
	}
	base.title[0] = "Imported from " + strings.Join(names, " and ") + " by lvsd import."
	for _, other := range documents[1:] {
		for _, t := range other.tables {
			if find(base.tables, t) == nil {
				m.adopt(t)
			}
		}
	}
	for _, t := range base.tables {
		m.table(t)
	}
	return base, nil
}

// merging is the document that is made, and what the files of the nodes have.
type merging struct {
	base   *document
	tables [][]*table
	nodes  []string
}

// overridable are the tables that may differ between nodes.
var overridable = []string{"[global]", "[sync]", "[[vrrp]]", "[[sync_group]]", "[[tracker]]"}

// adopt adds a table that the first document does not have, beside its like.
func (m merging) adopt(t *table) {
	at := len(m.base.tables)
	for n, o := range m.base.tables {
		if o.header == t.header {
			at = n + 1
		}
	}
	m.base.tables = slices.Insert(m.base.tables, at, t)
}

// find is the table of the document that is about the same.
func find(tables []*table, t *table) *table {
	for _, o := range tables {
		if o.header == t.header && identity(o) == identity(t) {
			return o
		}
	}
	return nil
}

// identity is what tells a table from its like.
func identity(t *table) string {
	if !strings.HasPrefix(t.header, "[[") {
		return ""
	}
	var b strings.Builder
	for _, key := range []string{"name", "address", "protocol", "firewall_mark"} {
		if s := t.get(key); s != nil {
			b.WriteString(s.value + " ")
			if key == "name" {
				break
			}
		}
	}
	return b.String()
}

// table compares what the nodes have in the place of a table.
func (m merging) table(t *table) {
	theirs := make([]*table, len(m.tables))
	differ := false
	for n, tables := range m.tables {
		if theirs[n] = find(tables, t); theirs[n] == nil {
			m.differs(t, "%s is not in the file of node %s, but a file of lvsd is for all of them", t.describe(), m.nodes[n])
			theirs[n] = t
		}
		differ = differ || !alike([]*table{t}, []*table{theirs[n]})
	}
	switch {
	case !differ:
	case slices.Contains(overridable, t.header):
		m.override(t, theirs)
	default:
		for n, other := range theirs {
			if !alike([]*table{t}, []*table{other}) {
				m.differs(other, "%s is not the same on node %s as on the first; that of the first is taken for all", t.describe(), m.nodes[n])
			}
		}
	}
}

func (m merging) differs(t *table, format string, args ...any) {
	note := Note{Kind: Differs, Message: fmt.Sprintf(format, args...)}
	if t.at != nil {
		note.File, note.Line = t.at.File, t.at.Line
	}
	m.base.notes = append(m.base.notes, note)
}

func (t *table) describe() string {
	if s := t.get("name"); s != nil {
		return t.header + " " + s.value
	}
	if s := t.get("address"); s != nil {
		return t.header + " " + s.value
	}
	return t.header
}

// override gives the table one for each node with what differs there.
func (m merging) override(t *table, theirs []*table) {
	nodes := make([]*table, len(theirs))
	for n := range theirs {
		nodes[n] = &table{header: fmt.Sprintf("[node.%s]", quote(m.nodes[n])), at: theirs[n].at}
	}
	// The first one's are changed, so they are copied.
	own := *t
	for n := range theirs {
		if theirs[n] == t {
			theirs[n] = &own
		}
	}
	spread(t, theirs, nodes)
	for _, n := range nodes {
		if len(n.settings)+len(n.tables) > 0 {
			t.tables = append(t.tables, n)
		}
	}
}

// spread moves what differs between theirs from t to the tables of the nodes.
func spread(t *table, theirs, nodes []*table) {
	t.settings = slices.Clone(t.settings)
	for _, key := range settingsOf(theirs) {
		values := make([]*setting, len(theirs))
		everywhere, same := true, true
		for n, o := range theirs {
			values[n] = o.get(key)
			everywhere = everywhere && values[n] != nil
			same = same && values[n] != nil && values[0] != nil && values[n].text() == values[0].text()
		}
		if same {
			continue
		}
		if !everywhere {
			t.settings = slices.DeleteFunc(t.settings, func(s *setting) bool { return s.key == key })
		}
		for n, s := range values {
			if s != nil && (!everywhere || s.text() != values[0].text()) {
				nodes[n].settings = append(nodes[n].settings, s)
			}
		}
	}
	spreadTables(t, theirs, nodes)
}

// spreadTables does so for the tables inside: those that are single key by key, the
// others as a whole.
func spreadTables(t *table, theirs, nodes []*table) {
	for _, header := range headersOf(theirs) {
		lists := make([][]*table, len(theirs))
		same, single := true, true
		for n, o := range theirs {
			lists[n] = withHeader(o.tables, header)
			single = single && len(lists[n]) == 1 && len(lists[n][0].tables) == 0
			same = same && alike(lists[n], lists[0])
		}
		switch {
		case same:
		case single && !strings.HasPrefix(header, "[["):
			inner, inside := make([]*table, len(theirs)), make([]*table, len(theirs))
			changed := *lists[0][0]
			for n := range theirs {
				inner[n], inside[n] = lists[n][0], &table{header: header, at: theirs[n].at}
			}
			spread(&changed, inner, inside)
			t.tables[slices.Index(t.tables, lists[0][0])] = &changed
			for n := range nodes {
				if len(inside[n].settings) > 0 {
					nodes[n].tables = append(nodes[n].tables, inside[n])
				}
			}
		default:
			t.tables = slices.DeleteFunc(slices.Clone(t.tables), func(o *table) bool { return o.header == header })
			for n := range nodes {
				nodes[n].tables = append(nodes[n].tables, lists[n]...)
			}
		}
	}
}

func settingsOf(tables []*table) []string {
	var keys []string
	for _, t := range tables {
		for _, s := range t.settings {
			if !slices.Contains(keys, s.key) {
				keys = append(keys, s.key)
			}
		}
	}
	return keys
}

func headersOf(tables []*table) []string {
	var headers []string
	for _, t := range tables {
		for _, o := range t.tables {
			if !slices.Contains(headers, o.header) {
				headers = append(headers, o.header)
			}
		}
	}
	return headers
}

func withHeader(tables []*table, header string) []*table {
	return slices.DeleteFunc(slices.Clone(tables), func(t *table) bool { return t.header != header })
}

// text is the value, whatever its comment.
func (s *setting) text() string {
	parts := []string{s.value}
	for _, e := range s.elements {
		parts = append(parts, e.value)
	}
	return strings.Join(parts, " ")
}
