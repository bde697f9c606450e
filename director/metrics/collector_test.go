package metrics

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"pgregory.net/rapid"

	"github.com/lvsd/lvsd/director"
	"github.com/lvsd/lvsd/integration/lab"
)

var update = flag.Bool("update", false, "write the golden files")

// quiet is a log that nobody reads.
func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// gather is what Prometheus is told of s.
func gather(s Source, keepalivedNames bool) ([]*dto.MetricFamily, error) {
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(newCollector(s, keepalivedNames, quiet()))
	return registry.Gather()
}

// exposition is that as text.
func exposition(t *testing.T, families []*dto.MetricFamily) []byte {
	t.Helper()
	var text bytes.Buffer
	for _, family := range families {
		if _, err := expfmt.MetricFamilyToText(&text, family); err != nil {
			t.Fatal(err)
		}
	}
	return text.Bytes()
}

// TestExposition compares all that is told of a full status with a golden file, and
// has promtool judge it.
func TestExposition(t *testing.T) {
	families, err := gather(full(), true)
	if err != nil {
		t.Fatal(err)
	}
	got := bytes.ReplaceAll(exposition(t, families), []byte(runtime.Version()), []byte("GOVERSION"))
	const golden = "testdata/full.prom"
	if *update {
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got); -update writes it:\n%s", golden, diff)
	}
	promtool(t, got, "check", "metrics")
}

// TestEveryMetricIsTold: the full status leaves none out.
func TestEveryMetricIsTold(t *testing.T) {
	families, err := gather(full(), true)
	if err != nil {
		t.Fatal(err)
	}
	told := map[string]bool{}
	for _, family := range families {
		told[family.GetName()] = true
	}
	for _, name := range names() {
		if !told[name] {
			t.Errorf("%s is not told", name)
		}
	}
}

// promtool runs Prometheus's own tool. It must be silent.
func promtool(t *testing.T, stdin []byte, arguments ...string) {
	t.Helper()
	path, err := exec.LookPath("promtool")
	if err != nil {
		lab.Missing(t, lab.Need("promtool"), err)
	}
	command := exec.CommandContext(t.Context(), path, arguments...)
	command.Stdin = bytes.NewReader(stdin)
	if out, err := command.CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(arguments, " "), err, out)
	}
}

// names are the metrics of this package, keepalived's too.
func names() []string {
	described := make(chan *prometheus.Desc)
	go func() {
		newCollector(full(), true, quiet()).Describe(described)
		close(described)
	}()
	var all []string
	for desc := range described {
		_, text, _ := strings.Cut(desc.String(), `fqName: "`)
		name, _, _ := strings.Cut(text, `"`)
		all = append(all, name)
	}
	slices.Sort(all)
	return all
}

// TestTrafficThatCannotBeRead: the rest is told, and that.
func TestTrafficThatCannotBeRead(t *testing.T) {
	s := full()
	s.err = errors.New("not permitted")
	families, err := gather(s, false)
	if err != nil {
		t.Fatal(err)
	}
	text := string(exposition(t, families))
	for _, want := range []string{"lvsd_traffic_read_successful 0\n", "lvsd_service_quorum{"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	for _, not := range []string{"_connections", "keepalived"} {
		if strings.Contains(text, not) {
			t.Errorf("%q in\n%s", not, text)
		}
	}
}

// TestNoSeriesTwice: whatever things are called, and however often, Prometheus takes
// all of it.
func TestNoSeriesTwice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := generated(t)
		families, err := gather(s, true)
		if err != nil {
			t.Fatal(err)
		}
		series := map[string]bool{}
		for _, family := range families {
			for _, m := range family.GetMetric() {
				key := family.GetName() + fmt.Sprint(m.GetLabel())
				if series[key] {
					t.Fatalf("twice: %s", key)
				}
				series[key] = true
			}
			var text bytes.Buffer
			if _, err := expfmt.MetricFamilyToText(&text, family); err != nil {
				t.Fatal(err)
			}
		}
		if got := sum(families, "lvsd_service_connections_total"); got != float64(connections(s.traffic)) {
			t.Fatalf("connections sum up to %v, want %d", got, connections(s.traffic))
		}
	})
}

