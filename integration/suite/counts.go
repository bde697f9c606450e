package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// counts are the numbers of top-level tests. Again are those among Passed that had
// failed in their first run.
type counts struct{ Passed, Failed, Skipped, Again int }

func (c counts) String() string {
	s := fmt.Sprintf("%d passed", c.Passed)
	if c.Again > 0 {
		s += fmt.Sprintf(", %d of them when run again", c.Again)
	}
	s += fmt.Sprintf(", %d failed", c.Failed)
	if c.Skipped > 0 {
		s += fmt.Sprintf(", %d skipped here", c.Skipped)
	}
	return s
}

func (c counts) write(path string) error {
	b, err := json.Marshal(c)
	if err != nil {
		return err
	}
	return os.WriteFile(path, b, 0o644)
}

// total prints the sum of the counts in files, with what each contributed. A
// part that left no counts did not run to its end.
func total(w io.Writer, paths []string) error {
	var sum counts
	var errs []error
	for _, path := range paths {
		var c counts
		b, err := os.ReadFile(path)
		if err == nil {
			err = json.Unmarshal(b, &c)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: did not finish: %w", filepath.Base(path), err))
			c.Failed = 1
		}
		fmt.Fprintf(w, "%-5s %v\n", filepath.Base(path), c)
		sum.Passed += c.Passed
		sum.Failed += c.Failed
		sum.Again += c.Again
	}
	// What one part skips another runs, so only the parts tell of it.
	fmt.Fprintln(w, sum)
	if sum.Failed > 0 {
		errs = append(errs, errors.New("tests failed"))
	}
	return errors.Join(errs...)
}
