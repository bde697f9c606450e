package probe

import (
	"slices"
	"strings"
)

// secrets are texts that were said to a server, which may repeat them: what it
// says is not shown without hiding them. nil hides nothing.
type secrets []string

// secretsOf hides the texts; empty ones do not count.
func secretsOf(texts ...string) secrets {
	s := slices.DeleteFunc(texts, func(text string) bool { return text == "" })
	// The longest first: what is left of one must not show because a part of it
	// was hidden.
	slices.SortFunc(s, func(a, b string) int { return len(b) - len(a) })
	return s
}

// hide is text without the secrets.
func (s secrets) hide(text string) string {
	for _, secret := range s {
		text = strings.ReplaceAll(text, secret, "...")
	}
	return text
}
