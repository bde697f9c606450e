package main

import (
	"errors"
	"fmt"
	"runtime"
	"strings"

	"github.com/lvsd/lvsd/integration/lab"
)

// A step is one act of the demo.
type step struct {
	name string
	// expect is what should be seen.
	expect string
	// run shows the step and returns what was seen. It calls the stage's Fatalf
	// when that is not as it should be.
	run func() string
	// vital is set if nothing after the step makes sense without it.
	vital bool
}

// The results of a step, in the summary.
const (
	resultOK     = "ok"
	resultFailed = "FAILED"
	resultNotRun = "not run"
)

// A stage is the lab's TB during the steps: a failure ends the step it happens
// in, and not the demo.
type stage struct {
	lab.TB
	// err is why the step failed.
	err error
	// failed tells that some step has failed.
	failed bool
	// epilogue follows the summary, unless nil.
	epilogue func() error
}

// Fatalf ends the step.
func (st *stage) Fatalf(format string, args ...any) {
	st.err, st.failed = fmt.Errorf(format, args...), true
	runtime.Goexit()
}

// Skipf ends the step as failed: a demo leaves nothing out.
func (st *stage) Skipf(format string, args ...any) { st.Fatalf(format, args...) }

// Failed reports whether a step has failed: the lab then tells what its hosts
// looked like.
func (st *stage) Failed() bool { return st.failed }

// play performs the steps, prints the summary and reports whether every step
// was as it should be.
func (st *stage) play(s *screen, steps []step) bool {
	rows := [][]string{{"STEP", "EXPECTED", "SEEN", "RESULT"}}
	stopped := false
	for i, act := range steps {
		if stopped {
			rows = append(rows, []string{act.name, act.expect, "", resultNotRun})
			continue
		}
		s.title(fmt.Sprintf("%d/%d  %s", i+1, len(steps), act.name))
		seen, err := st.perform(act)
		result := resultOK
		if err != nil {
			result, seen = resultFailed, err.Error()
		}
		s.verdict(result, seen)
		rows = append(rows, []string{act.name, act.expect, firstLine(seen), result})
		stopped = err != nil && act.vital || st.Context().Err() != nil
		s.pause()
	}
	s.title("Summary")
	s.table(rows, 20, 31, 31)
	return !st.failed && !stopped
}

// perform runs one step on a goroutine of its own, which Fatalf may end.
func (st *stage) perform(act step) (seen string, err error) {
	// What ends the goroutine otherwise is not a success either.
	st.err = errors.New("ended early")
	done := make(chan struct{})
	go func() {
		defer close(done)
		seen = act.run()
		st.err = nil
	}()
	<-done
	return seen, st.err
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}
