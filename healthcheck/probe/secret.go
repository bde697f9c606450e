package probe

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// secrets are texts that a server knows and may repeat: what it says is not shown
// without hiding them. nil hides nothing.
type secrets []string

// minSecret is the shortest text that is kept secret, in bytes.
const minSecret = 4

// secretsOf hides the texts, and what becomes of them where a server's words are
// quoted, read as a list of capitals, or made a URL. Shorter ones than minSecret
// do not count: without them, what is said could not be read, and where they were
// missing would show.
func secretsOf(texts ...string) secrets {
	var s secrets
	for _, text := range texts {
		quoted := strconv.Quote(text)
		s = append(s, text, strings.ToUpper(text), quoted[1:len(quoted)-1],
			url.PathEscape(text), url.QueryEscape(text), (&url.URL{Path: text}).EscapedPath())
	}
	slices.Sort(s)
	s = slices.DeleteFunc(slices.Compact(s), func(text string) bool { return len(text) < minSecret })
	// The longest first: what is left of one must not show because a part of it
	// was hidden.
	slices.SortStableFunc(s, func(a, b string) int { return len(b) - len(a) })
	return s
}

// hide is text without the secrets.
func (s secrets) hide(text string) string {
	for _, secret := range s {
		text = strings.ReplaceAll(text, secret, "...")
	}
	return text
}
