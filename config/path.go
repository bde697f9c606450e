package config

import (
	"strconv"
	"strings"
)

// path names one key of a file. It is comparable; the zero path is the whole
// file.
type path struct {
	exact string // with the elements of arrays: vrrp[0].priority
	name  string // as the reference names it: vrrp.priority
}

// key is the path of a key in the table p. A name that TOML would quote is
// quoted, so that no two keys share a path.
func (p path) key(name string) path {
	if !isBare(name) {
		name = strconv.Quote(name)
	}
	if p == (path{}) {
		return path{exact: name, name: name}
	}
	return path{exact: p.exact + "." + name, name: p.name + "." + name}
}

// index is the path of an element of the array p.
func (p path) index(i int) path {
	return path{exact: p.exact + "[" + strconv.Itoa(i) + "]", name: p.name}
}

// isBare reports whether TOML takes the name as a key without quotes.
func isBare(name string) bool {
	return name != "" && strings.IndexFunc(name, func(r rune) bool { return !isBareRune(r) }) < 0
}

func isBareRune(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '-'
}
