package control

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// TestEveryRouteAndCodeIsDocumented: docs/api.md speaks of each, with its status.
func TestEveryRouteAndCodeIsDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range routes(nil) {
		if row := fmt.Sprintf("| `%s %s` |", one.Method, one.Path); !strings.Contains(string(text), row) {
			t.Errorf("docs/api.md has no row %s", row)
		}
	}
	for _, code := range Codes() {
		if row := fmt.Sprintf("| `%s` | %d |", code, statusOf(code)); !strings.Contains(string(text), row) {
			t.Errorf("docs/api.md has no row %s", row)
		}
	}
}
