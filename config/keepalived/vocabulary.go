package keepalived

import (
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/lvsd/lvsd/config"
)

// entry is a keyword of a block that is read into a T: just one of the fields but
// words is set.
type entry[T any] struct {
	// read takes the statement.
	read func(r *reading, s *Statement, t *T)
	// words is how many arguments there may be; 0 is one, -1 none, any is no bound.
	words int
	// none says why the keyword needs nothing here.
	none string
	// lost says what to do without it.
	lost string
}

const anyWords = math.MaxInt

// vocabulary are the keywords of a block.
type vocabulary[T any] map[string]entry[T]

// block is what knows where its settings were.
type block interface{ saw(s *Statement) }

// reading turns statements into a Configuration.
type reading struct {
	*notebook
	options Options
	c       *Configuration
	// strange counts the unknown keywords.
	strange int
	// names are those of the instances.
	names map[string]bool
}

// mostSuggestions bounds how often the nearest keyword is looked for: a file of
// which everything is unknown is no keepalived.conf.
const mostSuggestions = 200

// readAll reads the statements of a block.
func readAll[T any](r *reading, statements []*Statement, known vocabulary[T], t *T) {
	for _, s := range statements {
		e, ok := known[s.Word()]
		switch {
		case !ok:
			r.unknown(s, keys(known))
		case e.none != "":
			s.settle(WithoutEffect)
		case e.lost != "":
			r.lost(s, "%s: %s", s.text, e.lost)
			s.settle(Reported)
		default:
			s.fate = Translated
			if b, ok := any(t).(block); ok {
				b.saw(s)
			}
			e.read(r, s, t)
			r.checkWords(s, e.words)
		}
	}
}

