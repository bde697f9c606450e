package keepalived

import (
	"path/filepath"
	"strings"
)

// argv is the argument vector of a script's line, as keepalived makes it: words are
// split at white space, single quotes hold one together.
func (s *Script) argv() []string {
	var all []string
	var word strings.Builder
	started, quoted := false, false
	for i := range len(s.Line) {
		switch c := s.Line[i]; {
		case c == '\'':
			quoted, started = !quoted, true
		case !quoted && (c == ' ' || c == '\t' || c == '\n'):
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

// operators are words, or beginnings of words, by which a line tells that it was
// written for a shell.
var operators = []string{"&&", "||", "|", ";", "<", ">", "`", "$(", "2>"}

// wantsShell reports whether the line was written for a shell.
func wantsShell(argv []string) bool {
	for _, word := range argv {
		for _, o := range operators {
			if strings.HasPrefix(word, o) || word != o && strings.HasSuffix(word, ";") {
				return true
			}
		}
	}
	return false
}

// command is the script as lvsd runs it: the program by its absolute path, and a
// shell where the line wants one.
func (w *writing) command(s *Script) []string {
	argv := s.argv()
	if len(argv) == 0 {
		return nil
	}
	switch {
	case wantsShell(argv):
		shell := "/bin/sh"
		if strings.Contains(s.Line, "/dev/tcp/") {
			shell = "/bin/bash"
		}
		w.differs(s.at, "%s: the line is written for a shell, so lvsd runs it by %s; keepalived 2 runs none, and takes the operators for arguments", s.at.Word(), shell)
		return []string{shell, "-c", s.Line}
	case !filepath.IsAbs(argv[0]):
		return append([]string{"/usr/bin/env"}, argv...)
	}
	return argv
}

// redirects reports whether the script installs the rule by which a BACKUP accepts
// packets to the VIP: by its name, or by what it says where it can be read.
func (w *writing) redirects(s *Script) bool {
	if s == nil {
		return false
	}
	for _, word := range s.argv() {
		if base := filepath.Base(word); base == "bypass_ipvs.py" || base == "bypass_ipvs.sh" || word == "REDIRECT" {
			return true
		}
	}
	argv := s.argv()
	if len(argv) == 0 || !filepath.IsAbs(argv[0]) {
		return false
	}
	text, err := w.options.ReadFile(argv[0])
	return err == nil && strings.HasPrefix(string(text), "#!") && strings.Contains(string(text), "REDIRECT")
}
