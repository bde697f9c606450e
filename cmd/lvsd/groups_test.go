package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/lvsd/lvsd/director"
)

// TestCommandsAreSorted: help lists every command under what it is for.
func TestCommandsAreSorted(t *testing.T) {
	// These stand by themselves.
	apart := []string{"version", "help", "completion"}
	for _, command := range newRoot().Commands() {
		if !command.Hidden && command.GroupID == "" && !slices.Contains(apart, command.Name()) {
			t.Errorf("lvsd %s is in no group", command.Name())
		}
	}
}

// everyCommand calls f with each visible command and the words that call it.
func everyCommand(f func(words string, command *cobra.Command)) {
	var walk func(parent *cobra.Command)
	walk = func(parent *cobra.Command) {
		for _, command := range parent.Commands() {
			if !command.Hidden {
				f(command.CommandPath(), command)
				walk(command)
			}
		}
	}
	walk(newRoot())
}

// TestCommandsAreTold: each says what it does, in a line without a full stop.
func TestCommandsAreTold(t *testing.T) {
	everyCommand(func(words string, command *cobra.Command) {
		if short := command.Short; short == "" || strings.HasSuffix(short, ".") || strings.ToUpper(short[:1]) != short[:1] {
			t.Errorf("%s: %q", words, short)
		}
	})
}

func TestKindsFitTheirColumn(t *testing.T) {
	for _, kind := range director.EventKinds() {
		if len(kind) > kindWidth {
			t.Errorf("%s is wider than %d", kind, kindWidth)
		}
	}
}
