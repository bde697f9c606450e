package probe

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
)

// matcher finds a regular expression in bytes that are still coming.
type matcher struct{ expression *regexp.Regexp }

// newMatcher compiles an expression over bytes. Package regexp knows
// characters: each byte, of the expression and of the text, is made the
// character of its number. An expression that asks for the end of the text is
// refused, as is one that nothing matches: neither would say whether the right
// answer came, but only when it was looked at.
func newMatcher(expect string) (*matcher, error) {
	var characters strings.Builder
	for i := range len(expect) {
		characters.WriteRune(rune(expect[i]))
	}
	source := "(?m)" + characters.String()
	tree, err := syntax.Parse(source, syntax.Perl)
	var malformed *syntax.Error
	switch {
	case errors.As(err, &malformed):
		return nil, fmt.Errorf("expect %q is not a regular expression (RE2): %s", expect, malformed.Code)
	case err != nil:
		return nil, fmt.Errorf("expect %q is not a regular expression (RE2): %w", expect, err)
	case asksForEnd(tree):
		return nil, fmt.Errorf(`expect %q asks for the end of what is still coming: leave out "$", or write the line's end, "\r\n"`, expect)
	}
	m := &matcher{}
	if m.expression, err = regexp.Compile(source); err != nil {
		return nil, fmt.Errorf("expect %q is not a regular expression (RE2): %w", expect, err)
	}
	if m.expression.MatchString("") {
		return nil, fmt.Errorf("expect %q matches before anything is received, expected a text that must come", expect)
	}
	return m, nil
}

// asksForEnd reports whether "$", "\z" or "\Z" is in the expression.
func asksForEnd(tree *syntax.Regexp) bool {
	return tree.Op == syntax.OpEndText || tree.Op == syntax.OpEndLine || slices.ContainsFunc(tree.Sub, asksForEnd)
}

// find says where the first match is, if there is one.
func (m *matcher) find(text []byte) (start, end int, ok bool) {
	found := m.expression.FindReaderIndex(&characterReader{text})
	if found == nil {
		return 0, 0, false
	}
	return found[0], found[1], true
}

// characterReader reads each byte as the character of its number, one byte long.
type characterReader struct{ rest []byte }

func (r *characterReader) ReadRune() (character rune, size int, err error) {
	if len(r.rest) == 0 {
		return 0, 0, io.EOF
	}
	character, r.rest = rune(r.rest[0]), r.rest[1:]
	return character, 1, nil
}
