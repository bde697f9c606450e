package web

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/lvsd/lvsd/director"
)

// browserModel is what the page makes of the messages, as in model.js.
type browserModel struct {
	order    []string
	services map[string]director.ServiceStatus
	servers  map[string]map[string]director.RealServerStatus
	orders   map[string][]string
	traffic  map[string]map[string]director.ServerTraffic
}

func (b *browserModel) take(t rapid.TB, messages []message) {
	t.Helper()
	for _, m := range messages {
		head, data, _ := strings.Cut(strings.TrimSuffix(string(m), "\n\n"), "\ndata: ")
		switch head {
		case "event: services":
			b.takeServices(t, data)
		case "event: traffic":
			b.takeTraffic(t, data)
		}
	}
}

func (b *browserModel) takeServices(t rapid.TB, data string) {
	t.Helper()
	var news serviceNews
	if err := json.Unmarshal([]byte(data), &news); err != nil {
		t.Fatal(err)
	}
	if news.All || b.services == nil {
		*b = browserModel{
			services: map[string]director.ServiceStatus{}, servers: map[string]map[string]director.RealServerStatus{},
			orders: map[string][]string{}, traffic: b.traffic,
		}
	}
	for _, c := range news.Changed {
		if c.Service != nil {
			b.services[c.Key] = *c.Service
		}
		if b.servers[c.Key] == nil {
			b.servers[c.Key] = map[string]director.RealServerStatus{}
		}
		for _, s := range c.Servers {
			b.servers[c.Key][s.Address] = s
		}
		if c.Addresses != nil {
			b.orders[c.Key] = c.Addresses
		}
	}
	if news.Order != nil {
		b.order = news.Order
		maps.DeleteFunc(b.services, func(key string, _ director.ServiceStatus) bool { return !slices.Contains(b.order, key) })
		maps.DeleteFunc(b.servers, func(key string, _ map[string]director.RealServerStatus) bool { return !slices.Contains(b.order, key) })
		maps.DeleteFunc(b.orders, func(key string, _ []string) bool { return !slices.Contains(b.order, key) })
	}
}

func (b *browserModel) takeTraffic(t rapid.TB, data string) {
	t.Helper()
	var news trafficNews
	if err := json.Unmarshal([]byte(data), &news); err != nil {
		t.Fatal(err)
	}
	if news.All || b.traffic == nil {
		b.traffic = map[string]map[string]director.ServerTraffic{}
	}
	for _, c := range news.Changed {
		if c.Whole || b.traffic[c.Key] == nil {
			b.traffic[c.Key] = map[string]director.ServerTraffic{}
		}
		for _, s := range c.Servers {
			b.traffic[c.Key][s.Address] = s
		}
	}
	for _, key := range news.Gone {
		delete(b.traffic, key)
	}
}

// seen is what the browser shows of the services.
func (b *browserModel) seen() []director.ServiceStatus {
	all := []director.ServiceStatus{}
	for _, key := range b.order {
		s := b.services[key]
		s.RealServers = nil
		for _, address := range b.orders[key] {
			s.RealServers = append(s.RealServers, b.servers[key][address])
		}
		all = append(all, s)
	}
	return all
}

// plain is what browsers are told of services: without connections, which are
// traffic's.
func plain(services []director.ServiceStatus) []director.ServiceStatus {
	all := []director.ServiceStatus{}
	for _, s := range services {
		var servers []director.RealServerStatus
		for _, server := range s.RealServers {
			server.Active, server.Inactive = 0, 0
			servers = append(servers, server)
		}
		s.RealServers = servers
		all = append(all, s)
	}
	return all
}

// TestDifferencesAddUp: whatever changes, a browser that is told of differences knows
// the same as one that was just told all, and that is what is.
func TestDifferencesAddUp(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		v, old := newView(), browserModel{}
		now := time.Unix(1000, 0).UTC()
		for range rapid.IntRange(1, 8).Draw(t, "rounds") {
			status, traffic := drawStatus(t)
			now = now.Add(trafficSeldom)
			old.take(t, v.update(status, traffic, nil, now))
			var fresh browserModel
			fresh.take(t, v.all())
			if diff := cmp.Diff(plain(status.Services), fresh.seen()); diff != "" {
				t.Fatalf("a new browser (-is +seen):\n%s", diff)
			}
			if diff := cmp.Diff(fresh.seen(), old.seen()); diff != "" {
				t.Fatalf("an old browser (-fresh +old):\n%s", diff)
			}
			if diff := cmp.Diff(fresh.traffic, old.traffic); diff != "" {
				t.Fatalf("counters (-fresh +old):\n%s", diff)
			}
		}
	})
}

