// Command suite runs tests in whatever way this project needs and prints one
// result in the manner of go test:
//
//	suite [-count FILE] test ARGUMENT ...  go test with the arguments
//	suite [-count FILE] [-run REGEXP] [-skip REGEXP] binaries DIR PACKAGE ...
//	                                       compiled tests, see below
//	suite total FILE ...                   the sum of the counts
//
// With binaries, DIR holds the test of each package directory a/b as a-b.test;
// each is run in its package's directory, as go test does. A package without a
// test there has none. -count leaves the numbers for total. It must not know
// which packages there are or what they need.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

func main() {
	count := flag.String("count", "", "write the counts to `FILE`")
	var pick selection
	flag.StringVar(&pick.run, "run", "", "of compiled tests, only those that match `REGEXP`")
	flag.StringVar(&pick.skip, "skip", "", "of compiled tests, not those that match `REGEXP`")
	flag.Parse()
	if err := run(os.Stdout, *count, pick, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "suite:", err)
		os.Exit(1)
	}
}

// selection are regular expressions for names of tests, as go test's -run and
// -skip.
type selection struct{ run, skip string }

func run(w io.Writer, count string, pick selection, args []string) error {
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
		err = s.command(exec.Command("go", append([]string{"test", "-json"}, args[1:]...)...))
	case "binaries":
		err = s.binaries(args[1], args[2:], pick)
	default:
		err = fmt.Errorf("unknown command %q", args[0])
	}
	fmt.Fprintln(w, s.counts)
	if count != "" {
		err = errors.Join(err, s.counts.write(count))
	}
	return err
}

// binaries runs the compiled tests of the packages, one after the other.
func (s *suite) binaries(dir string, packages []string, pick selection) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	var errs []error
	for _, pkg := range packages {
		name := strings.ReplaceAll(filepath.Clean(pkg), "/", "-") + ".test"
		path := filepath.Join(dir, name)
		if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
			continue
		}
		cmd := exec.Command("go", "tool", "test2json", "-t", "-p", pkg, path, "-test.v=test2json", "-test.paniconexit0",
			"-test.timeout=20m", "-test.run="+pick.run, "-test.skip="+pick.skip)
		cmd.Dir = pkg
		err := s.command(cmd)
		if !s.done[pkg] {
			// It ended in the middle of a test: go test would say so.
			s.packageDone(event{Action: "fail", Package: pkg}, [2]string{pkg, ""})
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", pkg, err))
		}
	}
	return errors.Join(errs...)
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
