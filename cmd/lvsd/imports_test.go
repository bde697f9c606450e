package main

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/lvsd/lvsd/"

// mayImport says which packages of this module each package may import, so that
// dependencies point one way. A package that is not listed is new: decide where
// it stands.
var mayImport = map[string][]string{
	// The leaves know nothing of lvsd; each can be used by itself.
	"vrrp":                   nil,
	"healthcheck":            {"healthcheck/probe"},
	"healthcheck/probe":      {"command"},
	"healthcheck/servertest": nil,
	"iptables":               nil,
	"sysctl":                 nil,
	"command":                nil,
	"track":                  {"command"},
	"director/ipvs":          nil,
	"director/netif":         nil,
	"director/hook":          {"command"},
	"vrrp/vrrptest":          {"vrrp"},
	"vrrp/segment":           {"vrrp"},
	"director/ipvsadm":       {"director/ipvs"},
	// The configuration speaks in the leaves' values and carries nothing out.
	"config": {"director/ipvs", "director/netif", "healthcheck", "healthcheck/probe", "iptables", "track", "vrrp"},
	// The director decides, and is the only writer of the kernel.
	"director": {
		"config", "director/hook", "director/ipvs", "director/netif", "healthcheck", "healthcheck/probe", "iptables", "sysctl",
		"track", "vrrp",
	},
	"director/control": {"director"},
	// What stands around the director is told by it, and hands orders on.
	"director/cluster":  {"config", "director"},
	"director/metrics":  {"config", "director"},
	"director/web":      {"config", "director", "director/control"},
	"director/alert":    {"config", "director", "director/hook"},
	"config/keepalived": {"config"},
	// The doctor looks at what the director would use, and changes nothing.
	"director/doctor": {"config", "director", "director/ipvs", "director/netif", "sysctl", "vrrp/segment"},
	// It is initialised before all else.
	"cmd/lvsd/mute": nil,
	"cmd/lvsd": {
		"cmd/lvsd/mute", "config", "config/keepalived", "director", "director/alert", "director/cluster", "director/control", "director/doctor",
		"director/metrics", "director/web", "director/ipvs", "director/ipvsadm", "healthcheck",
		"healthcheck/probe", "vrrp", "vrrp/segment",
	},
	// A lab knows nothing of lvsd: it is one more daemon to it.
	"integration":             nil,
	"integration/lab":         nil,
	"integration/kernel":      nil,
	"integration/bench":       {"integration/lab"},
	"integration/suite":       nil,
	"integration/vm":          {"integration/vm/input", "integration/vm/protocol"},
	"integration/vm/init":     {"integration/vm/protocol"},
	"integration/vm/input":    nil,
	"integration/vm/protocol": nil,
	"integration/chaos":       {"director", "director/control", "integration/lab", "vrrp", "vrrp/segment"},
	"integration/relay":       {"director", "director/control", "integration/lab"},
	"integration/demo":        {"integration/lab", "integration/relay", "integration/vm/input", "integration/vm/protocol", "vrrp"},
	"examples":                nil,
	"packaging":               nil,
}

func TestDependenciesPointOneWay(t *testing.T) {
	list := exec.CommandContext(t.Context(), "go", "list", "-f", `{{.ImportPath}} {{join .Imports " "}}`, module+"...")
	out, err := list.CombinedOutput()
	if err != nil {
		t.Fatalf("go list: %v: %s", err, out)
	}
	seen := map[string]bool{}
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		name := strings.TrimPrefix(fields[0], module)
		seen[name] = true
		allowed, known := mayImport[name]
		if !known {
			t.Errorf("package %s is not in the table", name)
		}
		for _, imported := range fields[1:] {
			other, ours := strings.CutPrefix(imported, module)
			if ours && !slices.Contains(allowed, other) {
				t.Errorf("%s imports %s", name, other)
			}
		}
	}
	for name := range mayImport {
		if !seen[name] {
			t.Errorf("package %s is in the table but does not exist", name)
		}
	}
}
