package integration

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/lvsd/lvsd/integration/lab"
)

// metricsConfig is a virtual service at two addresses, whose real server is the
// director itself.
const metricsConfig = `
[metrics]
keepalived_names = true

[[vrrp]]
name = "VI_1"
interface = "eth0"
vrid = 20
vips = ["10.99.0.100", "10.99.0.101"]

[[virtual_service]]
name = "echo"
addresses = ["10.99.0.100", "10.99.0.101"]
ports = [7]
protocol = "tcp"
scheduler = "rr"
forwarding = "nat"
  [[virtual_service.real_server]]
  address = "10.99.0.1:7"
`

// TestMetrics: what Prometheus is told over loopback is what the kernel counts.
func TestMetrics(t *testing.T) {
	lab.Require(t, lab.NeedNetns, lab.NeedIPVS)
	t.Parallel()
	s := newSegment(t)
	n := s.addNode("director", "10.99.0.1")
	n.Echo(lab.TCP, netip.MustParseAddrPort("10.99.0.1:7"))
	n.write(metricsConfig)
	n.start()
	s.lab.WaitFor("the director to become MASTER", func() error { return n.inState("master") })
	const first, second = 3, 4
	for i := range first + second {
		vip := "10.99.0.100:7"
		if i >= first {
			vip = "10.99.0.101:7"
		}
		s.ask(vip)
	}
	s.lab.WaitFor("the metrics to say what ipvsadm does", func() error {
		metrics, err := n.metrics()
		if err != nil {
			return err
		}
		connections, bytes, err := n.stats()
		switch {
		case err != nil:
			return err
		case connections != first+second:
			return fmt.Errorf("ipvsadm counts %v connections, want %d", connections, first+second)
		case total(metrics["lvsd_service_connections_total"]) != connections:
			return fmt.Errorf("%v connections of services, want %v", metrics["lvsd_service_connections_total"], connections)
		case total(metrics["lvsd_server_connections_total"]) != connections:
			return fmt.Errorf("%v connections of servers, want %v", metrics["lvsd_server_connections_total"], connections)
		case total(metrics["lvsd_service_incoming_bytes_total"]) != bytes:
			return fmt.Errorf("%v bytes, want %v", metrics["lvsd_service_incoming_bytes_total"], bytes)
		}
		return nil
	})
	metrics, err := n.metrics()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]float64{
		"lvsd_vrrp_state": 2, "keepalived_vrrp_state": 4, "lvsd_vip_held": 2, "lvsd_service_quorate": 2, "lvsd_traffic_read_successful": 1,
	} {
		if got := total(metrics[name]); got != want {
			t.Errorf("%s sums up to %v, want %v", name, got, want)
		}
	}
	n.stop()
}

// ask has one connection to the echo server.
func (s *segment) ask(target string) {
	s.Helper()
	patience := s.lab.Scaled(10 * time.Second)
	conn, err := s.client.Dial(lab.TCP, netip.IPv4Unspecified(), netip.MustParseAddrPort(target), patience)
	if err != nil {
		s.Fatalf("%v", err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := lab.Ask(conn, 100, patience); err != nil {
		s.Fatalf("%s: %v", target, err)
	}
}

// metrics asks as Prometheus on the node itself does.
func (n *node) metrics() (map[string]*dto.MetricFamily, error) {
	patience := n.segment.lab.Scaled(10 * time.Second)
	client := http.Client{Timeout: patience, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(_ context.Context, _, address string) (net.Conn, error) {
			return n.Dial(lab.TCP, netip.IPv4Unspecified(), netip.MustParseAddrPort(address), patience)
		},
	}}
	answer, err := client.Get("http://127.0.0.1:9466/metrics")
	if err != nil {
		return nil, err
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("metrics: %s", answer.Status)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	return parser.TextToMetricFamilies(answer.Body)
}

// total is the sum of all series.
func total(family *dto.MetricFamily) (sum float64) {
	for _, m := range family.GetMetric() {
		sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
	}
	return sum
}

// stats are the connections and incoming bytes of all virtual services, as ipvsadm
// sees them.
func (n *node) stats() (connections, bytes float64, err error) {
	for line := range strings.Lines(n.Run("ipvsadm", "-L", "-n", "--stats", "--exact")) {
		fields := strings.Fields(line)
		if len(fields) != 7 || fields[0] != "TCP" {
			continue
		}
		for field, sum := range map[int]*float64{2: &connections, 5: &bytes} {
			value, err := strconv.ParseFloat(fields[field], 64)
			if err != nil {
				return 0, 0, fmt.Errorf("%s: %w", line, err)
			}
			*sum += value
		}
	}
	return connections, bytes, nil
}
