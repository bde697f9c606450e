package keepalived

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/lvsd/lvsd/config"
)

// document is TOML that is being written.
type document struct {
	// title is the comment at the top, a line each.
	title  []string
	tables []*table
	notes  []Note
}

// table is a table of the document with its source.
type table struct {
	header   string
	comments []string
	settings []*setting
	tables   []*table
	at       *Statement
	dropped  bool
}

// setting is a key with its value, or with the elements of a list. What follows it
// as a comment explains it.
type setting struct {
	key, value, comment string
	elements            []*element
	at                  *Statement
	dropped             bool
}

type element struct {
	value   string
	at      *Statement
	dropped bool
}

// add appends a table.
func (d *document) add(header string, at *Statement) *table {
	t := &table{header: header, at: at}
	d.tables = append(d.tables, t)
	return t
}

// sub appends a table inside t; header is without t's own name.
func (t *table) sub(header string, at *Statement) *table {
	s := &table{header: header, at: at}
	t.tables = append(t.tables, s)
	return s
}

// set appends a key. A nil statement is the table's.
func (t *table) set(key string, value any, at *Statement) *setting {
	if at == nil {
		at = t.at
	}
	s := &setting{key: key, value: toml(value), at: at}
	t.settings = append(t.settings, s)
	return s
}

func (s *setting) explain(format string, args ...any) {
	s.comment = plainText(fmt.Sprintf(format, args...))
}

func (t *table) explain(format string, args ...any) {
	t.comments = append(t.comments, plainText(fmt.Sprintf(format, args...)))
}

// get is the setting of the key, or nil.
func (t *table) get(key string) *setting {
	for _, s := range t.settings {
		if s.key == key && !s.dropped {
			return s
		}
	}
	return nil
}

// raw is a value that is TOML already.
type raw string

func toml(value any) string {
	switch v := value.(type) {
	case raw:
		return string(v)
	case string:
		return quote(v)
	case time.Duration:
		return `"` + spell(v) + `"`
	case []string:
		quoted := make([]string, len(v))
		for i, s := range v {
			quoted[i] = quote(s)
		}
		return "[" + strings.Join(quoted, ", ") + "]"
	default:
		return fmt.Sprint(v)
	}
}

// spell writes a duration as lvsd's files have it.
func spell(d time.Duration) string {
	if d%time.Second == 0 {
		return fmt.Sprintf("%ds", d/time.Second)
	}
	return fmt.Sprintf("%dms", max(1, d.Round(time.Millisecond)/time.Millisecond))
}

