package keepalived

import (
	"slices"
	"strconv"
	"strings"
)

// skipped are lines that a condition left out.
type skipped struct {
	condition, file string
	numbers         []int
}

// condition removes what says for which configuration the line is; the line is
// empty if that is another.
func (s *source) condition(text string) string {
	rest, ok := strings.CutPrefix(text, "@")
	if !ok {
		return text
	}
	id, rest, _ := strings.Cut(strings.ReplaceAll(rest, "\t", " "), " ")
	without := strings.TrimLeft(id, "^!")
	if (without == s.options.ConfigID && without != "") == (without != id) {
		return ""
	}
	return strings.TrimSpace(rest)
}

// skip remembers a line that is for another configuration.
func (s *source) skip(l line, text string) {
	words := strings.Fields(text)
	if len(words) < 2 || words[0] == "@" || !strings.HasPrefix(text, "@") {
		return
	}
	at := slices.IndexFunc(s.skipped, func(k skipped) bool { return k.condition == words[0] && k.file == l.file })
	if at < 0 {
		at = len(s.skipped)
		s.skipped = append(s.skipped, skipped{condition: words[0], file: l.file})
	}
	if k := &s.skipped[at]; !slices.Contains(k.numbers[max(0, len(k.numbers)-1):], l.number) {
		k.numbers = append(k.numbers, l.number)
	}
}

// mostNumbers bounds how many lines one note names.
const mostNumbers = 20

// reportSkipped makes one note for each configuration id whose lines were left out.
func (s *source) reportSkipped() {
	for _, k := range s.skipped {
		var numbers []string
		for _, n := range k.numbers[:min(len(k.numbers), mostNumbers)] {
			numbers = append(numbers, strconv.Itoa(n))
		}
		if len(k.numbers) > mostNumbers {
			numbers = append(numbers, "...")
		}
		subject, verb := "line ", " is"
		if len(k.numbers) > 1 {
			subject, verb = "lines ", " are"
		}
		subject += strings.Join(numbers, ", ") + verb
		id := k.condition[1:]
		if without := strings.TrimLeft(id, "^!"); without != id {
			s.notes.at(k.file, k.numbers[0], Differs, "%s for every configuration but @%s, and left out: import with another --config-id for them", subject, without)
			continue
		}
		s.notes.at(k.file, k.numbers[0], Differs, "%s for @%s, and left out; import with --config-id %s", subject, id, id)
	}
}
