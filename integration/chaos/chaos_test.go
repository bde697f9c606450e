package main

import (
	"testing"

	"github.com/lvsd/lvsd/integration/lab"
)

// TestChaos goes through the selection of faults with lvsd alone: it fails where a
// promise is broken.
func TestChaos(t *testing.T) {
	lab.Require(t, lab.NeedNetns, lab.NeedIPVS)
	status := command(t.Context(), []string{"faults", "-quick", "-without-keepalived"}, t.Output(), t.Output())
	if status != exitOK {
		t.Errorf("exit status %d", status)
	}
}
