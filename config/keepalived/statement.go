package keepalived

import (
	"slices"
	"strconv"
	"strings"
)

// Fate is what became of a statement.
type Fate int

// The fates.
const (
	unread Fate = iota
	// Translated is in the TOML.
	Translated
	// WithoutEffect says nothing that matters here.
	WithoutEffect
	// Reported has a note.
	Reported
)

// Statement is a keyword with its words, and the block that follows it, if any.
type Statement struct {
	File string
	Line int
	// Words are as keepalived splits them: double quotes hold a word together.
	Words []string
	// Block are the statements in the braces.
	Block    []*Statement
	HasBlock bool

	text   string
	parent *Statement
	fate   Fate
	// unopened is a block whose { is missing.
	unopened bool
}

// Fate is what became of it.
func (s *Statement) Fate() Fate { return s.fate }

// Word is the keyword.
func (s *Statement) Word() string { return s.Words[0] }

// word is the n-th argument, or empty.
func (s *Statement) word(n int) string {
	if n < len(s.Words) {
		return s.Words[n]
	}
	return ""
}

// inside is the keyword of the block that it stands in.
func (s *Statement) inside() string {
	if s.parent == nil {
		return "the file, outside every block"
	}
	return s.parent.Word()
}

// settle gives the statement and what is in it a fate, unless they have one.
func (s *Statement) settle(fate Fate) {
	if s.fate == unread {
		s.fate = fate
	}
	for _, inner := range s.Block {
		inner.settle(fate)
	}
}

// words splits as most of keepalived's keywords do: at white space, but for what is
// in double quotes.
func words(text string) []string {
	var all []string
	for {
		text = strings.TrimLeft(text, " \t")
		if text == "" {
			return all
		}
		if text[0] == '"' {
			word, rest, closed := strings.Cut(text[1:], `"`)
			all = append(all, word)
			if !closed {
				return all
			}
			text = rest
			continue
		}
		end := strings.IndexAny(text, " \t")
		if end < 0 {
			return append(all, text)
		}
		all = append(all, text[:end])
		text = text[end:]
	}
}

// escaped splits as the keywords for scripts and expressions do: quotes of both
// kinds, and escapes as in a shell's $'...'.
func (s *Statement) escaped() []string {
	var all []string
	var word strings.Builder
	started := false
	quote := byte(0)
	text := s.text
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case c == '\\' && i+1 < len(text):
			length := unescape(&word, text[i+1:])
			i += length
			started = true
		case quote != 0 && c == quote:
			quote = 0
		case quote == 0 && (c == '"' || c == '\''):
			quote, started = c, true
		case quote == 0 && (c == ' ' || c == '\t'):
			if started {
				all = append(all, word.String())
				word.Reset()
				started = false
			}
		default:
			word.WriteByte(c)
			started = true
		}
	}
	if started {
		all = append(all, word.String())
	}
	return all
}

var controls = map[byte]byte{'a': 7, 'b': 8, 'E': 27, 'f': 12, 'n': 10, 'r': 13, 't': 9, 'v': 11}

// unescape writes what the text after a backslash stands for, and returns how much
// of it that took.
func unescape(b *strings.Builder, text string) int {
	c := text[0]
	if control, ok := controls[c]; ok {
		b.WriteByte(control)
		return 1
	}
	switch {
	case c == 'x' && digits(text[1:], 2, "0123456789abcdefABCDEF") > 0:
		n := digits(text[1:], 2, "0123456789abcdefABCDEF")
		value, _ := strconv.ParseUint(text[1:1+n], 16, 8)
		b.WriteByte(byte(value))
		return 1 + n
	case c >= '0' && c <= '7':
		n := digits(text, 3, "01234567")
		value, _ := strconv.ParseUint(text[:n], 8, 16)
		b.WriteByte(byte(value))
		return n
	case c == 'c' && len(text) > 1:
		b.WriteByte(text[1] & 0x1f)
		return 2
	}
	b.WriteByte(c)
	return 1
}

// digits is how many of the first characters, at most limit, are of the set.
func digits(text string, limit int, set string) int {
	n := 0
	for n < limit && n < len(text) && strings.IndexByte(set, text[n]) >= 0 {
		n++
	}
	return n
}

// parse makes a tree of the lines. A brace may stand at the end of a line or
// anywhere else, but for words in double quotes.
func parse(lines []line, n *notebook) []*Statement {
	p := &parser{notes: n, top: new(Statement)}
	p.current = p.top
	for _, l := range lines {
		p.line(l)
	}
	p.missing()
	for s := p.current; s != p.top; s = s.outer(p.top) {
		n.at(s.File, s.Line, Broken, "the block of %s has no }", s.Word())
	}
	return p.top.Block
}

