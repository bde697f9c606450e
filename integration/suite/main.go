// Command suite runs tests in whatever way this project needs and prints one
// result in the manner of go test:
//
//	suite [-count FILE] [-again N] test ARGUMENT ...  go test with the arguments
//	suite [-count FILE] [-again N] [-run REGEXP] [-skip REGEXP] binaries DIR PACKAGE ...
//	                                                  compiled tests, see below
//	suite total FILE ...                              the sum of the counts
//
// With test, flags have their values after "=". With binaries, DIR holds the test
// of each package directory a/b as a-b.test; each is run in its package's directory,
// as go test does. A package without a test there has none. -count leaves the numbers
// for total.
//
// Tests on real kernels can fail because the machine stood still for a while. With
// -again those that failed are run once more by themselves, unless more than N failed,
// one of them panicked or a race was found. What they printed the first time is shown
// all the same, and the sum says how many there were. It must not know which packages
// there are or what they need.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

func main() {
	count := flag.String("count", "", "write the counts to `FILE`")
	again := flag.Int("again", 0, "run tests that failed once more, if they are at most `N`")
	var pick selection
	flag.StringVar(&pick.run, "run", "", "of compiled tests, only those that match `REGEXP`")
	flag.StringVar(&pick.skip, "skip", "", "of compiled tests, not those that match `REGEXP`")
	flag.Parse()
	if err := run(os.Stdout, *count, *again, pick, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "suite:", err)
		os.Exit(1)
	}
}

// selection are regular expressions for names of tests, as go test's -run and
// -skip.
type selection struct{ run, skip string }

func run(w io.Writer, count string, again int, pick selection, args []string) error {
	if len(args) < 2 {
		return errors.New("want test, binaries or total, and what to run")
	}
	if args[0] == "total" {
		return total(w, args[1:])
	}
	s := suite{w: w}
	var err error
	switch args[0] {
	case "test":
		err = s.test(again, args[1:])
	case "binaries":
		err = s.binaries(again, args[1], args[2:], pick)
	default:
		err = fmt.Errorf("unknown command %q", args[0])
	}
	fmt.Fprintln(w, s.counts)
	if count != "" {
		err = errors.Join(err, s.counts.write(count))
	}
	return err
}

// test runs go test with the arguments.
func (s *suite) test(again int, args []string) error {
	goTest := func(args ...string) *exec.Cmd {
		return exec.Command("go", append([]string{"test", "-json"}, args...)...)
	}
	err := s.command(goTest(args...))
	flags := slices.DeleteFunc(slices.Clone(args), func(arg string) bool { return !strings.HasPrefix(arg, "-") })
	return s.again(again, err, func(pkg, tests string) error {
		return s.command(goTest(append(flags, "-count=1", "-run="+tests, pkg)...))
	})
}

// binaries runs the compiled tests of the packages, one after the other.
func (s *suite) binaries(again int, dir string, packages []string, pick selection) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	var errs []error
	for _, pkg := range packages {
		if _, err := os.Stat(compiled(dir, pkg)); errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err := s.binary(dir, pkg, pick); err != nil {
			errs = append(errs, err)
		}
	}
	return s.again(again, errors.Join(errs...), func(pkg, tests string) error {
		return s.binary(dir, pkg, selection{run: tests})
	})
}

// compiled is the file of a package's test.
func compiled(dir, pkg string) string {
	return filepath.Join(dir, strings.ReplaceAll(filepath.Clean(pkg), "/", "-")+".test")
}

// binary runs the compiled test of one package.
func (s *suite) binary(dir, pkg string, pick selection) error {
	cmd := exec.Command("go", "tool", "test2json", "-t", "-p", pkg, compiled(dir, pkg), "-test.v=test2json", "-test.paniconexit0",
		"-test.timeout=20m", "-test.run="+pick.run, "-test.skip="+pick.skip)
	cmd.Dir = pkg
	err := s.command(cmd)
	if !s.done[pkg] {
		// It ended in the middle of a test: go test would say so.
		s.packageDone(event{Action: "fail", Package: pkg}, [2]string{pkg, ""})
	}
	if err != nil {
		return fmt.Errorf("%s: %w", pkg, err)
	}
	return nil
}

// command runs a command that prints test events and follows them.
func (s *suite) command(cmd *exec.Cmd) error {
	cmd.Stderr = os.Stderr
	events, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	followErr := s.follow(events)
	return errors.Join(followErr, cmd.Wait())
}
