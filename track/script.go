package track

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"time"

	"github.com/lvsd/lvsd/command"
)

// outcome is how one run of a script ended.
type outcome struct {
	ok     bool
	reason string
}

// trackScript runs a script every interval, and at once after a run that took
// longer, until ctx ends.
func trackScript(ctx context.Context, spec Spec, execute func(context.Context, Spec) outcome, report func(found)) {
	verdict := threshold{rise: spec.Script.Rise, fall: spec.Script.Fall}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		due := time.Now().Add(spec.Script.Interval)
		o := execute(ctx, spec)
		if ctx.Err() != nil {
			return
		}
		report(found{state: verdict.next(o.ok), reason: o.reason + verdict.pending()})
		timer.Reset(time.Until(due))
	}
}

// errTimeout is the cause of the end of a run that takes too long.
var errTimeout = errors.New("timed out")

// execute runs a script once. What it leaves in its process group is killed:
// run after run, that would add up.
func execute(ctx context.Context, spec Spec) outcome {
	s := spec.Script
	ctx, cancel := context.WithTimeoutCause(ctx, s.Timeout, errTimeout)
	defer cancel()
	r := command.Command{
		Argv: s.Command, Env: environment(os.Environ(), spec.Name), User: s.User, KillRest: true,
	}.Run(ctx)
	return outcome{ok: r.Err == nil, reason: describe(r, s.Timeout)}
}

// describe says how a run ended, with the last words of the script.
func describe(r command.Result, timeout time.Duration) string {
	var exit *exec.ExitError
	reason := "exit status 0"
	switch {
	case errors.Is(r.Err, errTimeout):
		reason = fmt.Sprintf("timed out after %v", timeout)
	case errors.As(r.Err, &exit):
		reason = exit.Error()
	case r.Err != nil:
		return command.Printable(r.Err.Error())
	}
	if r.LastLine != "" {
		reason += ": " + r.LastLine
	}
	return reason
}

// environment is all that a script gets to know.
func environment(environ []string, name string) []string {
	return command.Environment(environ, "LVSD_TRACKER="+name)
}
