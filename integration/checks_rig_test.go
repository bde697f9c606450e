package integration

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lvsd/lvsd/integration/lab"
	"github.com/lvsd/lvsd/integration/relay"
)

// checkCase is one check of a real server, and what must come of it.
type checkCase struct {
	name string
	port int
	// timeout is checkTimeout unless set; of those that wait for its end.
	timeout time.Duration
	// keys are those of the check in the file, with the words of checkRig.words
	// in them.
	keys string
	// reason, warning and each of heard must be in what is printed of them.
	code, reason, warning string
	heard                 []string
	// unheard must be nowhere.
	unheard string
	weight  *int
}

// probed is what lvsd probe prints of one check.
type probed struct {
	Service    string   `json:"service"`
	OK         bool     `json:"ok"`
	Code       string   `json:"code"`
	Reason     string   `json:"reason"`
	Warning    string   `json:"warning"`
	Weight     *int     `json:"told_weight"`
	Transcript []string `json:"transcript"`
}

// checkRig is a director beside a host with real servers.
type checkRig struct {
	*testing.T
	lab              *lab.Lab
	director, server *lab.Host
	// words stand for what only the running test knows.
	words *strings.Replacer
	// redis is a server to stop.
	redis *lab.Daemon
}

// probe carries out the checks and compares what came of them. All of one call
// are in one file, and are asked at once.
func (r *checkRig) probe(t *testing.T, cases []checkCase) {
	t.Helper()
	file := filepath.Join(r.lab.Dir("director"), strings.ReplaceAll(t.Name(), "/", "-")+".toml")
	if err := os.WriteFile(file, []byte(r.file(cases)), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := r.director.Try(relay.Binary(r), "probe", "-c", file, "--json")
	var report struct {
		Probes []probed `json:"probes"`
	}
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	failing := slices.ContainsFunc(report.Probes, func(p probed) bool { return !p.OK })
	if code := exitCode(err); code != 0 && !failing || code != 2 && failing {
		t.Errorf("lvsd probe: %v", err)
	}
	if len(report.Probes) != len(cases) {
		t.Fatalf("%d checks were carried out, want %d", len(report.Probes), len(cases))
	}
	for i, c := range cases {
		t.Run(c.name, func(t *testing.T) { c.compare(t, report.Probes[i]) })
	}
}

func exitCode(err error) int {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.ExitCode()
	}
	return -1
}

// file is a configuration with a service for each of the cases.
func (r *checkRig) file(cases []checkCase) string {
	var b strings.Builder
	b.WriteString("[[vrrp]]\nname = \"VI_1\"\ninterface = \"eth0\"\nvrid = 1\nvips = [\"198.51.100.10\"]\n")
	for i, c := range cases {
		fmt.Fprintf(&b, `
[[virtual_service]]
name = %q
address = "198.51.100.10:%d"
protocol = "tcp"
forwarding = "nat"
real_server = [{ address = "%s:%d" }]

[[virtual_service.check]]
timeout = "%ds"
%s
`, c.name, 1000+i, r.server.Address, c.port, int(cmp.Or(c.timeout, r.lab.Scaled(checkTimeout)).Seconds()), r.words.Replace(c.keys))
	}
	return b.String()
}

func (c checkCase) compare(t *testing.T, p probed) {
	said := strings.Join(p.Transcript, "\n")
	defer func() {
		if t.Failed() {
			t.Logf("%s %s\n%s", p.Code, p.Reason, said)
		}
	}()
	if p.Service != c.name {
		t.Fatalf("this is %q", p.Service)
	}
	if p.Code != c.code || !strings.Contains(p.Reason, c.reason) {
		t.Errorf("%s %q, want %s %q", p.Code, p.Reason, c.code, c.reason)
	}
	if c.warning == "" && p.Warning != "" || !strings.Contains(p.Warning, c.warning) {
		t.Errorf("warning %q, want %q", p.Warning, c.warning)
	}
	for _, line := range c.heard {
		if !strings.Contains(said, line) {
			t.Errorf("the transcript lacks %q", line)
		}
	}
	if c.unheard != "" && strings.Contains(said+p.Reason, c.unheard) {
		t.Errorf("%q is shown", c.unheard)
	}
	switch {
	case c.weight == nil && p.Weight == nil:
	case c.weight == nil || p.Weight == nil || *c.weight != *p.Weight:
		t.Errorf("the weight is not the expected one: %v", p.Weight)
	}
}
