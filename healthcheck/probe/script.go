package probe

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/lvsd/lvsd/command"
)

// Script runs a program, which gets the target in its environment
// (LVSD_TARGET, LVSD_ADDRESS, LVSD_PORT). Exit status 0 is a success, another
// one a failure (PROCERR); the last line of its output is the reason.
//
// A program that is not done in time is a failure too (PROCTOUT): its process
// group gets SIGTERM, and SIGKILL if it is still there two seconds later. By so
// much only does the probe outlast its timeout.
//
// One that is not there, cannot be started, or may be changed by others says
// nothing about the server: that is this host's fault (SOCKERR).
type Script struct {
	// Command is its argv, the first an absolute path. It is run without a
	// shell.
	Command List[string]
	// User runs it: a name or number, or a number with that of a group after a
	// colon; empty is lvsd's own.
	User string
	// Dynamic makes an exit status of 2..255 a success that says the server's
	// weight: the status less 2 (keepalived's misc_dynamic).
	Dynamic bool
}

// Type is "script".
func (Script) Type() string { return "script" }

func (Script) portless() {}

// Validate returns every reason why the options cannot be used, joined, or nil.
// Whether the program and the user exist is not asked: that may change.
func (k Script) Validate() error {
	var errs []error
	argv := k.Command.Values()
	if len(argv) == 0 || !filepath.IsAbs(argv[0]) {
		errs = append(errs, fmt.Errorf("command %q must begin with an absolute path", argv))
	}
	if strings.Contains(strings.Join(argv, ""), "\x00") {
		errs = append(errs, fmt.Errorf("command %q must not hold a zero byte", argv))
	}
	if k.User != "" {
		errs = append(errs, command.ParseUser(k.User))
	}
	return errors.Join(errs...)
}

func (k Script) ask(ctx context.Context, d dialer, to netip.AddrPort) (answer, error) {
	argv := k.Command.Values()
	if len(argv) == 0 {
		return answer{}, &failure{SOCKERR, "no command"}
	}
	d.said.did("run %s", strings.Join(argv, " "))
	ended := command.Command{
		Argv: argv, Env: scriptEnvironment(os.Environ(), to), User: k.User, KillRest: true,
	}.Run(ctx)
	for line := range strings.Lines(ended.Output) {
		d.said.received(line)
	}
	return k.judge(ended)
}

// judge is what the end of the program says.
func (k Script) judge(ended command.Result) (answer, error) {
	says := func(how string) string {
		if ended.LastLine == "" {
			return how
		}
		return how + ": " + ended.LastLine
	}
	var exit *exec.ExitError
	switch {
	case ended.Err == nil:
		return answer{seen: says("exit status 0"), code: PROCOK}, nil
	case errors.Is(ended.Err, context.DeadlineExceeded):
		return answer{}, &failure{PROCTOUT, says("timed out")}
	case !errors.As(ended.Err, &exit):
		return answer{}, &failure{SOCKERR, ended.Err.Error()}
	case k.Dynamic && ended.Exit >= 2:
		weight := Weight{Known: true, Value: ended.Exit - 2}
		return answer{seen: says(fmt.Sprintf("weight %d", weight.Value)), code: PROCOK, weight: weight}, nil
	}
	// "exit status 1", "signal: killed".
	return answer{}, &failure{PROCERR, says(exit.Error())}
}

// scriptEnvironment is all that a script gets to know. A target without a port
// has an empty LVSD_PORT.
func scriptEnvironment(environ []string, to netip.AddrPort) []string {
	address := to.Addr().Unmap().String()
	target, port := address, ""
	if to.Port() != 0 {
		target = netip.AddrPortFrom(to.Addr().Unmap(), to.Port()).String()
		port = strconv.Itoa(int(to.Port()))
	}
	return command.Environment(environ, "LVSD_TARGET="+target, "LVSD_ADDRESS="+address, "LVSD_PORT="+port)
}
