package iptables

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// command is iptables or ip6tables.
type command struct {
	path string
	// wait is how long a run waits for the xtables lock, in seconds.
	wait int
	// nft tells that it works on nf_tables.
	nft bool
}

// commandError is a run that failed.
type commandError struct {
	status int
	// text is what it said, in one line.
	text string
}

func (e *commandError) Error() string { return e.text }

// absent reports whether the rule that was to be deleted is not there.
func (e *commandError) absent() bool {
	return e.status == 1 && (strings.Contains(e.text, "does a matching rule exist") ||
		strings.Contains(e.text, "No chain/target/match by that name"))
}

// findCommand looks for the command in PATH and then where distributions put it,
// because the PATH of a service or of a plain user may leave sbin out.
func findCommand(name string) (string, error) {
	for _, candidate := range []string{name, "/usr/sbin/" + name, "/sbin/" + name} {
		if path, err := exec.LookPath(candidate); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s: command not found in %s, /usr/sbin or /sbin: install the package iptables",
		name, filepath.SplitList(os.Getenv("PATH")))
}

// openCommand asks the command for its version, which names what it works on.
func openCommand(path string, wait int) (*command, error) {
	c := &command{path: path, wait: wait}
	version, err := c.execute("--version")
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	c.nft = strings.Contains(version, "(nf_tables)")
	return c, nil
}

// run carries out one command of iptables and returns what it printed.
func (c *command) run(args ...string) (string, error) {
	return c.execute(append([]string{"--wait", strconv.Itoa(c.wait)}, args...)...)
}

func (c *command) execute(args ...string) (string, error) {
	var stdout, stderr bytes.Buffer
	run := exec.Command(c.path, args...)
	run.Stdout, run.Stderr = &stdout, &stderr
	err := run.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		text := strings.Join(strings.Fields(stderr.String()), " ")
		return "", &commandError{exit.ExitCode(), fmt.Sprintf("%s: %s", exit, text)}
	}
	return stdout.String(), err
}

// exitResource is the exit status of iptables when it could not get what it
// needs for the moment: the xtables lock, or the kernel was busy with a change
// of somebody else's.
const exitResource = 4

// ErrLocked is returned when the xtables lock was not free within the wait, or
// somebody else's change was under way in the kernel. Nothing was changed; the
// caller tries again later.
var ErrLocked = errors.New("iptables is in use by somebody else")

// modules are those that the rules of each chain need.
var modules = map[string]string{
	"nat PREROUTING":    "xt_REDIRECT xt_comment xt_tcpudp",
	"nat POSTROUTING":   "xt_ipvs xt_nat xt_MASQUERADE xt_comment",
	"mangle PREROUTING": "xt_mark xt_comment xt_tcpudp",
	"mangle FORWARD":    "xt_conntrack xt_comment",
}

// explain adds to an error of the command what it means for the caller or what
// the operator can do about it.
func explain(c Chain, err error) error {
	var failed *commandError
	if !errors.As(err, &failed) {
		return err
	}
	text := failed.text
	switch {
	case strings.Contains(text, "Permission denied"), strings.Contains(text, "Operation not permitted"):
		return fmt.Errorf("%s: needs CAP_NET_ADMIN and CAP_NET_RAW", text)
	case strings.Contains(text, "missing kernel module"): // with nf_tables, exitResource too
		return fmt.Errorf("%s: the kernel lacks what the rule needs: modprobe %s", text, modules[c.Table+" "+c.Name])
	case failed.status == exitResource:
		return fmt.Errorf("%s: %w", text, ErrLocked)
	case strings.Contains(text, "insmod"), strings.Contains(text, "Failed to initialize nft"):
		return fmt.Errorf("%s: the kernel has no such table: modprobe %s_%s, or nft_chain_nat and nft_compat for %s-nft",
			text, strings.TrimSuffix(c.command(), "s"), c.Table, c.command())
	}
	return failed
}
