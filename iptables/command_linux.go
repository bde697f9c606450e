package iptables

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/coreos/go-iptables/iptables"
)

// command is iptables or ip6tables.
type command struct {
	*iptables.IPTables
	// nft tells that it works on nf_tables.
	nft bool
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

// openCommand makes sure that the command can be run. Its version names what it
// works on. A run waits for the xtables lock as long as wait says, in seconds.
func openCommand(path string, ipv6 bool, wait int) (*command, error) {
	version, err := exec.Command(path, "--version").Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	protocol := iptables.ProtocolIPv4
	if ipv6 {
		protocol = iptables.ProtocolIPv6
	}
	tables, err := iptables.New(iptables.Path(path), iptables.IPFamily(protocol), iptables.Timeout(wait))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return &command{tables, strings.Contains(string(version), "(nf_tables)")}, nil
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
	"mangle OUTPUT":     "xt_comment xt_tcpudp",
}

// explain adds to an error of the command what it means for the caller or what
// the operator can do about it.
func explain(c Chain, err error) error {
	var failed *iptables.Error
	if !errors.As(err, &failed) {
		return err
	}
	text := strings.Join(strings.Fields(failed.Error()), " ")
	switch {
	case strings.Contains(text, "Permission denied"), strings.Contains(text, "Operation not permitted"):
		return fmt.Errorf("%s: needs CAP_NET_ADMIN and CAP_NET_RAW", text)
	case strings.Contains(text, "missing kernel module"): // with nf_tables, exitResource too
		return fmt.Errorf("%s: the kernel lacks what the rule needs: modprobe %s", text, modules[c.Table+" "+c.Name])
	case failed.ExitStatus() == exitResource:
		return fmt.Errorf("%s: %w", text, ErrLocked)
	case strings.Contains(text, "insmod"), strings.Contains(text, "Failed to initialize nft"):
		return fmt.Errorf("%s: the kernel has no such table: modprobe %s_%s, or nft_chain_nat and nft_compat for %s-nft",
			text, strings.TrimSuffix(c.command(), "s"), c.Table, c.command())
	}
	return errors.New(text)
}

// absent reports whether a rule could not be deleted because it is not there.
func absent(err error) bool {
	var failed *iptables.Error
	return errors.As(err, &failed) && failed.IsNotExist()
}
