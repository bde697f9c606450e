// Command init is process 1 of the test machine. It makes the host's root
// visible under a writable overlay, loads the kernel modules, runs one program
// and reports its output and exit status in frames. It must not know what the
// program is for.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/lvsd/lvsd/integration/vm/protocol"
	"golang.org/x/sys/unix"
)

// exitFailed is the status reported when the program could not be run.
const exitFailed = 125

func main() {
	if os.Getpid() != 1 {
		fmt.Fprintln(os.Stderr, "init: only for process 1 of the test machine")
		os.Exit(2)
	}
	if err := serve(); err != nil {
		fmt.Fprintln(os.Stderr, "init:", err)
	}
	unix.Sync()
	_ = unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
}

// serve does all the work; an error is one that could not be sent as a frame.
func serve() error {
	req, err := readRequest()
	if err != nil {
		return err
	}
	port, err := openPort(req.EarlyModules)
	if err != nil {
		return err
	}
	defer port.Close()
	frames := protocol.NewWriter(port)
	if err := frames.Send(protocol.Hello, []byte(release())); err != nil {
		return err
	}
	status, err := run(req, frames)
	if err != nil {
		status = exitFailed
		_ = frames.Send(protocol.Notice, fmt.Appendf(nil, "%v\n%s", err, kernelLog()))
	}
	return frames.Send(protocol.Exit, []byte(strconv.Itoa(status)))
}

func readRequest() (protocol.Request, error) {
	var req protocol.Request
	b, err := os.ReadFile(protocol.RequestPath)
	if err != nil {
		return req, err
	}
	if err := json.Unmarshal(b, &req); err != nil {
		return req, fmt.Errorf("%s: %w", protocol.RequestPath, err)
	}
	return req, nil
}

// openPort mounts what device files need, loads the early modules and opens
// the port that the host reads.
func openPort(modules []string) (*os.File, error) {
	if err := mountAll(early); err != nil {
		return nil, err
	}
	for _, m := range modules {
		if err := insert(m); err != nil {
			return nil, err
		}
	}
	return awaitPort(protocol.PortName, os.O_WRONLY)
}

func run(req protocol.Request, frames *protocol.Writer) (int, error) {
	if err := enterRoot(req); err != nil {
		return 0, err
	}
	if err := modprobe(req.Modules); err != nil {
		return 0, err
	}
	if err := networkUp(req.Address); err != nil {
		return 0, err
	}
	cmd := exec.Command(req.Args[0], req.Args[1:]...)
	cmd.Env, cmd.Dir = req.Env, req.Dir
	cmd.Stdout, cmd.Stderr = frames.Stream(protocol.Stdout), frames.Stream(protocol.Stderr)
	if req.Stdin {
		stdin, err := awaitPort(protocol.StdinName, os.O_RDONLY)
		if err != nil {
			return 0, err
		}
		defer stdin.Close()
		cmd.Stdin = stdin
	}
	// A daemon left behind may hold the pipes; it does not hold the result.
	cmd.WaitDelay = orphanDelay
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		return exitStatus(exit.Sys().(syscall.WaitStatus)), nil
	case err != nil && !errors.Is(err, exec.ErrWaitDelay):
		return 0, err
	}
	return 0, nil
}

// exitStatus is the shell's number for how a process ended.
func exitStatus(ws syscall.WaitStatus) int {
	if ws.Signaled() {
		return 128 + int(ws.Signal())
	}
	return ws.ExitStatus()
}

func release() string {
	b, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(b))
}

// absolute finds a program of the guest's root by name.
func absolute(name string) (string, error) {
	for _, dir := range []string{"/usr/sbin", "/usr/bin", "/sbin", "/bin"} {
		path := filepath.Join(dir, name)
		if info, err := os.Stat(path); err == nil && info.Mode()&0o111 != 0 {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s: not on this machine", name)
}