// quote writes a string; one with backslashes as a literal if it can.
func quote(s string) string {
	s = strings.ToValidUTF8(s, "\ufffd")
	if strings.Contains(s, `\`) && !strings.Contains(s, "'") && !strings.ContainsFunc(s, unicode.IsControl) {
		return "'" + s + "'"
	}
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\t':
			b.WriteString(`\t`)
		case r == '\n':
			b.WriteString(`\n`)
		case unicode.IsControl(r):
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// plainText is text that may stand in a comment.
func plainText(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "\ufffd"))
}

// place is what a line of the text was written for.
type place struct {
	table   *table
	setting *setting
	element *element
}

// writer writes the text and remembers what each line is for.
type writer struct {
	strings.Builder
	places []place
}

func (w *writer) line(p place, format string, args ...any) {
	fmt.Fprintf(w, format+"\n", args...)
	w.places = append(w.places, p)
}

func (w *writer) table(t *table, prefix, indent string) {
	if t.dropped {
		return
	}
	if len(w.places) > 0 {
		w.line(place{}, "")
	}
	p := place{table: t}
	for _, c := range t.comments {
		w.line(p, "%s# %s", indent, c)
	}
	name := strings.Trim(t.header, "[]")
	brackets := t.header[:strings.Index(t.header, name)]
	w.line(p, "%s%s%s%s%s", indent, brackets, prefix, name, strings.Repeat("]", len(brackets)))
	for _, s := range t.settings {
		if !s.dropped {
			w.setting(t, s, indent)
		}
	}
	for _, s := range t.tables {
		w.table(s, prefix+name+".", indent+"  ")
	}
}

func (w *writer) setting(t *table, s *setting, indent string) {
	p := place{table: t, setting: s}
	comment := ""
	if s.comment != "" {
		comment = " # " + s.comment
	}
	if s.elements == nil {
		w.line(p, "%s%s = %s%s", indent, s.key, s.value, comment)
		return
	}
	kept := slices.DeleteFunc(slices.Clone(s.elements), func(e *element) bool { return e.dropped })
	if len(kept) == 1 {
		p.element = kept[0]
		w.line(p, "%s%s = [%s]%s", indent, s.key, kept[0].value, comment)
		return
	}
	w.line(p, "%s%s = [%s", indent, s.key, comment)
	for _, e := range kept {
		w.line(place{t, s, e}, "%s  %s,", indent, e.value)
	}
	w.line(p, "%s]", indent)
}

// body writes all but the notes.
func (d *document) body() *writer {
	w := new(writer)
	for _, c := range d.title {
		w.line(place{}, "%s", strings.TrimSpace("# "+plainText(c)))
	}
	for _, t := range d.tables {
		w.table(t, "", "")
	}
	return w
}

func (d *document) render() []byte {
	w := d.body()
	if len(d.notes) > 0 {
		w.line(place{}, "\n# What is to be looked at. \"no counterpart\" is not in this file; \"broken\" is what\n# keepalived complains of too; \"differs\" does not do quite the same here.\n#")
	}
	for _, n := range d.notes {
		w.line(place{}, "# %s", plainText(n.String()))
	}
	return []byte(w.String())
}

// required are keys without which a table is nothing.
var required = []string{
	"name", "interface", "vrid", "vips", "address", "addresses", "ports", "protocol", "firewall_mark", "type", "destination",
	"table", "command", "file", "process", "instances", "password", "tracker", "server", "from", "to", "secret", "id",
}

// settle drops what lvsd does not accept, with a note, until the rest is valid: so
// that no file, however strange, gives an invalid one.
func (d *document) settle(node string) error {
	for range 200 {
		w := d.body()
		_, err := config.Parse("lvsd.toml", []byte(w.String()), node)
		var problems config.Problems
		if err == nil {
			return nil
		}
		if !errors.As(err, &problems) {
			return err
		}
		progress := false
		for _, p := range problems {
			if p.Line-1 < len(w.places) && d.drop(w.places[p.Line-1], p) {
				progress = true
			}
		}
		if !progress {
			if strings.Contains(problems[0].Message, "neither [[vrrp]] nor") {
				return ErrNothing
			}
			return fmt.Errorf("the result is not valid, which is a fault of the import: %w", err)
		}
	}
	return errors.New("the result is not valid, which is a fault of the import")
}

// drop leaves out what lvsd refused; it reports whether there was anything.
func (d *document) drop(at place, p config.Problem) bool {
	var what string
	var source *Statement
	switch {
	case at.table == nil || at.table.dropped, at.setting != nil && at.setting.dropped, at.element != nil && at.element.dropped:
		return at.table != nil
	case at.element != nil && len(at.setting.elements) > 1:
		at.element.dropped = true
		what, source = at.element.value, at.element.at
		if !slices.ContainsFunc(at.setting.elements, func(e *element) bool { return !e.dropped }) {
			at.table.dropped = true
		}
	case at.setting != nil && !slices.Contains(required, at.setting.key):
		at.setting.dropped = true
		what, source = at.setting.key+" = "+strings.TrimSpace(at.setting.text()), at.setting.at
	default:
		at.table.dropped = true
		what, source = at.table.header, at.table.at
		if s := at.table.get("name"); s != nil {
			what += " " + s.value
		}
	}
	note := Note{Kind: Lost, Message: fmt.Sprintf("lvsd cannot have %s: %s; it is left out", what, p.Message)}
	if source != nil {
		note.File, note.Line = source.File, source.Line
		source.fate = Reported
	}
	d.notes = append(d.notes, note)
	return true
}