func sum(families []*dto.MetricFamily, name string) (sum float64) {
	for _, family := range families {
		for _, m := range family.GetMetric() {
			if family.GetName() == name {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return sum
}

func connections(t director.Traffic) (sum uint64) {
	for _, service := range t.Services {
		sum += service.Connections
	}
	return sum
}

// generated is a status of few names that come again, some of them hostile.
func generated(t *rapid.T) source {
	text := rapid.OneOf(
		rapid.SampledFrom([]string{"", "a", "a #2", "b", "\"", "\\", "\n", "{x=\"y\"} 1", "\xff", "\xfe", "Ünïcode €", "\x00", "a\x00b"}),
		rapid.String(),
	)
	word := func(label string) string { return text.Draw(t, label) }
	several := func(label string, most int, make func()) {
		for range rapid.IntRange(0, most).Draw(t, label) {
			make()
		}
	}
	s := source{status: director.Status{Version: word("version"), ConfigHash: word("hash")}}
	several("services", 4, func() {
		service := director.ServiceStatus{
			Name: word("name"), Service: word("service"), Scheduler: word("scheduler"), Address: word("address"),
			Mark: rapid.Uint32Range(0, 2).Draw(t, "mark"),
		}
		several("servers", 4, func() {
			server := director.RealServerStatus{Address: word("server"), Host: word("host"), State: word("state"), Admin: director.AdminState(word("admin"))}
			several("checks", 3, func() {
				server.Checks = append(server.Checks, director.CheckStatus{Kind: word("kind"), Target: word("target"), Code: word("code"), At: at(1)})
			})
			service.RealServers = append(service.RealServers, server)
		})
		s.status.Services = append(s.status.Services, service)
		traffic := director.ServiceTraffic{
			Name: service.Name, Protocol: word("protocol"), Address: service.Address, Mark: service.Mark,
			Family: rapid.SampledFrom([]string{"ipv4", "ipv6"}).Draw(t, "family"),
		}
		traffic.Connections = uint64(rapid.IntRange(0, 1000).Draw(t, "connections"))
		several("servers with traffic", 3, func() {
			traffic.Servers = append(traffic.Servers, director.ServerTraffic{Address: word("server")})
		})
		s.traffic.Services = append(s.traffic.Services, traffic)
	})
	several("instances", 3, func() {
		instance := director.InstanceStatus{
			Name: word("instance"), Interface: word("interface"), VRID: rapid.IntRange(1, 2).Draw(t, "vrid"), State: word("state"), Master: word("master"),
			Discarded: map[string]uint64{"ttl": 1}, FaultCounts: map[string]uint64{word("cause"): 1, word("another cause"): 1},
		}
		several("vips", 3, func() { instance.VIPs = append(instance.VIPs, director.VIPStatus{Address: word("vip")}) })
		s.status.Instances = append(s.status.Instances, instance)
	})
	several("groups", 3, func() { s.status.Groups = append(s.status.Groups, director.GroupStatus{Name: word("group")}) })
	several("trackers", 3, func() {
		s.status.Trackers = append(s.status.Trackers, director.TrackerStatus{Name: word("tracker"), Kind: rapid.SampledFrom([]string{"script", "file"}).Draw(t, "kind")})
	})
	several("conflicts", 3, func() {
		s.status.Conflicts = append(s.status.Conflicts, director.ConflictStatus{VIP: word("vip"), Interface: word("interface")})
	})
	several("overrides", 3, func() {
		target := director.Target{Service: word("service"), Server: word("server"), Node: word("node")}
		s.status.Overrides = append(s.status.Overrides, director.Override{Target: target, State: director.AdminState(word("state")), At: at(1)})
	})
	several("nodes", 3, func() {
		s.status.Nodes = append(s.status.Nodes, director.NodeStatus{Name: word("node"), Address: word("address")})
	})
	several("hosts", 3, func() { s.status.Hosts = append(s.status.Hosts, director.HostStatus{Host: word("host")}) })
	several("daemons", 3, func() { s.status.Daemons = append(s.status.Daemons, director.DaemonStatus{State: word("state")}) })
	several("notices", 3, func() {
		s.status.CheckNotices = append(s.status.CheckNotices, director.CheckNoticeStatus{Kind: word("kind")})
	})
	return s
}

// large has as many services, with as many real servers and checks each.
func large(services, servers int) source {
	var s source
	for i := range services {
		address := fmt.Sprintf("192.0.2.1:%d", i+1)
		service := director.ServiceStatus{Name: fmt.Sprint("service", i), Service: "tcp " + address, Protocol: "tcp", Address: address}
		traffic := director.ServiceTraffic{Name: service.Name, Protocol: "tcp", Address: address}
		for j := range servers {
			server := fmt.Sprintf("10.0.%d.%d:80", j/256, j%256)
			service.RealServers = append(service.RealServers, director.RealServerStatus{
				Address: server, State: "up", Since: at(1), Admin: director.Enabled,
				Checks: []director.CheckStatus{{Kind: "http", Target: server, Code: "L7OK", At: at(1), Duration: time.Millisecond}},
			})
			traffic.Servers = append(traffic.Servers, director.ServerTraffic{Address: server})
		}
		s.status.Services = append(s.status.Services, service)
		s.traffic.Services = append(s.traffic.Services, traffic)
	}
	return s
}
