package command

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// killDelay is what a process group gets between SIGTERM and SIGKILL.
const killDelay = 2 * time.Second

// Command is a program to run.
type Command struct {
	// Argv is the argument vector, the first an absolute path.
	Argv []string
	// Env is the whole environment, each "NAME=value".
	Env []string
	// User is whom it runs as, see [ParseUser]; empty is this process's user.
	User string
	// KillRest kills what the program left in its process group when it ended by
	// itself. Otherwise that goes on, but may not write to the output any more.
	KillRest bool
}

// Result tells how a command ended, or why it was not run.
type Result struct {
	// Exit is the exit status; -1 if the command was killed or not run.
	Exit int
	// Err is nil after exit status 0. It is [ErrInsecure] if the file may be
	// changed by others, an [exec.ExitError] if the program failed, and the
	// cause of the context's end if that killed it; test with errors.Is and As.
	Err error
	// Output is the beginning of standard output and error together: at most
	// MaxOutput bytes of printable UTF-8, newlines and tabs. LastLine is its
	// last line, even if there was more than Output holds, at most MaxLine bytes.
	Output, LastLine string
}

// Run runs the command to its end or to that of ctx; then the whole process
// group is killed. That takes at most two seconds longer than ctx, for the
// command to clean up.
func (c Command) Run(ctx context.Context) Result {
	name := c.Argv[0]
	cmd, err := c.prepare(ctx)
	if err != nil {
		return Result{Exit: -1, Err: err}
	}
	out, err := newCapture()
	if err != nil {
		return Result{Exit: -1, Err: fmt.Errorf("%s: output: %w", name, err)}
	}
	cmd.Stdout, cmd.Stderr = out.write, out.write
	if err := start(cmd); err != nil {
		out.end()
		return Result{Exit: -1, Err: fmt.Errorf("start: %w", err)}
	}
	out.start()
	stopped := c.await(ctx, cmd.Process.Pid, out.ended)
	err = cmd.Wait()
	out.end()
	r := Result{Exit: cmd.ProcessState.ExitCode(), Output: out.output(), LastLine: out.lastLine()}
	switch {
	case stopped != nil:
		r.Exit, r.Err = -1, fmt.Errorf("%s: killed: %w", name, stopped)
	case err != nil:
		r.Err = fmt.Errorf("%s: %w", name, err)
	}
	return r
}

// prepare checks what is to run and for whom.
func (c Command) prepare(ctx context.Context) (*exec.Cmd, error) {
	name := c.Argv[0]
	user, err := lookUp(c.User)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if err := checkFile(name, user.owners()); err != nil {
		return nil, err
	}
	if err := context.Cause(ctx); err != nil {
		return nil, fmt.Errorf("%s: not run: %w", name, err)
	}
	return &exec.Cmd{
		// Not the resolved name: a script may look at the one it is called by.
		Path:        name,
		Args:        c.Argv,
		Env:         c.Env,
		Dir:         "/",
		SysProcAttr: &syscall.SysProcAttr{Setpgid: true, Credential: user.credential},
	}, nil
}

// start starts the command. One of another user must not keep this process's
// ambient capabilities. Root's are gone when the kernel changes the user; those
// of an unprivileged process would stay, so it is started by a thread that has
// given them up.
func start(cmd *exec.Cmd) error {
	if cmd.SysProcAttr.Credential == nil || os.Geteuid() == 0 {
		return cmd.Start()
	}
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
		if err != nil {
			err = fmt.Errorf("give up capabilities: %w", err)
		} else {
			err = cmd.Start()
		}
		started <- err
	}()
	return <-started
}

// await waits until the leader of a process group has ended, without reaping
// it. If ctx ends first it kills the group and returns the cause.
func (c Command) await(ctx context.Context, leader int, outputEnded <-chan struct{}) error {
	exited := make(chan struct{})
	go func() {
		defer close(exited)
		waitExit(leader)
	}()
	// The number of the group cannot belong to another one yet: its leader is
	// there, at least as a zombie, until the caller reaps it.
	select {
	case <-exited:
		if c.KillRest {
			_ = unix.Kill(-leader, unix.SIGKILL)
		}
		return nil
	case <-ctx.Done():
	}
	_ = unix.Kill(-leader, unix.SIGTERM)
	patience, cancel := context.WithTimeout(context.Background(), killDelay)
	defer cancel()
	// The end of the output shows that the leader's children are gone too.
	for _, gone := range []<-chan struct{}{exited, outputEnded} {
		select {
		case <-gone:
		case <-patience.Done():
		}
	}
	_ = unix.Kill(-leader, unix.SIGKILL)
	<-exited
	return context.Cause(ctx)
}

// waitExit returns when a child has ended and leaves it to be reaped.
func waitExit(pid int) {
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			return
		}
	}
}