func keys[T any](known vocabulary[T]) []string {
	names := make([]string, 0, len(known))
	for name := range known {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// unknown reports a keyword that keepalived does not know, with all that is in its
// block.
func (r *reading) unknown(s *Statement, known []string) {
	near := ""
	if r.strange++; r.strange <= mostSuggestions {
		if name := config.Nearest(s.Word(), known); name != "" {
			near = "; nearest is " + name
		}
	}
	if strings.ContainsFunc(s.Word(), isOddSpace) {
		near = "; it has a space of a word processor in it, put a plain one there"
	}
	r.broken(s, "unknown keyword %q in %s%s; keepalived ignores it", s.Word(), s.inside(), near)
	s.settle(Reported)
}

// isOddSpace tells of spaces that a page or a word processor puts between words and
// that keepalived takes for letters.
func isOddSpace(r rune) bool { return r > unicode.MaxASCII && unicode.IsSpace(r) || r == '\u200b' }

// checkWords reports what keepalived does not look at.
func (r *reading) checkWords(s *Statement, most int) {
	switch most {
	case 0:
		most = 1
	case -1:
		most = 0
	}
	if len(s.Words)-1 > most {
		r.broken(s, "%s: keepalived ignores what follows, %q", strings.Join(s.Words[:most+1], " "), strings.Join(s.Words[most+1:], " "))
	}
}

// integer reads the first argument.
func (r *reading) integer(s *Statement, least, most int) (int, bool) {
	return r.integerAt(s, 1, least, most)
}

func (r *reading) integerAt(s *Statement, at, least, most int) (int, bool) {
	n, err := strconv.Atoi(s.word(at))
	if err != nil || n < least || n > most {
		r.broken(s, "%s: %q is not a number %d..%d; keepalived's default is taken", s.Word(), s.word(at), least, most)
		return 0, false
	}
	return n, true
}

// seconds reads the first argument, with a fraction.
func (r *reading) seconds(s *Statement) (time.Duration, bool) { return r.secondsAt(s, 1) }

func (r *reading) secondsAt(s *Statement, at int) (time.Duration, bool) {
	d, ok := duration(s.word(at))
	if !ok {
		r.broken(s, "%s: %q is not a number of seconds; keepalived's default is taken", s.Word(), s.word(at))
	}
	return d, ok
}

func duration(text string) (time.Duration, bool) {
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || !(f >= 0) || f > 1e8 {
		return 0, false
	}
	return time.Duration(math.Round(f*1e6)) * time.Microsecond, true
}

// truth reads on, off and so on; nothing is on.
func (r *reading) truth(s *Statement) bool {
	switch s.word(1) {
	case "", "on", "true", "yes":
		return true
	case "off", "false", "no":
		return false
	}
	r.broken(s, "%s: %q is not on, off, true, false, yes or no; it is taken for on", s.Word(), s.word(1))
	return true
}

func (r *reading) address(s *Statement, text string) netip.Addr {
	a, err := netip.ParseAddr(text)
	if err != nil || a.Zone() != "" {
		r.broken(s, "%s: %q is not an address", s.Word(), text)
		return netip.Addr{}
	}
	return a.Unmap()
}

// text reads a required word.
func (r *reading) text(s *Statement) string {
	if s.word(1) == "" {
		r.broken(s, "%s: expected a value", s.Word())
	}
	return s.word(1)
}

// script reads a command, which stands in quotes unless it is a single word, and
// whom it runs as.
func (r *reading) script(s *Statement) *Script {
	words := s.escaped()
	if len(words) < 2 {
		r.broken(s, "%s: expected a command", s.Word())
		return nil
	}
	return &Script{at: s, Line: words[1], User: strings.Join(words[2:], " ")}
}

// The makers of entries for plain settings.

func textOf[T any](field func(*T) *string) entry[T] {
	return entry[T]{read: func(r *reading, s *Statement, t *T) { *field(t) = r.text(s) }}
}

func numberOf[T any](field func(*T) *int, least, most int) entry[T] {
	return entry[T]{read: func(r *reading, s *Statement, t *T) {
		if n, ok := r.integer(s, least, most); ok {
			*field(t) = n
		}
	}}
}

func optionalNumber[T any](field func(*T) **int, least, most int) entry[T] {
	return entry[T]{read: func(r *reading, s *Statement, t *T) {
		if n, ok := r.integer(s, least, most); ok {
			*field(t) = &n
		}
	}}
}

func timeOf[T any](field func(*T) *time.Duration) entry[T] {
	return entry[T]{read: func(r *reading, s *Statement, t *T) {
		if d, ok := r.seconds(s); ok {
			*field(t) = d
		}
	}}
}

func optionalTime[T any](field func(*T) **time.Duration) entry[T] {
	return entry[T]{read: func(r *reading, s *Statement, t *T) {
		if d, ok := r.seconds(s); ok {
			*field(t) = &d
		}
	}}
}

func truthOf[T any](field func(*T) *bool) entry[T] {
	return entry[T]{read: func(r *reading, s *Statement, t *T) { *field(t) = r.truth(s) }}
}

func optionalTruth[T any](field func(*T) **bool) entry[T] {
	return entry[T]{read: func(r *reading, s *Statement, t *T) {
		yes := r.truth(s)
		*field(t) = &yes
	}}
}

func addressOf[T any](field func(*T) *netip.Addr) entry[T] {
	return entry[T]{read: func(r *reading, s *Statement, t *T) {
		if a := r.address(s, s.word(1)); a.IsValid() {
			*field(t) = a
		}
	}}
}

func scriptOf[T any](field func(*T) **Script) entry[T] {
	return entry[T]{words: anyWords, read: func(r *reading, s *Statement, t *T) { *field(t) = r.script(s) }}
}

func none[T any](why string) entry[T] { return entry[T]{none: why} }

func lost[T any](what string) entry[T] { return entry[T]{lost: what} }

// all gives keywords one entry.
func (v vocabulary[T]) all(e entry[T], names ...string) vocabulary[T] {
	for _, name := range names {
		v[name] = e
	}
	return v
}
