package config

import (
	"strconv"
	"strings"
)

// path names one key of a file; the zero path is the whole file. It is a chain
// of steps and is written out only for a message: a large file has far more
// keys than problems.
type path struct{ last *step }

// step is a key of a table, or an element of an array.
type step struct {
	above *step
	name  string
	// element counts from 1; 0 is a key.
	element int
}

// key is the path of a key in the table p.
func (p path) key(name string) path { return path{&step{above: p.last, name: name}} }

// index is the path of an element of the array p.
func (p path) index(i int) path { return path{&step{above: p.last, element: i + 1}} }

// exact is the path with the elements of arrays: vrrp[0].priority. No two keys
// share one.
func (p path) exact() string {
	return p.write(func(element int) string { return "[" + strconv.Itoa(element-1) + "]" })
}

// name is the path as the reference has it: vrrp.priority.
func (p path) name() string {
	return p.write(func(int) string { return "" })
}

func (p path) write(element func(int) string) string {
	if p.last == nil {
		return ""
	}
	above := path{p.last.above}.write(element)
	switch {
	case p.last.element > 0:
		return above + element(p.last.element)
	case p.last.above == nil:
		return quotedKey(p.last.name)
	default:
		return above + "." + quotedKey(p.last.name)
	}
}

// quotedKey is a key's name, in quotes where TOML wants them.
func quotedKey(name string) string {
	if isBare(name) {
		return name
	}
	return strconv.Quote(name)
}

// isBare reports whether TOML takes the name as a key without quotes.
func isBare(name string) bool {
	return name != "" && strings.IndexFunc(name, func(r rune) bool { return !isBareRune(r) }) < 0
}

func isBareRune(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '-'
}
