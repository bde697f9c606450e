package main

import (
	"os"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// TestEveryCommandIsDocumented: docs/commands.md speaks of each.
func TestEveryCommandIsDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/commands.md")
	if err != nil {
		t.Fatal(err)
	}
	everyCommand(func(words string, _ *cobra.Command) {
		if !strings.Contains(string(text), "### "+words+"\n") && !strings.Contains(string(text), "`"+words) {
			t.Errorf("docs/commands.md does not speak of %s", words)
		}
	})
}
