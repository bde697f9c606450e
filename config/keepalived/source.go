package keepalived

import (
	"path/filepath"
	"slices"
	"strings"
)

// The bounds of what a file may expand to, besides the lines that it has: beyond them
// it is a mistake, or an attempt to take the machine down.
const (
	maxLines  = 100_000
	maxBytes  = 64 << 20
	maxLength = 32 << 10
	maxDepth  = 32
)

// line is a line after includes, definitions, conditions and sequences.
type line struct {
	text   string
	file   string
	number int
}

// source makes the lines of a file.
type source struct {
	options Options
	notes   *notebook
	// definitions are the values of $NAME; those of several lines have line feeds.
	definitions map[string]string
	lines       []line
	// steps and bytes count what was expanded.
	steps, bytes int
	overflowed   bool
	// open are the files that are being read.
	open []string
	// skipped are the lines for another configuration, by what they begin with.
	skipped []skipped
}

func readLines(f File, o Options, n *notebook) []line {
	s := &source{options: o, notes: n, definitions: map[string]string{}}
	s.read(f.Name, string(f.Text))
	s.reportSkipped()
	return s.lines
}

func (s *source) read(name, text string) {
	s.open = append(s.open, name)
	defer func() { s.open = s.open[:len(s.open)-1] }()
	var parts []string
	first := 0
	number := 0
	for text != "" {
		var physical string
		physical, text, _ = strings.Cut(text, "\n")
		number++
		if len(physical) > maxLength {
			s.notes.at(name, number, Broken, "a line of %d bytes, expected at most %d", len(physical), maxLength)
			continue
		}
		part, unclosed := uncomment(strings.TrimRight(physical, "\r"))
		if unclosed {
			s.notes.at(name, number, Broken, `a quote " is not closed on its line`)
		}
		if len(parts) == 0 {
			first = number
		}
		part, more := strings.CutSuffix(part, `\`)
		parts = append(parts, strings.TrimRight(part, " \t"))
		if more && text != "" {
			continue
		}
		s.logical(line{file: name, number: first}, parts)
		parts = nil
	}
}

// logical takes a line of which all but the last part ended with a backslash. The
// parts of a definition stay lines of their own.
func (s *source) logical(at line, parts []string) {
	separator := " "
	if isDefinition(s.condition(parts[0])) {
		separator = "\n"
		parts = dropEmpty(parts)
	}
	at.text = strings.TrimSpace(strings.Join(parts, separator))
	s.line(at, 0)
}

func dropEmpty(parts []string) []string {
	if len(parts) == 1 {
		return parts
	}
	kept := parts[:0:0]
	for i, p := range parts {
		if i == 0 || p != "" {
			kept = append(kept, p)
		}
	}
	return kept
}

// line takes one line: it obeys it, expands it, or keeps it.
func (s *source) line(l line, depth int) {
	if s.exceeded(l, depth) {
		return
	}
	for range maxDepth {
		before := strings.TrimSpace(l.text)
		l.text = s.condition(before)
		switch {
		case l.text == "":
			s.skip(l, before)
			return
		case isDefinition(l.text):
			s.define(l.text)
			return
		case strings.HasPrefix(l.text, "~SEQ"), strings.HasPrefix(l.text, "~LST"):
			s.repeat(l, depth)
			return
		}
		first, rest, changed := s.substitute(l.text)
		if l.text = first; len(rest) > 0 {
			s.line(l, depth+1)
			for _, text := range rest {
				s.line(line{text, l.file, l.number}, depth+1)
			}
			return
		}
		if !changed {
			break
		}
	}
	if !s.exceeded(l, depth) && !s.include(l, depth) {
		s.lines = append(s.lines, l)
	}
}

// exceeded reports, once, that a bound was reached.
func (s *source) exceeded(l line, depth int) bool {
	if depth > 0 {
		s.steps++
		s.bytes += len(l.text)
	}
	switch {
	case s.overflowed:
		return true
	case depth > maxDepth:
		s.notes.at(l.file, l.number, Broken, "definitions and includes stand in each other more than %d deep", maxDepth)
		return true
	case len(l.text) > maxLength:
		s.notes.at(l.file, l.number, Broken, "a line becomes longer than %d bytes", maxLength)
		return true
	case s.steps > s.options.mostLines, s.bytes > maxBytes:
		s.overflowed = true
		s.notes.at(l.file, l.number, Broken, "definitions, sequences and includes become more than %d lines or %d MiB: what follows is left out",
			s.options.mostLines, maxBytes>>20)
		return true
	}
	return false
}

// uncomment removes the comment, and the white space around. A mark of a comment
// counts anywhere but in double quotes and after a backslash.
func uncomment(text string) (rest string, unclosed bool) {
	text = strings.TrimLeft(text, " \t")
	var b strings.Builder
	quoted := false
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case c == '\\' && i+1 < len(text):
			i++
			if quoted || text[i] != '#' && text[i] != '!' {
				b.WriteByte(c)
			}
			c = text[i]
		case c == '"':
			quoted = !quoted
		case i == 1 && c == '!' && text[0] == '@':
			// A condition that says no.
		case !quoted && (c == '#' || c == '!'):
			return strings.TrimRight(b.String(), " \t"), false
		}
		b.WriteByte(c)
	}
	return strings.TrimRight(b.String(), " \t"), quoted
}

// include reads the files that an include names.
func (s *source) include(l line, depth int) bool {
	words := words(l.text)
	if len(words) != 2 {
		return false
	}
	switch words[0] {
	case "include", "includer", "includem", "includew", "includeb", "includea":
	default:
		return false
	}
	if words[1] == "{" {
		return false
	}
	pattern := words[1]
	if !filepath.IsAbs(pattern) {
		pattern = filepath.Join(filepath.Dir(l.file), pattern)
	}
	found := 0
	for _, alternative := range braces(pattern) {
		names, err := s.options.Glob(alternative)
		if err != nil {
			s.notes.at(l.file, l.number, Broken, "%s %s: %v", words[0], words[1], err)
			return true
		}
		for _, name := range names {
			found++
			s.includeFile(l, name, depth)
		}
	}
	if found == 0 {
		s.notes.at(l.file, l.number, Broken, "%s %s: there is no such file here; import again where it is", words[0], words[1])
	}
	return true
}

func (s *source) includeFile(l line, name string, depth int) {
	for _, open := range s.open {
		if open == name {
			s.notes.at(l.file, l.number, Broken, "include %s: the file includes itself", name)
			return
		}
	}
	if len(s.open) > maxDepth || s.exceeded(l, depth+1) {
		return
	}
	text, err := s.options.ReadFile(name)
	s.bytes += len(text)
	if err != nil {
		s.notes.at(l.file, l.number, Broken, "include: %v", err)
		return
	}
	s.read(name, string(text))
}

// mostAlternatives bounds what the braces of a pattern stand for.
const mostAlternatives = 1000

// braces are the alternatives of a pattern as shells have them, {a,b}.
func braces(pattern string) []string {
	var done []string
	todo := []string{pattern}
	for len(todo) > 0 && len(done) < mostAlternatives {
		next := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		choices := alternatives(next)
		if choices == nil {
			done = append(done, next)
			continue
		}
		slices.Reverse(choices)
		todo = append(todo, choices...)
	}
	return done
}

// alternatives are those of the first braces; nil if there are none.
func alternatives(pattern string) []string {
	open := strings.IndexByte(pattern, '{')
	if open < 0 {
		return nil
	}
	depth, start := 0, open+1
	var choices []string
	for i := open; i < len(pattern); i++ {
		switch pattern[i] {
		case '{':
			depth++
		case ',':
			if depth == 1 {
				choices = append(choices, pattern[start:i])
				start = i + 1
			}
		case '}':
			depth--
		}
		if depth > 0 {
			continue
		}
		choices = append(choices, pattern[start:i])
		for n, c := range choices {
			choices[n] = pattern[:open] + c + pattern[i+1:]
		}
		return choices
	}
	return nil
}
