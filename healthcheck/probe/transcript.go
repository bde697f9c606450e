package probe

import (
	"fmt"
	"strings"
)

// maxTranscript bounds what is kept of a dialogue, in bytes.
const maxTranscript = 1 << 10

// transcript takes down a dialogue for who wants to know what was said: a line
// for each thing sent, ">", received, "<", or done, "*". It is bounded, and
// printable whatever the server sent. The zero value and nil are empty; nil
// takes nothing down.
//
// It also knows what must not be shown, there and in the reason.
type transcript struct {
	text strings.Builder
	full bool
	// texts must not be shown, and hidden hides them.
	texts  []string
	hidden secrets
}

// conceal hides the texts from now on.
func (t *transcript) conceal(texts ...string) {
	if t != nil && len(texts) > 0 {
		t.texts = append(t.texts, texts...)
		t.hidden = secretsOf(t.texts...)
	}
}

// hide is text as it may be shown.
func (t *transcript) hide(text string) string {
	if t == nil {
		return text
	}
	return t.hidden.hide(text)
}

func (t *transcript) sent(line string)     { t.add("> ", line) }
func (t *transcript) received(line string) { t.add("< ", line) }
func (t *transcript) did(format string, args ...any) {
	t.add("* ", fmt.Sprintf(format, args...))
}

func (t *transcript) add(prefix, line string) {
	if t == nil || t.full {
		return
	}
	line = sanitise(t.hide(line))
	if t.text.Len()+len(prefix)+len(line)+1 > maxTranscript {
		t.full, prefix, line = true, "* ", "more was said"
	}
	t.text.WriteString(prefix + line + "\n")
}

// String is all that was taken down, a line each.
func (t *transcript) String() string {
	if t == nil {
		return ""
	}
	return t.text.String()
}
