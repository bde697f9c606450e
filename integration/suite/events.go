package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// event is what test2json prints ("go doc test2json").
type event struct {
	Action  string
	Package string
	Test    string
	Output  string
	Elapsed float64
}

// suite follows test events: it prints a line per test and package, and of
// those that fail what they printed.
type suite struct {
	w      io.Writer
	counts counts
	// printed is the output so far, by package and test; the empty test is the
	// package's own.
	printed map[[2]string]*strings.Builder
	// failed are the packages with a failing test, done those with a result.
	failed, done map[string]bool
	failures     failures
}

// follow reads events to the end. A line that is no event, as a failing build
// prints, is passed on.
func (s *suite) follow(r io.Reader) error {
	s.printed = map[[2]string]*strings.Builder{}
	s.failed, s.done = map[string]bool{}, map[string]bool{}
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadString('\n')
		if line != "" {
			var e event
			if json.Unmarshal([]byte(line), &e) != nil {
				fmt.Fprint(s.w, line)
			} else {
				s.event(e)
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (s *suite) event(e event) {
	test, _, sub := strings.Cut(e.Test, "/")
	key := [2]string{e.Package, test}
	switch e.Action {
	case "build-output":
		fmt.Fprint(s.w, e.Output)
	case "output":
		if s.printed[key] == nil {
			s.printed[key] = &strings.Builder{}
		}
		s.printed[key].WriteString(e.Output)
	case "pass", "fail", "skip":
		switch {
		case sub:
		case e.Test == "":
			s.packageDone(e, key)
		default:
			s.testDone(e, key)
		}
	}
}

func (s *suite) testDone(e event, key [2]string) {
	switch e.Action {
	case "pass":
		s.counts.Passed++
	case "skip":
		s.counts.Skipped++
	default:
		s.counts.Failed++
		s.failed[e.Package] = true
		s.failures.add(e.Package, e.Test, s.text(key))
		s.show(key)
	}
	fmt.Fprintf(s.w, "--- %s: %s (%.2fs)\n", strings.ToUpper(e.Action), e.Test, e.Elapsed)
	delete(s.printed, key)
}

// packageDone prints a package's result. What no test is to blame for, such as
// a panic or a build that failed, counts as one failure.
func (s *suite) packageDone(e event, key [2]string) {
	s.done[e.Package] = true
	switch e.Action {
	case "pass":
		fmt.Fprintf(s.w, "ok  \t%s\t%.3fs\n", e.Package, e.Elapsed)
	case "skip":
	default:
		if !s.failed[e.Package] {
			s.counts.Failed++
			s.failures.final = true
			for other := range s.printed {
				if other[0] == e.Package && other != key {
					s.show(other)
				}
			}
			s.show(key)
			s.failed[e.Package] = true
		}
		fmt.Fprintf(s.w, "FAIL\t%s\t%.3fs\n", e.Package, e.Elapsed)
	}
}

func (s *suite) show(key [2]string) { fmt.Fprint(s.w, s.text(key)) }

// text is what a test has printed.
func (s *suite) text(key [2]string) string {
	if b := s.printed[key]; b != nil {
		return b.String()
	}
	return ""
}
