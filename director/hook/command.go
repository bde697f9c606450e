package hook

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// killDelay is what a process group gets between SIGTERM and SIGKILL.
const killDelay = 2 * time.Second

// run runs one command to its end or to that of ctx, and returns its exit
// status, output and error. What the command left in the background goes on if
// it ended by itself, but may not write to its output any more; otherwise the
// whole process group is killed.
func run(ctx context.Context, argv, env []string) (int, string, error) {
	name := argv[0]
	if err := checkFile(name); err != nil {
		return -1, "", err
	}
	if err := context.Cause(ctx); err != nil {
		return -1, "", fmt.Errorf("%s: not run: %w", name, err)
	}
	out, err := newCapture()
	if err != nil {
		return -1, "", fmt.Errorf("%s: output: %w", name, err)
	}
	cmd := exec.Cmd{
		// Not the resolved name: a script may look at the one it is called by.
		Path:        name,
		Args:        argv,
		Env:         env,
		Dir:         "/",
		Stdout:      out.write,
		Stderr:      out.write,
		SysProcAttr: &syscall.SysProcAttr{Setpgid: true},
	}
	if err := cmd.Start(); err != nil {
		out.end()
		return -1, "", fmt.Errorf("start: %w", err)
	}
	out.start()
	stopped := await(ctx, cmd.Process.Pid, out.ended)
	err = cmd.Wait()
	output := out.end()
	switch {
	case stopped != nil:
		return -1, output, fmt.Errorf("%s: killed: %w", name, stopped)
	case err != nil:
		err = fmt.Errorf("%s: %w", name, err)
	}
	return cmd.ProcessState.ExitCode(), output, err
}

// await waits until the leader of a process group has ended, without reaping
// it. If ctx ends first it kills the group and returns the cause.
func await(ctx context.Context, leader int, outputEnded <-chan struct{}) error {
	exited := make(chan struct{})
	go func() {
		defer close(exited)
		waitExit(leader)
	}()
	select {
	case <-exited:
		return nil
	case <-ctx.Done():
	}
	// The number of the group cannot belong to another one yet: its leader is
	// there, at least as a zombie, until the caller reaps it.
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
