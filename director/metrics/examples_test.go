package metrics

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	dto "github.com/prometheus/client_model/go"
)

const (
	examples  = "../../examples"
	reference = "../../docs/metrics.md"
)

// TestRules has Prometheus's own tool judge the alerts, and run their tests.
func TestRules(t *testing.T) {
	folder := filepath.Join(examples, "prometheus")
	promtool(t, nil, "check", "rules", "--lint=all", filepath.Join(folder, "lvsd.rules.yml"))
	promtool(t, nil, "test", "rules", filepath.Join(folder, "lvsd.rules.test.yml"))
}

// metricName is one of lvsd's or of the libraries that register theirs.
var metricName = regexp.MustCompile(`\b(?:lvsd|keepalived|process|go)_[a-z_0-9]+\b`)

// libraries are those of the libraries that the examples name.
var libraries = []string{"process_resident_memory_bytes", "process_cpu_seconds_total"}

// TestExamplesNameMetricsThatAre: a dashboard shows nothing, and an alert never
// fires, for a name that is wrong.
func TestExamplesNameMetricsThatAre(t *testing.T) {
	known := append(names(), libraries...)
	for _, path := range []string{"grafana/lvsd.json", "prometheus/lvsd.rules.yml", "prometheus/lvsd.rules.test.yml"} {
		text, err := os.ReadFile(filepath.Join(examples, path))
		if err != nil {
			t.Fatal(err)
		}
		found := metricName.FindAllString(string(text), -1)
		if len(found) == 0 {
			t.Errorf("%s names no metrics", path)
		}
		for _, name := range found {
			if !slices.Contains(known, name) {
				t.Errorf("%s: there is no metric %s", path, name)
			}
		}
	}
}

// TestDashboard: every expression is one that Prometheus can read, and no two panels
// share an id or a place.
func TestDashboard(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(examples, "grafana", "lvsd.json"))
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		Panels []struct {
			ID          int
			Type, Title string
			GridPos     struct{ X, Y, W, H int }
			Targets     []struct{ Expr string }
		}
		Annotations struct{ List []struct{ Name, Expr string } }
	}
	if err := json.Unmarshal(text, &dashboard); err != nil {
		t.Fatal(err)
	}
	ids, cells := map[int]bool{}, map[[2]int]string{}
	rules := map[string]string{}
	for _, p := range dashboard.Panels {
		if ids[p.ID] {
			t.Errorf("panel %q: id %d comes twice", p.Title, p.ID)
		}
		ids[p.ID] = true
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := cells[[2]int{x, y}]; other != "" || x >= 24 {
					t.Errorf("panel %q lies upon %q, or beyond the edge", p.Title, other)
				}
				cells[[2]int{x, y}] = p.Title
			}
		}
		if p.Type != "row" && len(p.Targets) == 0 {
			t.Errorf("panel %q asks nothing", p.Title)
		}
		for _, target := range p.Targets {
			rules[p.Title+target.Expr] = target.Expr
		}
	}
	for _, a := range dashboard.Annotations.List {
		rules[a.Name] = a.Expr
	}
	// promtool reads expressions in rules.
	var file strings.Builder
	file.WriteString("groups:\n- name: dashboard\n  rules:\n")
	for _, expr := range rules {
		expr = strings.NewReplacer("$__rate_interval", "5m", "$node", ".*", "$service", ".*").Replace(expr)
		line, err := json.Marshal(expr)
		if err != nil {
			t.Fatal(err)
		}
		file.WriteString("  - record: dashboard:panel\n    expr: " + string(line) + "\n")
	}
	path := filepath.Join(t.TempDir(), "dashboard.yml")
	if err := os.WriteFile(path, []byte(file.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	promtool(t, nil, "check", "rules", "--lint=none", path)
}

// The reference has a table for each prefix between such lines.
const (
	tableBegins = "<!-- The table of %s is written by go test ./director/metrics -update. -->\n\n"
	tableEnds   = "\n<!-- End of the table. -->\n"
)

// TestEveryMetricIsDocumented: the tables of the reference are those of the code.
func TestEveryMetricIsDocumented(t *testing.T) {
	text, err := os.ReadFile(reference)
	if err != nil {
		t.Fatal(err)
	}
	families, err := gather(full(), true)
	if err != nil {
		t.Fatal(err)
	}
	want := string(text)
	for _, prefix := range []string{"lvsd_", "keepalived_"} {
		before, rest, begins := strings.Cut(want, fmt.Sprintf(tableBegins, prefix))
		_, after, ends := strings.Cut(rest, tableEnds)
		if !begins || !ends {
			t.Fatalf("%s has no place for the table of %s", reference, prefix)
		}
		want = before + fmt.Sprintf(tableBegins, prefix) + table(families, prefix) + tableEnds + after
	}
	if diff := cmp.Diff(want, string(text)); diff != "" && !*update {
		t.Errorf("%s (-want +got); -update writes it:\n%s", reference, diff)
	}
	if *update {
		if err := os.WriteFile(reference, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// table has a line for each metric whose name has the prefix.
func table(families []*dto.MetricFamily, prefix string) string {
	var b strings.Builder
	b.WriteString("| Metric | Type | Labels | Meaning |\n|---|---|---|---|\n")
	for _, family := range families {
		if !strings.HasPrefix(family.GetName(), prefix) {
			continue
		}
		var labels []string
		for _, label := range family.GetMetric()[0].GetLabel() {
			labels = append(labels, "`"+label.GetName()+"`")
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n",
			family.GetName(), strings.ToLower(family.GetType().String()), strings.Join(labels, ", "), family.GetHelp())
	}
	return b.String()
}
