package config

import (
	"strings"
	"unicode/utf8"
)

// Files of thousands of services are generated, and their lines are plain: bare
// keys, and strings, integers, booleans and lists of them, each on one line.
// Those are decoded here, in a small part of the time that the library takes.
// All else is the library's, be it TOML or not. What is accepted here gives what
// the library gives.

// decodePlain decodes a text of plain lines. It is not ok with any other.
func decodePlain(text string) (root map[string]any, ok bool) {
	root = make(map[string]any)
	table := root
	for text != "" {
		line, rest, ended := strings.Cut(text, "\n")
		if ended {
			line = strings.TrimSuffix(line, "\r")
		}
		line = skipBlanks(line)
		switch {
		case isPlainEnd(line):
			ok = true
		case line[0] == '[':
			table, ok = plainHeader(root, line)
		default:
			ok = plainKeyValue(table, line)
		}
		if !ok {
			return nil, false
		}
		text = rest
	}
	return root, true
}

// plainHeader opens the table of the line [a.b] or [[a.b]]. The table above it
// must be there already, and [a.b] must not.
func plainHeader(root map[string]any, line string) (table map[string]any, ok bool) {
	bracket := "]"
	if line = line[1:]; strings.HasPrefix(line, "[") {
		line, bracket = line[1:], "]]"
	}
	name, end, closed := strings.Cut(line, bracket)
	if !closed || !isPlainEnd(skipBlanks(end)) {
		return nil, false
	}
	for above := root; ; {
		n := bareLength(name)
		key := name[:n]
		switch {
		case n == 0:
			return nil, false
		case n == len(name):
			return plainTable(above, key, bracket == "]]")
		case name[n] != '.':
			return nil, false
		}
		name = name[n+1:]
		switch v := above[key].(type) {
		case map[string]any:
			above = v
		case []map[string]any:
			above = v[len(v)-1]
		default:
			return nil, false
		}
	}
}

func plainTable(above map[string]any, key string, element bool) (table map[string]any, ok bool) {
	former, again := above[key]
	table = make(map[string]any)
	if !element {
		above[key] = table
		return table, !again
	}
	tables, ok := former.([]map[string]any)
	above[key] = append(tables, table)
	return table, ok || !again
}

func plainKeyValue(table map[string]any, line string) bool {
	n := bareLength(line)
	key := line[:n]
	if _, again := table[key]; n == 0 || again {
		return false
	}
	rest, ok := strings.CutPrefix(skipBlanks(line[n:]), "=")
	if !ok {
		return false
	}
	rest = skipBlanks(rest)
	var value any
	if strings.HasPrefix(rest, "[") {
		value, rest, ok = plainArray(rest[1:])
	} else {
		value, rest, ok = plainScalar(rest)
	}
	table[key] = value
	return ok && isPlainEnd(skipBlanks(rest))
}

// plainArray decodes an array after its bracket.
func plainArray(s string) (array []any, rest string, ok bool) {
	array = []any{}
	for {
		s = skipBlanks(s)
		if rest, ok = strings.CutPrefix(s, "]"); ok {
			return array, rest, true
		}
		value, rest, ok := plainScalar(s)
		if !ok {
			return nil, "", false
		}
		array = append(array, value)
		s = skipBlanks(rest)
		if rest, ok := strings.CutPrefix(s, ","); ok {
			s = rest
		} else if !strings.HasPrefix(s, "]") {
			return nil, "", false
		}
	}
}

// plainScalar decodes a string, an integer or a boolean. What follows it is for
// the caller to accept: that tells 1 from 1.5 and "" from """.
func plainScalar(s string) (value any, rest string, ok bool) {
	if text, ok := strings.CutPrefix(s, `"`); ok {
		text, rest, ok = strings.Cut(text, `"`)
		return text, rest, ok && isText(text) && strings.IndexByte(text, '\\') < 0
	}
	if rest, ok := strings.CutPrefix(s, "true"); ok {
		return true, rest, true
	}
	if rest, ok := strings.CutPrefix(s, "false"); ok {
		return false, rest, true
	}
	return plainInteger(s)
}

// plainInteger decodes an integer that cannot overflow.
func plainInteger(s string) (value any, rest string, ok bool) {
	digits, negative := strings.CutPrefix(s, "-")
	n, number := 0, int64(0)
	for n < len(digits) && n < 19 && '0' <= digits[n] && digits[n] <= '9' {
		number = 10*number + int64(digits[n]-'0')
		n++
	}
	if n == 0 || n == 19 || n > 1 && digits[0] == '0' {
		return nil, "", false
	}
	if negative {
		number = -number
	}
	return number, digits[n:], true
}

// isPlainEnd reports whether a line may end like that: with a comment or none.
func isPlainEnd(s string) bool { return s == "" || s[0] == '#' && isText(s) }

// isText reports whether TOML takes the text in strings and comments.
func isText(s string) bool {
	ascii := true
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		} else if c >= utf8.RuneSelf {
			ascii = false
		}
	}
	return ascii || utf8.ValidString(s)
}

func skipBlanks(s string) string {
	n := 0
	for n < len(s) && (s[n] == ' ' || s[n] == '\t') {
		n++
	}
	return s[n:]
}

// bareLength is the length of the bare key in front.
func bareLength(s string) int {
	n := 0
	for n < len(s) && isBareRune(rune(s[n])) {
		n++
	}
	return n
}