type parser struct {
	notes        *notebook
	top, current *Statement
	depth        int
}

func (s *Statement) outer(top *Statement) *Statement {
	if s.parent == nil {
		return top
	}
	return s.parent
}

func (p *parser) line(l line) {
	for text := l.text; text != ""; {
		at := brace(text)
		p.statement(l, strings.TrimSpace(text[:at]))
		if at == len(text) {
			return
		}
		if text[at] == '{' {
			p.open(l)
		} else {
			p.close(l)
		}
		text = text[at+1:]
	}
}

// brace is where the first brace outside double quotes is, or the end.
func brace(text string) int {
	quoted := false
	for i := range len(text) {
		switch c := text[i]; {
		case c == '"':
			quoted = !quoted
		case !quoted && (c == '{' || c == '}'):
			return i
		}
	}
	return len(text)
}

func (p *parser) statement(l line, text string) {
	words := words(text)
	if len(words) == 0 {
		return
	}
	p.missing()
	s := &Statement{File: l.file, Line: l.number, Words: words, text: text}
	if p.current != p.top {
		s.parent = p.current
	}
	p.current.Block = append(p.current.Block, s)
	p.notes.statements = append(p.notes.statements, s)
}

func (p *parser) open(l line) {
	if p.depth++; p.depth > maxDepth {
		if p.depth == maxDepth+1 {
			p.notes.at(l.file, l.number, Broken, "blocks stand in each other more than %d deep", maxDepth)
		}
		return
	}
	last := len(p.current.Block) - 1
	if last < 0 || p.current.Block[last].HasBlock {
		p.notes.at(l.file, l.number, Broken, "a { without a keyword before it")
		p.statement(l, `"{"`)
		last++
	}
	s := p.current.Block[last]
	if p.current.unopened && !s.needsBlock() {
		p.notes.at(l.file, l.number, Broken, "the { after %s is ignored, as with keepalived, since the block of %s has none", s.Word(), p.current.Word())
		p.depth--
		return
	}
	s.HasBlock = true
	p.current = s
}

// missing begins the block of a keyword that has no { where it needs one: keepalived
// takes what follows for the block, up to the next }.
func (p *parser) missing() {
	last := len(p.current.Block) - 1
	if last < 0 || p.depth >= maxDepth {
		return
	}
	s := p.current.Block[last]
	if s.HasBlock || !s.needsBlock() {
		return
	}
	p.notes.at(s.File, s.Line, Broken, "%s has no {; keepalived takes what follows for its block, up to the next }", s.text)
	p.depth++
	s.HasBlock, s.unopened = true, true
	p.current = s
}

// blocks are the keywords that need a block, by the one that they stand in.
var blocks = map[string][]string{
	"": {
		"global_defs", "vrrp_instance", "vrrp_sync_group", "vrrp_script", "vrrp_track_process", "track_process", "track_file",
		"vrrp_track_file", "virtual_server_group", "virtual_server", "bfd_instance", "static_ipaddress", "static_routes", "static_rules",
		"interface_up_down_delays",
	},
	"global_defs": {"notification_email"},
	"vrrp_instance": {
		"authentication", "auth_hmac", "virtual_ipaddress", "virtual_ipaddress_excluded", "virtual_routes", "virtual_rules", "unicast_peer",
		"track_interface", "track_script", "track_process", "track_file", "track_bfd",
	},
	"vrrp_sync_group": {"group", "track_interface", "track_script", "track_process", "track_file", "track_bfd"},
	"virtual_server":  {"real_server"},
	"real_server": {
		"TCP_CHECK", "PING_CHECK", "SMTP_CHECK", "HTTP_GET", "SSL_GET", "DNS_CHECK", "MISC_CHECK", "UDP_CHECK", "FILE_CHECK", "BFD_CHECK",
	},
	"HTTP_GET": {"url"}, "SSL_GET": {"url"}, "SMTP_CHECK": {"host"},
}

func (s *Statement) needsBlock() bool {
	around := ""
	if s.parent != nil {
		around = s.parent.Word()
	}
	return slices.Contains(blocks[around], s.Word())
}

func (p *parser) close(l line) {
	if p.depth > maxDepth {
		p.depth--
		return
	}
	p.missing()
	if p.current == p.top {
		p.notes.at(l.file, l.number, Broken, "a } too many: there is no block to end here, or one above ended too early")
		return
	}
	p.depth--
	p.current = p.current.outer(p.top)
}
