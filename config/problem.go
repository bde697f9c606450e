package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is one thing that is wrong with a file.
type Problem struct {
	// File is the name given to Load or Parse.
	File string
	// Line and Column are where the offending key or value starts, counted
	// from 1; the column is in characters, and a tab is one.
	Line, Column int
	// Key is the key as the reference names it, "vrrp.vrid"; empty for a
	// syntax error.
	Key string
	// Message says what is wrong, what was expected, and the nearest valid
	// name where there is one.
	Message string
}

// String is the problem as one line: "relay.toml:7:8: vrrp.vrid: message".
func (p Problem) String() string {
	if p.Key == "" {
		return fmt.Sprintf("%s:%d:%d: %s", p.File, p.Line, p.Column, p.Message)
	}
	return fmt.Sprintf("%s:%d:%d: %s: %s", p.File, p.Line, p.Column, p.Key, p.Message)
}

// Problems is the error of Load and Parse: every problem of the file, in the
// order of their positions.
type Problems []Problem

// Error is every problem, one line each, without a newline at the end.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// report collects problems. The file is read once for each node it names, so
// the same problem comes up several times: it is kept once, with the nodes.
type report struct {
	nodes int // how many nodes the file is read for
	found map[Problem][]string
}

// everyNode marks a problem that does not depend on the node.
const everyNode = ""

func (r *report) add(p Problem, node string) {
	if r.found == nil {
		r.found = make(map[Problem][]string)
	}
	if !slices.Contains(r.found[p], node) {
		r.found[p] = append(r.found[p], node)
	}
}

// join adds what another report of the same document has.
func (r *report) join(other *report) {
	for p, nodes := range other.found {
		for _, node := range nodes {
			r.add(p, node)
		}
	}
}

// problems is what was found, sorted by position. A problem that only some
// nodes have says which, unless its key does.
func (r *report) problems() Problems {
	var ps Problems
	for p, nodes := range r.found {
		if !slices.Contains(nodes, everyNode) && len(nodes) < r.nodes && !strings.Contains(p.Key, ".node.") {
			p.Message += " (on " + quotedList(nodes) + ")"
		}
		ps = append(ps, p)
	}
	slices.SortFunc(ps, func(a, b Problem) int {
		return cmp.Or(
			cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column),
			cmp.Compare(a.Key, b.Key), cmp.Compare(a.Message, b.Message))
	})
	return ps
}

// quotedList is "a", "b" in alphabetical order.
func quotedList(names []string) string {
	quoted := make([]string, len(names))
	for i, n := range slices.Sorted(slices.Values(names)) {
		quoted[i] = fmt.Sprintf("%q", n)
	}
	return strings.Join(quoted, ", ")
}