func drawStatus(t *rapid.T) (director.Status, director.Traffic) {
	var status director.Status
	var traffic director.Traffic
	names := rapid.Permutation([]string{"a", "b", "c", "d|e"}).Draw(t, "names")
	for _, name := range names[:rapid.IntRange(0, len(names)).Draw(t, "services")] {
		s := director.ServiceStatus{Name: name, Scheduler: rapid.SampledFrom([]string{"wlc", "rr"}).Draw(t, "scheduler"), Family: "ipv4"}
		counted := director.ServiceTraffic{Name: name, Family: "ipv4"}
		for j := range rapid.IntRange(0, 3).Draw(t, "servers") {
			// Without a time: when a check answered is told later.
			server := director.RealServerStatus{
				Address: fmt.Sprint(j), State: rapid.SampledFrom([]string{"up", "down"}).Draw(t, "state"),
				Active: rapid.Uint32Max(3).Draw(t, "connections"),
				Checks: []director.CheckStatus{{Reason: rapid.SampledFrom([]string{"x", "y"}).Draw(t, "reason")}},
			}
			s.RealServers = append(s.RealServers, server)
			if rapid.Bool().Draw(t, "in the kernel") {
				counted.Servers = append(counted.Servers, director.ServerTraffic{Address: server.Address, Active: server.Active})
			}
		}
		status.Services = append(status.Services, s)
		if rapid.Bool().Draw(t, "counted") {
			traffic.Services = append(traffic.Services, counted)
		}
	}
	return status, traffic
}

// TestSmallThingsAreToldSeldom: that a check answered again as before is told, but not
// each time, and not of all servers in one round.
func TestSmallThingsAreToldSeldom(t *testing.T) {
	status := crowd(10) // 100 servers
	v := newView()
	now := time.Unix(1000, 0)
	v.update(status, director.Traffic{}, nil, now)
	told, most := 0, 0
	for range quietEvery {
		for i := range status.Services {
			for j := range status.Services[i].RealServers {
				server := &status.Services[i].RealServers[j]
				check := server.Checks[0]
				check.At = check.At.Add(time.Second)
				server.Checks = []director.CheckStatus{check}
			}
		}
		round := 0
		for _, m := range v.update(status, director.Traffic{}, nil, now) {
			round += strings.Count(string(m), `"checks":`)
		}
		told, most = told+round, max(most, round)
	}
	if told != 100 || most > 20 {
		t.Errorf("told of %d servers, at most %d in a round; want each once, some each round", told, most)
	}
}

func TestNodesThatSeeServersDifferently(t *testing.T) {
	status := relays()
	text := string(nodeMessage(status))
	for _, want := range []string{`"differences":{"relay2":{"count":1`, `"here_state":"up"`, "no answer within 1s"} {
		if !strings.Contains(text, want) {
			t.Errorf("the node's message has no %s:\n%s", want, text)
		}
	}
	if strings.Contains(text, "192.0.2.12") || strings.Contains(text, "relay3\":{\"count") {
		t.Errorf("the node's message tells of what is the same:\n%s", text)
	}
	if status.Nodes[0].Servers == nil || status.Services == nil {
		t.Error("the status itself was changed")
	}
	status = director.Status{Services: []director.ServiceStatus{{Name: "s"}}, Nodes: []director.NodeStatus{{Name: "relay2", Reachable: true}}}
	for i := range 3 * differencesShown {
		address := fmt.Sprint(i)
		status.Services[0].RealServers = append(status.Services[0].RealServers, director.RealServerStatus{Address: address, State: "up", KernelWeight: 5})
		status.Nodes[0].Servers = append(status.Nodes[0].Servers, director.ServerReport{Service: "s", Address: address, State: "down"})
	}
	found := differencesOf(status)["relay2"]
	if found.Count != 3*differencesShown || len(found.Servers) != differencesShown {
		t.Errorf("%d differences, %d of them shown", found.Count, len(found.Servers))
	}
}

func TestCountersThatCannotBeRead(t *testing.T) {
	v := newView()
	m := v.updateTraffic(director.Traffic{}, errors.New("no ip_vs"), time.Unix(1000, 0))
	if !strings.Contains(string(m), "no ip_vs") || !strings.Contains(string(v.allTraffic()), "no ip_vs") {
		t.Errorf("message %s", m)
	}
	if m := v.updateTraffic(director.Traffic{}, nil, time.Unix(1001, 0)); m != nil {
		t.Errorf("too soon: %s", m)
	}
}

func BenchmarkUpdate(b *testing.B) {
	status := crowd(1000)
	scene := newScene(status)
	v := newView()
	now := time.Unix(1000, 0)
	traffic, _ := scene.Traffic(b.Context())
	v.update(scene.Status(), traffic, nil, now)
	bytes := 0
	for b.Loop() {
		now = now.Add(askEvery)
		traffic, _ := scene.Traffic(b.Context())
		for _, m := range v.update(scene.Status(), traffic, nil, now) {
			bytes += len(m)
		}
	}
	b.ReportMetric(float64(bytes)/float64(b.N), "bytes/round")
}
