package iptables

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Table is the packet filter of this network namespace, as far as it is lvsd's:
// of all rules it lists, adds and deletes only those that bear lvsd's tag. It is
// not safe for concurrent use.
//
// Each method runs iptables or ip6tables a few times. A run cannot be
// interrupted, but waits for the xtables lock no longer than New was told; a
// cancelled context is noticed before the next run.
type Table struct {
	// ipv4 and ipv6 are nil until they are needed.
	ipv4, ipv6 *command
	// path is iptables; ip6tables stands beside it.
	path string
	wait int
}

// New finds the commands that the chains need, and makes sure that they and the
// kernel can list them. lockWait bounds how long each run waits for the xtables
// lock: it is rounded up to whole seconds, at least one. (The nf_tables backend
// has no lock and never waits.)
func New(lockWait time.Duration, chains ...Chain) (*Table, error) {
	path, err := findCommand("iptables")
	if err != nil {
		return nil, err
	}
	return open(path, lockWait, chains...)
}

func open(path string, lockWait time.Duration, chains ...Chain) (*Table, error) {
	t := &Table{path: path, wait: max(1, int((lockWait+time.Second-1)/time.Second))}
	if _, err := t.command(false); err != nil {
		return nil, err
	}
	if _, err := t.List(context.Background(), chains...); err != nil {
		return nil, err
	}
	return t, nil
}

// command returns the command for a family.
func (t *Table) command(ipv6 bool) (*command, error) {
	known, path := &t.ipv4, t.path
	if ipv6 {
		directory, name := filepath.Split(t.path)
		known, path = &t.ipv6, directory+"ip6"+strings.TrimPrefix(name, "ip")
	}
	if *known == nil {
		opened, err := openCommand(path, ipv6, t.wait)
		if err != nil {
			return nil, err
		}
		*known = opened
	}
	return *known, nil
}

// HasEvents reports whether the kernel tells of changed rules, see Watch: the
// nf_tables backend does, the legacy one does not.
func (t *Table) HasEvents() bool { return t.ipv4.nft && (t.ipv6 == nil || t.ipv6.nft) }

// List lists the rules of the chains that bear the tag, in the order of each
// chain, those included that are there more than once or are not of a form that
// Add writes. It runs one command for each chain.
func (t *Table) List(ctx context.Context, chains ...Chain) ([]Tagged, error) {
	var all []Tagged
	for _, chain := range chains {
		var lines []string
		err := t.run(ctx, chain, func(c *command) (err error) {
			lines, err = c.List(chain.Table, chain.Name)
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("list rules of %s: %w", chain, explain(chain, err))
		}
		all = append(all, parseTable(lines, []Chain{chain})...)
	}
	return all, nil
}

// run carries out one command for the chain.
func (t *Table) run(ctx context.Context, c Chain, f func(*command) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	command, err := t.command(c.IPv6)
	if err != nil {
		return err
	}
	return f(command)
}

// append makes the rule the last of the chain, or of several sources, several
// rules.
func (t *Table) append(ctx context.Context, c Chain, spec []string) error {
	return explain(c, t.run(ctx, c, func(command *command) error {
		return command.Append(c.Table, c.Name, spec...)
	}))
}

// insert makes the rule the first of the chain.
func (t *Table) insert(ctx context.Context, c Chain, spec []string) error {
	return explain(c, t.run(ctx, c, func(command *command) error {
		return command.Insert(c.Table, c.Name, 1, spec...)
	}))
}

// delete deletes one copy of the rule. That it is gone already is no error.
func (t *Table) delete(ctx context.Context, c Chain, spec []string) error {
	err := t.run(ctx, c, func(command *command) error {
		return command.Delete(c.Table, c.Name, spec...)
	})
	if absent(err) {
		return nil
	}
	return explain(c, err)
}

// Add makes sure that the rule is there. Where it already stands it stays. A new
// rule that translates addresses becomes the first of its chain, because of
// several such rules only the first counts for a connection; another one becomes
// the last.
func (t *Table) Add(ctx context.Context, r Rule) error {
	if err := r.Validate(); err != nil {
		return err
	}
	rules, err := t.List(ctx, r.Chain())
	if err != nil {
		return err
	}
	if slices.ContainsFunc(rules, func(found Tagged) bool { return found.Rule == r }) {
		return nil
	}
	put := t.append
	if r.leads() {
		put = t.insert
	}
	if err := put(ctx, r.Chain(), r.spec()); err != nil {
		return fmt.Errorf("add rule %s: %w", r, err)
	}
	return nil
}

// Delete makes sure that the rule is not there, neither once nor more often.
// Connections that a Redirect has accepted live on: Hold is added first. If that
// is impossible the rule is deleted all the same and the error says so.
func (t *Table) Delete(ctx context.Context, r Rule) error {
	rules, err := t.List(ctx, r.Chain())
	if err != nil {
		return err
	}
	rules = slices.DeleteFunc(rules, func(found Tagged) bool { return found.Rule != r })
	if len(rules) == 0 {
		return nil
	}
	var held error
	if _, redirect := r.(Redirect); redirect {
		held = t.Add(ctx, Hold{IPv6: r.Chain().IPv6})
	}
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

// Remove deletes one copy of a rule that List listed; it is how superfluous
// copies and rules that lvsd would not write are got rid of. That the rule is
// gone already is no error.
func (t *Table) Remove(ctx context.Context, rule Tagged) error {
	if err := t.delete(ctx, rule.Chain, rule.Spec); err != nil {
		return fmt.Errorf("delete rule %s: %w", strings.Join(rule.Spec, " "), err)
	}
	return nil
}
