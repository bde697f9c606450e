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

// entry is a keyword of a block that is read into a T: just one of read, none and lost
// is set.
type entry[T any] struct {
	// read takes the statement.
	read func(r *reading, s *Statement, t *T)
	// words is how many arguments there may be; 0 is one, -1 none, any is no bound.
	words int
	// again is what a second one in a block does.
	again again
	// none says why the keyword needs nothing here.
	none string
	// lost says what to do without it.
	lost string
}

const anyWords = math.MaxInt

// again is what a keyword does that a block has already.
type again int

const (
	lastCounts again = iota
	firstCounts
	adds
)

// aliases are keywords that are another one's older or newer name.
var aliases = map[string]string{"lb_algo": "lvs_sched", "lb_kind": "lvs_method", "nb_get_retry": "retry"}

// vocabulary are the keywords of a block.
type vocabulary[T any] map[string]entry[T]

// block is what knows where its settings were.
type block interface {
	saw(s *Statement)
	before(s *Statement) *Statement
}

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
				if r.ignored(s, b, e.again) {
					continue
				}
				b.saw(s)
			}
			e.read(r, s, t)
			r.checkWords(s, e.words)
		}
	}
}

// ignored reports a keyword that the block has already, and whether it is passed over.
func (r *reading) ignored(s *Statement, b block, again again) bool {
	before := b.before(s)
	if before == nil || again == adds {
		return false
	}
	if again == firstCounts {
		r.broken(s, "%s stands there already, in line %d; keepalived keeps the first and ignores this one", s.Word(), before.Line)
		s.settle(Reported)
		return true
	}
	if before.text != s.text || s.HasBlock {
		r.broken(before, "%s stands there again, in line %d; as with keepalived, the last one counts", before.Word(), s.Line)
	}
	return false
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
	ignored := "keepalived ignores it"
	if s.HasBlock {
		ignored += ", but takes what is in its block, and the } of that, for the block around; here the whole of it is left out"
	}
	r.broken(s, "unknown keyword %q in %s%s; %s", s.Word(), s.inside(), near, ignored)
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

// secondsAt reads an argument, with a fraction.
func (r *reading) secondsAt(s *Statement, at int) (time.Duration, bool) {
	return r.secondsWithin(s, at, 0, longest)
}

// longest is longer than every time that is meant.
const longest = 1e8 * time.Second

// secondsWithin refuses what keepalived refuses when it reads the file.
func (r *reading) secondsWithin(s *Statement, at int, least, most time.Duration) (time.Duration, bool) {
	d, ok := duration(s.word(at))
	switch {
	case !ok:
		r.broken(s, "%s: %q is not a number of seconds; keepalived's default is taken", s.Word(), s.word(at))
	case d < least, d > most:
		r.broken(s, "%s: %q is not a number of seconds %s..%s; keepalived ignores it, and its default is taken", s.Word(), s.word(at), plainSeconds(least), plainSeconds(most))
		return 0, false
	}
	return d, ok
}

// plainSeconds are seconds as keepalived writes them.
func plainSeconds(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', -1, 64) }

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
