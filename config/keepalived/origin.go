package keepalived

import "cmp"

// origin is where a block is, and where its settings are by keyword.
type origin struct {
	head *Statement
	at   map[string]*Statement
	// names has those of at by the one name that several keywords stand for.
	names map[string]*Statement
}

func (o *origin) saw(s *Statement) {
	if o.at == nil {
		o.at, o.names = map[string]*Statement{}, map[string]*Statement{}
	}
	if before := o.at[s.Word()]; before != nil && before.fate == Translated {
		before.fate = WithoutEffect // the last one counts
	}
	o.at[s.Word()], o.names[canonical(s.Word())] = s, s
}

// before is the statement that said the same before.
func (o *origin) before(s *Statement) *Statement { return o.names[canonical(s.Word())] }

func canonical(keyword string) string { return cmp.Or(aliases[keyword], keyword) }

// from is the statement of the first keyword that the block has, else its head.
func (o *origin) from(keywords ...string) *Statement {
	for _, k := range keywords {
		if s := o.at[k]; s != nil {
			return s
		}
	}
	return o.head
}

func (o *origin) has(keyword string) bool { return o.at[keyword] != nil }
