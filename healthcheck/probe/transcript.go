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
type transcript struct {
	text strings.Builder
	full bool
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
	line = sanitise(line)
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
