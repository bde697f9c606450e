package config

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// positions knows where every key and value of a document starts. The decoder
// cannot tell: it loses the elements of arrays of tables and has no position
// for a key that nobody asked for.
type positions struct {
	src   string
	lines []int // offset of the first byte of each line
	// keys are by exact path.
	keys map[string]offsets
}

// offsets are byte offsets in the document. A table has its name in its header
// as both, an element of an array its value.
type offsets struct{ key, value int }

// scanPositions indexes a document that the decoder has accepted. Of any other
// it indexes what comes before the first thing it does not understand.
func scanPositions(src string) *positions {
	p := &positions{src: src, lines: []int{0}, keys: make(map[string]offsets)}
	for i := range len(src) {
		if src[i] == '\n' {
			p.lines = append(p.lines, i+1)
		}
	}
	s := &scanner{src: src, found: p.keys, elements: make(map[string]int)}
	s.document()
	return p
}

// of is where the key is; the whole file starts at 0.
func (p *positions) of(key path) offsets { return p.keys[key.exact()] }

// place turns an offset into a line and a column in characters, both from 1.
func (p *positions) place(offset int) (line, column int) {
	offset = min(max(offset, 0), len(p.src))
	line, found := slices.BinarySearch(p.lines, offset)
	if found {
		line++
	}
	return line, utf8.RuneCountInString(p.src[p.lines[line-1]:offset]) + 1
}

// scanner walks over a document and notes where keys and values start. Its
// methods return false where the document is not TOML; the walk ends there.
type scanner struct {
	src   string
	pos   int
	found map[string]offsets
	// elements counts the elements of each array of tables: a header under it
	// means its last one.
	elements map[string]int
}

func (s *scanner) document() {
	var table path
	for ok := true; ok; {
		s.skipBlank()
		switch {
		case s.pos == len(s.src):
			return
		case s.src[s.pos] == '[':
			table, ok = s.header()
		default:
			ok = s.keyValue(table)
		}
	}
}

// header reads [a.b] or [[a.b]] and returns the table that it opens.
func (s *scanner) header() (path, bool) {
	array := strings.HasPrefix(s.src[s.pos:], "[[")
	closing := "]"
	if array {
		closing = "]]"
	}
	s.pos += len(closing)
	parts, ok := s.dottedKey()
	if !ok || !s.take(closing) {
		return path{}, false
	}
	parent := s.open(path{}, parts[:len(parts)-1])
	last := parts[len(parts)-1]
	table := parent.key(last.name)
	s.note(table, last.offset, last.offset)
	if array {
		name := table.exact()
		table = table.index(s.elements[name])
		s.elements[name]++
		s.note(table, last.offset, last.offset)
	}
	return table, true
}

// open descends from table through the names of a dotted key.
func (s *scanner) open(table path, parts []keyPart) path {
	for _, part := range parts {
		table = table.key(part.name)
		s.note(table, part.offset, part.offset)
		if n := s.elements[table.exact()]; n > 0 {
			table = table.index(n - 1)
		}
	}
	return table
}

// keyValue reads key = value in the table.
func (s *scanner) keyValue(table path) bool {
	parts, ok := s.dottedKey()
	if !ok || !s.take("=") {
		return false
	}
	s.skipSpace()
	last := parts[len(parts)-1]
	key := s.open(table, parts[:len(parts)-1]).key(last.name)
	s.note(key, last.offset, s.pos)
	return s.value(key)
}

// value skips the value of key and notes the keys and elements inside.
func (s *scanner) value(key path) bool {
	rest := s.src[s.pos:]
	switch {
	case strings.HasPrefix(rest, `"""`):
		return s.multiline('"')
	case strings.HasPrefix(rest, `'''`):
		return s.multiline('\'')
	case strings.HasPrefix(rest, `"`), strings.HasPrefix(rest, `'`):
		_, ok := s.quoted()
		return ok
	case strings.HasPrefix(rest, "["):
		return s.array(key)
	case strings.HasPrefix(rest, "{"):
		return s.inlineTable(key)
	}
	end := strings.IndexAny(rest, ",]}#\r\n")
	if end < 0 {
		end = len(rest)
	}
	s.pos += end
	return end > 0
}

func (s *scanner) array(key path) bool {
	s.pos++
	for i := 0; ; i++ {
		s.skipBlank()
		if s.take("]") {
			return true
		}
		if s.pos == len(s.src) {
			return false
		}
		element := key.index(i)
		s.note(element, s.pos, s.pos)
		if !s.value(element) {
			return false
		}
		s.skipBlank()
		s.take(",")
	}
}

