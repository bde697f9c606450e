package main

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// failures are the tests that failed, by package.
type failures struct {
	tests map[string][]string
	// final says that something failed for which no second run makes up.
	final bool
}

// hopeless is what a test prints that found a fault of the program, whatever the
// machine did: no tests after a panic were run.
var hopeless = []string{"panic: ", "WARNING: DATA RACE"}

func (f *failures) add(pkg, test, printed string) {
	if f.tests == nil {
		f.tests = map[string][]string{}
	}
	f.tests[pkg] = append(f.tests[pkg], test)
	f.final = f.final || slices.ContainsFunc(hopeless, func(words string) bool { return strings.Contains(printed, words) })
}

func (f *failures) count() int {
	count := 0
	for _, tests := range f.tests {
		count += len(tests)
	}
	return count
}

// again runs the tests once more that failed in the first run, if they are at most so
// many. It returns the error of the first run unless that makes up for it.
func (s *suite) again(most int, first error, run func(pkg, tests string) error) error {
	failed := s.failures
	if n := failed.count(); failed.final || n == 0 || n > most {
		return first
	}
	for _, pkg := range slices.Sorted(maps.Keys(failed.tests)) {
		tests := failed.tests[pkg]
		fmt.Fprintf(s.w, "== again: %s of %s\n", strings.Join(tests, ", "), pkg)
		before := s.counts
		s.failures = failures{}
		names := make([]string, len(tests))
		for i, test := range tests {
			names[i] = regexp.QuoteMeta(test)
		}
		err := run(pkg, "^("+strings.Join(names, "|")+")$")
		if passed := s.counts.Passed - before.Passed; err != nil || passed != len(tests) {
			s.counts = before
			return first
		}
		s.counts.Failed -= len(tests)
		s.counts.Again += len(tests)
	}
	return nil
}
