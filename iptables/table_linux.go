package iptables

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-iptables/iptables"
)

// The chains that Table writes to.
const (
	natTable  = "nat"
	natChain  = "PREROUTING"
	holdTable = "mangle"
	holdChain = "FORWARD"
)

// exitResource is the exit status of iptables when it could not get what it
// needs for the moment: the xtables lock, or the kernel was busy with a change
// of somebody else's.
const exitResource = 4

// ErrLocked is returned when the xtables lock was not free within the wait, or
// somebody else's change was under way in the kernel. Nothing was changed; the
// caller tries again later.
var ErrLocked = errors.New("iptables is in use by somebody else")

// Table is the nat table of this network namespace, as far as it is lvsd's: of
// all rules it lists, adds and deletes only those that bear lvsd's tag. It is
// not safe for concurrent use.
//
// Each method runs the iptables command one to four times. A run cannot be
// interrupted, but waits for the xtables lock no longer than New was told; a
// cancelled context is noticed before the next run.
type Table struct {
	command *iptables.IPTables
}

// New finds the iptables command and makes sure that it and the kernel can list
// the nat table. lockWait bounds how long each run waits for the xtables lock:
// it is rounded up to whole seconds, at least one. (The nf_tables backend has no
// lock and never waits.)
func New(lockWait time.Duration) (*Table, error) {
	path, err := findCommand()
	if err != nil {
		return nil, err
	}
	return open(path, lockWait)
}

// findCommand looks for iptables in PATH and then where distributions put it,
// because the PATH of a service or of a plain user may leave sbin out.
func findCommand() (string, error) {
	for _, candidate := range []string{"iptables", "/usr/sbin/iptables", "/sbin/iptables"} {
		if path, err := exec.LookPath(candidate); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("iptables: command not found in %s, /usr/sbin or /sbin: install the package iptables",
		filepath.SplitList(os.Getenv("PATH")))
}

func open(path string, lockWait time.Duration) (*Table, error) {
	seconds := max(1, int((lockWait+time.Second-1)/time.Second))
	command, err := iptables.New(iptables.Path(path), iptables.Timeout(seconds))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	t := &Table{command}
	if _, err := t.Redirects(context.Background()); err != nil {
		return nil, err
	}
	return t, nil
}

// Redirects lists the rules of nat PREROUTING that bear the tag, in the order
// of the chain, those included that are there more than once or are not of a
// form that Add writes.
func (t *Table) Redirects(ctx context.Context) ([]Tagged, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("list rules of nat PREROUTING: %w", err)
	}
	lines, err := t.command.List(natTable, natChain)
	if err != nil {
		return nil, fmt.Errorf("list rules of nat PREROUTING: %w", explain(err))
	}
	return parseChain(lines), nil
}

// Add makes sure that the rule is there. A new one becomes the first of the
// chain, because of several rules that translate a connection only the first
// counts. Where the rule already stands it stays.
func (t *Table) Add(ctx context.Context, r Redirect) error {
	if err := r.Validate(); err != nil {
		return err
	}
	rules, err := t.Redirects(ctx)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(rules, r.is) {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("add rule %s: %w", r, err)
	}
	if err := t.command.Insert(natTable, natChain, 1, r.spec()...); err != nil {
		return fmt.Errorf("add rule %s: %w", r, explain(err))
	}
	return nil
}

// Delete makes sure that the rule is not there, neither once nor more often.
// Connections that it has accepted live on: connection tracking is held first,
// see HoldConntrack. If that is impossible the rule is deleted all the same and
// the error says so.
func (t *Table) Delete(ctx context.Context, r Redirect) error {
	rules, err := t.Redirects(ctx)
	if err != nil {
		return err
	}
	rules = slices.DeleteFunc(rules, func(rule Tagged) bool { return !r.is(rule) })
	if len(rules) == 0 {
		return nil
	}
	held := t.HoldConntrack(ctx)
	if errors.Is(held, ErrLocked) || ctx.Err() != nil {
		return held
	}
	for _, rule := range rules {
		if err := t.Remove(ctx, rule); err != nil {
			return errors.Join(err, held)
		}
	}
	return held
}

// Remove deletes one copy of a rule that Redirects listed; it is how
// superfluous copies and rules that are not Known are got rid of. That the rule
// is gone already is no error.
func (t *Table) Remove(ctx context.Context, rule Tagged) error {
	return t.remove(ctx, natTable, natChain, rule.Spec)
}

// HoldConntrack makes sure that the kernel goes on tracking connections when
// the last REDIRECT rule goes, so that the connections which that rule accepted
// stay translated. It adds one rule without a target, which has no effect on
// any packet: it counts, in a chain that only forwarded packets reach, but its
// conntrack match keeps tracking on. It stands outside the nat table, so that a
// flush of that table does not end connections either.
func (t *Table) HoldConntrack(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("hold connection tracking: %w", err)
	}
	if err := t.command.AppendUnique(holdTable, holdChain, holdSpec()...); err != nil {
		return fmt.Errorf("hold connection tracking: %w", explain(err))
	}
	return nil
}

// ConntrackHeld reports whether the rule of HoldConntrack is there.
func (t *Table) ConntrackHeld(ctx context.Context) (bool, error) {
	if err := ctx.Err(); err != nil {
		return false, fmt.Errorf("look for the rule that holds connection tracking: %w", err)
	}
	held, err := t.command.Exists(holdTable, holdChain, holdSpec()...)
	if err != nil {
		return false, fmt.Errorf("look for the rule that holds connection tracking: %w", explain(err))
	}
	return held, nil
}

// ReleaseConntrack undoes HoldConntrack. While a REDIRECT rule is there, that
// rule holds connection tracking; after it, connections are reset.
func (t *Table) ReleaseConntrack(ctx context.Context) error {
	return t.remove(ctx, holdTable, holdChain, holdSpec())
}

// holdSpec is the rule of HoldConntrack.
func holdSpec() []string {
	return []string{"-m", "conntrack", "--ctstate", "INVALID", "-m", "comment", "--comment", tag + ": keeps conntrack on"}
}

func (t *Table) remove(ctx context.Context, table, chain string, spec []string) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("delete rule %s: %w", strings.Join(spec, " "), err)
	}
	err := t.command.Delete(table, chain, spec...)
	var failed *iptables.Error
	if err == nil || errors.As(err, &failed) && failed.IsNotExist() {
		return nil
	}
	return fmt.Errorf("delete rule %s: %w", strings.Join(spec, " "), explain(err))
}

// is reports whether a rule found in the kernel is r.
func (r Redirect) is(rule Tagged) bool { return rule.Known && rule.Redirect == r }

// explain adds to an error of the iptables command what it means for the
// caller or what the operator can do about it.
func explain(err error) error {
	var failed *iptables.Error
	if !errors.As(err, &failed) {
		return err
	}
	text := strings.Join(strings.Fields(failed.Error()), " ")
	switch {
	case strings.Contains(text, "Permission denied"), strings.Contains(text, "Operation not permitted"):
		return fmt.Errorf("%s: needs CAP_NET_ADMIN and CAP_NET_RAW", text)
	case failed.ExitStatus() == exitResource:
		return fmt.Errorf("%s: %w", text, ErrLocked)
	case strings.Contains(text, "insmod"), strings.Contains(text, "Failed to initialize nft"):
		return fmt.Errorf("%s: the kernel has no such table: modprobe iptable_nat, or nft_chain_nat for iptables-nft", text)
	}
	return errors.New(text)
}