func (s *scanner) inlineTable(table path) bool {
	s.pos++
	for {
		s.skipBlank()
		if s.take("}") {
			return true
		}
		if !s.keyValue(table) {
			return false
		}
		s.skipBlank()
		s.take(",")
	}
}

// keyPart is one name of a dotted key.
type keyPart struct {
	name   string
	offset int
}

// dottedKey reads a.b."c" and the blanks around it.
func (s *scanner) dottedKey() ([]keyPart, bool) {
	var parts []keyPart
	for {
		s.skipSpace()
		offset := s.pos
		name, ok := s.simpleKey()
		if !ok {
			return nil, false
		}
		parts = append(parts, keyPart{name, offset})
		s.skipSpace()
		if !s.take(".") {
			return parts, true
		}
	}
}

func (s *scanner) simpleKey() (string, bool) {
	rest := s.src[s.pos:]
	if strings.HasPrefix(rest, `"`) || strings.HasPrefix(rest, `'`) {
		return s.quoted()
	}
	end := strings.IndexFunc(rest, func(r rune) bool { return !isBareRune(r) })
	if end < 0 {
		end = len(rest)
	}
	s.pos += end
	return rest[:end], end > 0
}

// quoted reads a string of one line and returns what it says.
func (s *scanner) quoted() (string, bool) {
	quote := s.src[s.pos]
	start := s.pos + 1
	for i := start; i < len(s.src); i++ {
		switch c := s.src[i]; {
		case c == '\n':
			return "", false
		case c == '\\' && quote == '"':
			i++
		case c == quote:
			s.pos = i + 1
			if quote == '\'' {
				return s.src[start:i], true
			}
			return unescape(s.src[start:i])
		}
	}
	return "", false
}

// multiline skips a string in three quotes, which may end in up to two more.
func (s *scanner) multiline(quote byte) bool {
	three := strings.Repeat(string(quote), 3)
	for i := s.pos + 3; i < len(s.src); i++ {
		switch {
		case s.src[i] == '\\' && quote == '"':
			i++
		case strings.HasPrefix(s.src[i:], three):
			s.pos = i + 3
			for range 2 {
				s.take(three[:1])
			}
			return true
		}
	}
	return false
}

// unescape resolves the escapes of a basic string of one line.
func unescape(text string) (string, bool) {
	var b strings.Builder
	for {
		plain, rest, escaped := strings.Cut(text, `\`)
		b.WriteString(plain)
		if !escaped {
			return b.String(), true
		}
		if rest == "" {
			return "", false
		}
		if i := strings.IndexByte(`btnfre"\`, rest[0]); i >= 0 {
			b.WriteByte("\b\t\n\f\r\x1b\"\\"[i])
			text = rest[1:]
			continue
		}
		digits := map[byte]int{'x': 2, 'u': 4, 'U': 8}[rest[0]]
		if digits == 0 || len(rest) <= digits {
			return "", false
		}
		code, err := strconv.ParseUint(rest[1:1+digits], 16, 32)
		if err != nil {
			return "", false
		}
		b.WriteRune(rune(code))
		text = rest[1+digits:]
	}
}

// note records where a key is. A table that is opened twice keeps its first
// place.
func (s *scanner) note(key path, at, value int) {
	name := key.exact()
	if _, ok := s.found[name]; !ok {
		s.found[name] = offsets{key: at, value: value}
	}
}

// take skips the token if it comes next.
func (s *scanner) take(token string) bool {
	if !strings.HasPrefix(s.src[s.pos:], token) {
		return false
	}
	s.pos += len(token)
	return true
}

// skipSpace skips blanks within a line.
func (s *scanner) skipSpace() {
	for s.pos < len(s.src) && strings.IndexByte(" \t", s.src[s.pos]) >= 0 {
		s.pos++
	}
}

// skipBlank skips blanks, newlines and comments.
func (s *scanner) skipBlank() {
	for s.pos < len(s.src) {
		switch s.src[s.pos] {
		case ' ', '\t', '\r', '\n':
			s.pos++
		case '#':
			end := strings.IndexByte(s.src[s.pos:], '\n')
			if end < 0 {
				end = len(s.src) - s.pos
			}
			s.pos += end
		default:
			return
		}
	}
}
