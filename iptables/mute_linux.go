package iptables

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// Mute makes sure that these rules are there, all of one family. However many
// there are, it runs the command twice: VIPs wait for it.
func (t *Table) Mute(ctx context.Context, rules []Mute) error {
	_, lacking, err := t.muted(ctx, rules)
	if err == nil && len(lacking) > 0 {
		err = t.runMutes(ctx, t.append, lacking)
	}
	if err != nil {
		return fmt.Errorf("add rules against resets: %w", err)
	}
	return nil
}

// Unmute makes sure that these rules are not there, as Mute does.
func (t *Table) Unmute(ctx context.Context, rules []Mute) error {
	there, _, err := t.muted(ctx, rules)
	if err == nil && len(there) > 0 {
		err = t.runMutes(ctx, t.delete, there)
	}
	if err != nil {
		return fmt.Errorf("delete rules against resets: %w", err)
	}
	return nil
}

// muted splits rules by whether they are there.
func (t *Table) muted(ctx context.Context, rules []Mute) (there, lacking []Mute, err error) {
	for _, rule := range rules {
		if err := rule.Validate(); err != nil {
			return nil, nil, err
		}
	}
	tagged, err := t.List(ctx, rules[0].Chain())
	if err != nil {
		return nil, nil, err
	}
	for _, rule := range rules {
		if slices.ContainsFunc(tagged, func(found Tagged) bool { return found.Rule == rule }) {
			there = append(there, rule)
		} else {
			lacking = append(lacking, rule)
		}
	}
	return there, lacking, nil
}

// runMutes runs one command: given several sources, it makes or deletes a rule
// for each.
func (t *Table) runMutes(ctx context.Context, run func(context.Context, Chain, []string) error, rules []Mute) error {
	sources := make([]string, len(rules))
	for i, rule := range rules {
		sources[i] = wholeLength(rule.VIP)
	}
	return run(ctx, rules[0].Chain(), muteSpec(strings.Join(sources, ",")))
}
