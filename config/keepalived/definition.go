package keepalived

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// isDefinition reports whether the line is $NAME=VALUE.
func isDefinition(text string) bool {
	rest, ok := strings.CutPrefix(text, "$")
	if !ok {
		return false
	}
	name := identifier(rest)
	return name != "" && strings.HasPrefix(rest[len(name):], "=")
}

func (s *source) define(text string) {
	name, value, _ := strings.Cut(text[1:], "=")
	lines := strings.Split(strings.TrimLeft(value, " \t"), "\n")
	if len(lines) > 1 && strings.TrimSpace(lines[0]) == "" {
		lines = lines[1:]
	}
	s.definitions[name] = strings.Join(lines, "\n")
}

// identifier is the name at the beginning of the text, or empty.
func identifier(text string) string {
	for i := range len(text) {
		c := text[i]
		letter := c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return text[:i]
		}
	}
	return text
}

// substitute puts values in place of names, until one has several lines: then the
// first ends the line and the others follow it.
func (s *source) substitute(text string) (first string, rest []string, changed bool) {
	from := 0
	for len(text) <= maxLength {
		at := strings.IndexByte(text[from:], '$')
		if at < 0 {
			break
		}
		at += from
		value, length, ok := s.reference(text[at:])
		if !ok {
			from = at + 1
			continue
		}
		head, tail := text[:at], text[at+length:]
		if one, more, several := strings.Cut(value, "\n"); several {
			if strings.TrimSpace(tail) != "" {
				more += "\n" + tail
			}
			return head + one, strings.Split(more, "\n"), true
		}
		// What was put in is looked at again in the next round: a value may have
		// names, and one that has its own is stopped by the bound of rounds.
		text, from, changed = head+value+tail, at+len(value), true
	}
	return text, nil, changed
}

// reference is the value of $NAME or ${NAME} at the beginning of the text, and how
// long that is.
func (s *source) reference(text string) (value string, length int, ok bool) {
	braced := strings.HasPrefix(text, "${")
	body := text[1:]
	if braced {
		body = text[2:]
	}
	name := identifier(body)
	if name == "" {
		return "", 0, false
	}
	length = len(text) - len(body) + len(name)
	arguments := ""
	if braced {
		end := strings.IndexByte(text[length:], '}')
		if end < 0 {
			return "", 0, false
		}
		arguments = text[length : length+end]
		length += end + 1
	} else if length < len(text) && !strings.ContainsRune(" \t,)", rune(text[length])) {
		return "", 0, false
	}
	if arguments == "" {
		if value, ok = s.definitions[name]; ok {
			return value, length, true
		}
	}
	value, ok = s.predefined(name, strings.Fields(arguments))
	return value, length, ok
}

func (s *source) predefined(name string, arguments []string) (string, bool) {
	switch {
	case name == "_PWD" && len(arguments) == 0:
		folder := filepath.Dir(s.open[len(s.open)-1])
		if absolute, err := filepath.Abs(folder); err == nil {
			return absolute, true
		}
		return folder, true
	case name == "_INSTANCE" && len(arguments) == 0:
		return s.options.ConfigID, true
	case name == "_ENV" && len(arguments) == 1:
		return os.Expand("${"+arguments[0]+"}", s.options.Getenv), true
	case name == "_HASH" && len(arguments) == 0:
		return "#", true
	case name == "_BANG" && len(arguments) == 0:
		return "!", true
	case name == "_RANDOM" && len(arguments) <= 2:
		// Two imports of a file must not differ.
		if len(arguments) == 0 {
			return "0", true
		}
		if _, err := strconv.ParseUint(arguments[0], 10, 31); err == nil {
			return arguments[0], true
		}
	}
	return "", false
}

// repeat expands ~SEQ(NAME, FIRST, STEP, LAST) and ~LST(NAME, VALUE, ...): the rest
// of the line once for each value.
func (s *source) repeat(l line, depth int) {
	open, closed := strings.IndexByte(l.text, '('), strings.IndexByte(l.text, ')')
	if open < 0 || closed < open {
		s.notes.at(l.file, l.number, Broken, "%q is not ~SEQ(NAME, FIRST, STEP, LAST) or ~LST(NAME, VALUE, ...)", l.text)
		return
	}
	word, rest := strings.TrimSpace(l.text[:open]), strings.TrimSpace(l.text[closed+1:])
	inside := l.text[open+1 : closed]
	for range maxDepth {
		first, more, changed := s.substitute(inside)
		if inside = first; !changed || more != nil {
			break
		}
	}
	items := splitList(inside)
	each := func(names, values []string) {
		for i, name := range names {
			s.definitions[name] = values[i]
		}
		s.line(line{rest, l.file, l.number}, depth+1)
	}
	ok := false
	switch word {
	case "~SEQ", "~SEQx":
		ok = s.sequence(items, word == "~SEQx", each)
	case "~LST":
		ok = s.list(items, each)
	}
	if !ok {
		s.notes.at(l.file, l.number, Broken, "%s(%s): expected ~SEQ(NAME, FIRST, STEP, LAST) or ~LST(NAME, VALUE, ...)", word, inside)
	}
}

func (s *source) sequence(items []string, hexadecimal bool, each func(names, values []string)) bool {
	if len(items) < 2 || len(items) > 4 || identifier(items[0]) != items[0] || items[0] == "" {
		return false
	}
	var numbers []int64
	for _, item := range items[1:] {
		n, err := strconv.ParseInt(item, 0, 32)
		if err != nil {
			return false
		}
		numbers = append(numbers, n)
	}
	last := numbers[len(numbers)-1]
	first, step := int64(1), int64(1)
	switch {
	case len(numbers) > 1:
		first = numbers[0]
	case last < 0:
		first = -1
	}
	if last < first {
		step = -1
	}
	if len(numbers) == 3 {
		step = numbers[1]
	}
	if step == 0 || (last-first)*step < 0 {
		return false
	}
	base := 10
	if hexadecimal {
		base = 16
	}
	for n := first; (step > 0) == (n <= last) || n == last; n += step {
		if s.overflowed {
			break
		}
		each(items[:1], []string{strconv.FormatInt(n, base)})
	}
	return true
}

func (s *source) list(items []string, each func(names, values []string)) bool {
	if len(items) < 2 {
		return false
	}
	names := group(items[0])
	for _, name := range names {
		if name == "" || identifier(name) != name {
			return false
		}
	}
	for _, item := range items[1:] {
		values := group(item)
		if len(values) != len(names) {
			return false
		}
		if !s.overflowed {
			each(names, values)
		}
	}
	return true
}

// splitList splits at commas that are not in braces.
func splitList(text string) []string {
	var items []string
	depth, start := 0, 0
	for i := range len(text) {
		switch c := text[i]; {
		case c == '{':
			depth++
		case c == '}':
			depth--
		case c == ',' && depth == 0:
			items = append(items, strings.TrimSpace(text[start:i]))
			start = i + 1
		}
	}
	return append(items, strings.TrimSpace(text[start:]))
}

// group is {a, b}, or a single value.
func group(text string) []string {
	inside, ok := strings.CutPrefix(text, "{")
	if !ok {
		return []string{text}
	}
	return splitList(strings.TrimSuffix(inside, "}"))
}
