// Package keepalived reads keepalived.conf and writes the same as TOML, with a note
// for everything that has no counterpart. It must not know the running system: it
// reads the files that it is given, those that they include and the scripts that
// they name, and nothing else.
//
// The steps: a source makes lines of the file (includes, definitions, conditional
// lines, sequences); a tree of statements is made of the lines; read*.go make a
// [Configuration] of the tree; write*.go make a document of that, which [Import]
// holds to what lvsd itself accepts. Every statement ends as translated, as without
// effect here, or with a [Note].
package keepalived

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/lvsd/lvsd/config"
)

// Options are what a keepalived.conf may depend on besides its text.
type Options struct {
	// ConfigID is keepalived's -i: what lines beginning with @ are for. Empty is
	// the short name of the file's node, as with keepalived; without that it is none.
	ConfigID string
	// Node is the node that the result is checked for; empty is one without
	// overrides.
	Node string
	// ReadFile reads included files and scripts; nil is the operating system's, for
	// at most 64 MiB.
	ReadFile func(name string) ([]byte, error)
	// Glob expands an include; nil is filepath.Glob.
	Glob func(pattern string) ([]string, error)
	// Getenv answers ${_ENV NAME}; nil is the operating system's.
	Getenv func(name string) string

	// mostLines is maxLines unless a test sets it.
	mostLines int
}

func (o Options) withDefaults() Options {
	if o.ReadFile == nil {
		o.ReadFile = readRegular
	}
	if o.Glob == nil {
		o.Glob = filepath.Glob
	}
	if o.Getenv == nil {
		o.Getenv = os.Getenv
	}
	o.Node, o.mostLines = cmp.Or(o.Node, "localhost"), cmp.Or(o.mostLines, maxLines)
	return o
}

// readRegular reads a file, but no device and nothing that is too large to be meant.
func readRegular(name string) ([]byte, error) {
	info, err := os.Stat(name)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is not a regular file", name)
	case info.Size() > maxBytes:
		return nil, fmt.Errorf("%s has %d bytes, expected at most %d MiB", name, info.Size(), maxBytes>>20)
	}
	return os.ReadFile(name)
}

// File is a keepalived.conf.
type File struct {
	// Name is what notes call it; includes are relative to its folder.
	Name string
	Text []byte
	// Node is the host that it is of; needed with several.
	Node string
}

// NoteKind is what is the matter.
type NoteKind string

// The kinds of note.
const (
	// Broken: keepalived complains of it too, and goes on without it.
	Broken NoteKind = "broken"
	// Lost has no counterpart.
	Lost NoteKind = "no counterpart"
	// Differs was translated into something that does not do quite the same.
	Differs NoteKind = "differs"
)

// Note is one thing to look at.
type Note struct {
	File string
	Line int
	Kind NoteKind
	// Message says what it is about, and what to do.
	Message string
}

// String is the note in one line: "keepalived.conf:7: no counterpart: message".
func (n Note) String() string {
	return fmt.Sprintf("%s:%d: %s: %s", n.File, n.Line, n.Kind, n.Message)
}

// Result is an imported file.
type Result struct {
	// TOML is what was written; it is valid for lvsd.
	TOML []byte
	// Config is what lvsd makes of it for Options.Node.
	Config *config.Config
	// Sources are what keepalived makes of each file.
	Sources []*Configuration
	// Notes are in the order of files and lines.
	Notes []Note
	// Statements are all that was read, see [Statement.Fate].
	Statements []*Statement
}

// ErrNothing means that the file has nothing that lvsd could do.
var ErrNothing = errors.New("neither a vrrp_instance nor a virtual_server that lvsd could take over")

// Import makes one configuration of the keepalived.conf of a node, or of those of
// several nodes of one cluster. It goes on after errors in the files: Notes has all
// of them. The error is ErrNothing, or that of files that cannot be read as one
// cluster's.
func Import(files []File, o Options) (*Result, error) {
	o = o.withDefaults()
	result := new(Result)
	var documents []*document
	for _, f := range files {
		own := o
		if own.ConfigID == "" {
			own.ConfigID, _, _ = strings.Cut(f.Node, ".")
		}
		source, doc, notes := importOne(f, own)
		result.Sources = append(result.Sources, source)
		result.Statements = append(result.Statements, notes.statements...)
		documents = append(documents, doc)
	}
	doc, err := merge(documents, files)
	if err != nil {
		return nil, err
	}
	err = doc.settle(o.Node)
	for _, d := range documents {
		if d != doc {
			doc.notes = append(doc.notes, d.notes...)
		}
	}
	result.Notes = ordered(doc.notes)
	doc.notes = result.Notes
	if err != nil {
		return result, err
	}
	result.TOML = doc.render()
	if result.Config, err = config.Parse("lvsd.toml", result.TOML, o.Node); err != nil {
		return result, fmt.Errorf("the result is not valid, which is a fault of the import: %w", err)
	}
	return result, nil
}

func importOne(f File, o Options) (*Configuration, *document, *notebook) {
	n := new(notebook)
	lines := readLines(f, o, n)
	tree := parse(lines, n)
	c := readConfiguration(tree, n, o)
	doc := write(c, n, f.Name, o)
	n.account()
	doc.notes = n.notes
	return c, doc, n
}

// ordered are the notes by file and line, each once.
func ordered(notes []Note) []Note {
	files := map[string]int{}
	for _, n := range notes {
		if _, ok := files[n.File]; !ok {
			files[n.File] = len(files)
		}
	}
	sorted := slices.Clone(notes)
	slices.SortStableFunc(sorted, func(a, b Note) int {
		return cmp.Or(cmp.Compare(files[a.File], files[b.File]), cmp.Compare(a.Line, b.Line))
	})
	return slices.Compact(sorted)
}

// notebook collects the notes of one file.
type notebook struct {
	notes      []Note
	statements []*Statement
}

func (n *notebook) at(file string, line int, kind NoteKind, format string, args ...any) {
	note := Note{File: file, Line: line, Kind: kind, Message: fmt.Sprintf(format, args...)}
	if last := len(n.notes) - 1; last < 0 || n.notes[last] != note {
		n.notes = append(n.notes, note)
	}
}

// note reports the statement.
func (n *notebook) note(s *Statement, kind NoteKind, format string, args ...any) {
	s.fate = Reported
	n.at(s.File, s.Line, kind, format, args...)
}

func (n *notebook) broken(s *Statement, format string, args ...any) {
	n.note(s, Broken, format, args...)
}

func (n *notebook) lost(s *Statement, format string, args ...any) {
	n.note(s, Lost, format, args...)
}

func (n *notebook) differs(s *Statement, format string, args ...any) {
	n.note(s, Differs, format, args...)
}

// account makes sure that nothing is lost in silence, whatever the code forgot.
func (n *notebook) account() {
	for _, s := range n.statements {
		if s.fate == unread {
			n.lost(s, "%s: not understood by lvsd import; look at it by hand", s.Word())
		}
	}
}
