package web

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/director"
	"github.com/lvsd/lvsd/director/control"
)

// scene is a Source whose answers a test writes. The zero time of its counters moves
// with each question, so that graphs have something to show.
type scene struct {
	control.Source // what is not asked for here
	mu             sync.Mutex
	status         director.Status
	asked          int
	orders         []director.Order
	cleared        []director.Target
	// maintained are orders of maintenance, checked servers and services whose checks
	// were to ask at once.
	maintained []director.MaintenanceOrder
	checked    []string
	events     []director.Event
	changed    chan struct{}
	failure    error
	// explain makes an explanation of a server; nil for a plain one.
	explain func(server, service string) (director.Explanation, error)
}

func newScene(status director.Status) *scene {
	return &scene{status: status, changed: make(chan struct{})}
}

func (s *scene) Status() director.Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	status := s.status
	status.Instances = slices.Clone(status.Instances)
	status.Services = slices.Clone(status.Services)
	for i := range status.Services {
		status.Services[i].RealServers = slices.Clone(status.Services[i].RealServers)
	}
	return status
}

// change changes the status and tells of the event.
func (s *scene) change(event director.Event, f func(*director.Status)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(&s.status)
	event.Seq, event.At, event.Node = uint64(len(s.events)+1), time.Now(), s.status.RouterID
	s.events = append(s.events, event)
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *scene) Traffic(context.Context) (director.Traffic, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	traffic := director.Traffic{Schema: "lvsd.traffic/1", At: time.Now()}
	for i, service := range s.status.Services {
		one := director.ServiceTraffic{
			Name: service.Name, Protocol: service.Protocol, Address: service.Address, Mark: service.Mark, Family: service.Family,
		}
		for j, server := range service.RealServers {
			if server.KernelWeight < 0 {
				continue
			}
			c := counters(s.asked, i, j)
			if server.KernelWeight == 0 {
				c.ConnectionRate = 0
			}
			one.Servers = append(one.Servers, director.ServerTraffic{
				Address: server.Address, Weight: server.KernelWeight, Active: uint32(c.ConnectionRate * 3), Inactive: uint32(c.ConnectionRate), TrafficCounters: c,
			})
			one.Connections += c.Connections
			one.ConnectionRate += c.ConnectionRate
			one.InByteRate += c.InByteRate
			one.OutByteRate += c.OutByteRate
		}
		traffic.Services = append(traffic.Services, one)
	}
	return traffic, s.failure
}

// counters are some that look like traffic.
func counters(round, service, server int) director.TrafficCounters {
	rate := uint64(20 + (round*7+service*13+server*5)%23 + (round*(server+3))%11)
	return director.TrafficCounters{
		Connections: 1_234_567 + uint64(round)*rate, ConnectionRate: rate, InByteRate: rate * 1830, OutByteRate: rate * 412,
	}
}

func (s *scene) Explain(server, service string) (director.Explanation, error) {
	if s.explain != nil {
		return s.explain(server, service)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range s.status.Services {
		for _, real := range one.RealServers {
			if real.Address == server && (service == "" || one.Name == service) {
				return explanationOf(one, real), nil
			}
		}
	}
	return director.Explanation{}, fmt.Errorf("%w: %q", director.ErrUnknownServer, server)
}

// explanationOf has a transcript and a history for each check.
func explanationOf(service director.ServiceStatus, server director.RealServerStatus) director.Explanation {
	x := director.ServerExplanation{
		Service: service.Name, Address: server.Address, Host: server.Host, State: server.State, Since: server.Since,
		Weight: director.WeightExplanation{Configured: server.Configured, Up: server.Weight, Now: server.Weight},
		Places: []director.PlaceExplanation{{Service: service.Service, Planned: server.Weight, Kernel: server.KernelWeight, Active: 61, Inactive: 20}},
	}
	for _, check := range server.Checks {
		last := director.ResultExplanation{
			At: check.At, Duration: check.Duration, OK: check.State == "up", Code: check.Code, Reason: check.Reason,
			Transcript: "* connected to " + check.Target + "\n< 220 mail.example.org ESMTP\n> EHLO relay1\n< 250 " + check.Reason + "\n",
		}
		c := director.CheckExplanation{
			CheckStatus: check, Interval: 2 * time.Second, Timeout: time.Second, Rise: 2, Fall: 3, Successes: 5012, Failures: 7, Last: &last,
		}
		for i := range 20 {
			r := last
			r.At, r.Transcript = last.At.Add(time.Duration(i-19)*2*time.Second), ""
			r.Duration = time.Duration(2+i*i%7) * time.Millisecond
			if i%9 == 4 {
				r.OK, r.Code, r.Reason = false, "L4TOUT", "no answer within 1s"
			}
			c.History = append(c.History, r)
		}
		x.Checks = append(x.Checks, c)
	}
	return director.Explanation{Schema: "lvsd.explain/1", At: time.Now(), Asked: server.Address, Servers: []director.ServerExplanation{x}}
}

func (s *scene) Events(after uint64) []director.Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.events[min(int(after), len(s.events)):])
}

func (s *scene) FollowEvents(ctx context.Context, after uint64, deliver func([]director.Event) error) error {
	for {
		s.mu.Lock()
		changed := s.changed
		s.mu.Unlock()
		if news := s.Events(after); len(news) > 0 {
			after = news[len(news)-1].Seq
			if err := deliver(news); err != nil {
				return err
			}
			continue
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-changed:
		}
	}
}

// Order does as the director: the server is drained, or what is ordered of it.
func (s *scene) Order(_ context.Context, order director.Order) (director.Spread, error) {
	override := director.Override{
		Target: order.Target, State: order.State, Weight: order.Weight, Reason: order.Reason, By: order.By, Node: "relay1", At: time.Now(),
	}
	if order.Target.Server == "unknown" {
		return director.Spread{}, fmt.Errorf("%w: %q", director.ErrUnknownServer, order.Target.Server)
	}
	event := director.Event{
		Kind: director.EventOverride, Severity: "info", Service: order.Target.Service, Server: order.Target.Server,
		Text: fmt.Sprintf("%s of %s ordered by %s", order.State, order.Target.Server, order.By),
	}
	s.change(event, func(status *director.Status) {
		s.orders = append(s.orders, order)
		onServer(status, order.Target.Service, order.Target.Server, func(server *director.RealServerStatus) {
			server.Admin, server.Override = order.State, &override
			if order.State == director.Drain {
				server.KernelWeight = 0
			}
		})
	})
	return director.Spread{Override: override, Told: []string{"relay2"}, Untold: map[string]string{"relay3": "no route to host"}}, nil
}

func (s *scene) Clear(_ context.Context, target director.Target, by string) (director.Spread, error) {
	event := director.Event{Kind: director.EventOverrideEnded, Severity: "info", Text: "cleared by " + by}
	s.change(event, func(status *director.Status) {
		s.cleared = append(s.cleared, target)
		onServer(status, target.Service, target.Server, func(server *director.RealServerStatus) {
			server.Admin, server.Override, server.KernelWeight = director.Enabled, nil, server.Configured
		})
	})
	return director.Spread{Override: director.Override{Target: target, Cleared: true, By: by, Node: "relay1"}, Told: []string{"relay2"}}, nil
}

// Maintenance does as the director.
func (s *scene) Maintenance(_ context.Context, order director.MaintenanceOrder) (director.Spread, error) {
	override := director.Override{
		Target: director.Target{Node: "relay1"}, State: director.Drain, Reason: order.Reason, By: order.By, Node: "relay1", At: time.Now(), Cleared: !order.On,
	}
	s.change(director.Event{Kind: director.EventOverride, Severity: "warning", Text: "maintenance ordered by " + order.By}, func(status *director.Status) {
		s.maintained = append(s.maintained, order)
		status.Maintenance = nil
		if order.On {
			status.Maintenance = &override
		}
	})
	return director.Spread{Override: override, Told: []string{"relay2"}}, nil
}

func (s *scene) CheckNow(_ context.Context, server, service string) (director.Explanation, error) {
	s.mu.Lock()
	s.checked = append(s.checked, server+" in "+service)
	s.mu.Unlock()
	if server == "" {
		return director.Explanation{Schema: "lvsd.explain/1", Servers: []director.ServerExplanation{}}, nil
	}
	return s.Explain(server, service)
}

func (s *scene) ExplainInstance(name string) (director.InstanceExplanation, error) {
	for _, i := range s.Status().Instances {
		if i.Name == name {
			return director.InstanceExplanation{
				Schema: "lvsd.explain-instance/1", At: time.Now(), Instance: i,
				Trackers: []director.TrackerStatus{{Name: "uplink", Kind: "interface", State: "up", Since: i.Since, Instances: []string{name}}},
				Events:   s.Events(0),
			}, nil
		}
	}
	return director.InstanceExplanation{}, fmt.Errorf("%w: %q", director.ErrUnknownInstance, name)
}

func (s *scene) ExplainService(name string) (director.ServiceExplanation, error) {
	x := director.ServiceExplanation{Schema: "lvsd.explain-service/1", At: time.Now(), Events: s.Events(0)}
	for _, one := range s.Status().Services {
		if one.Name != name {
			continue
		}
		x.Services = append(x.Services, one)
		for _, server := range one.RealServers {
			x.Servers = append(x.Servers, explanationOf(one, server).Servers...)
		}
	}
	if x.Services == nil {
		return x, fmt.Errorf("%w: %q", director.ErrUnknownService, name)
	}
	return x, nil
}

func (s *scene) ordered() []director.Order {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.orders)
}

func onServer(status *director.Status, service, server string, f func(*director.RealServerStatus)) {
	for i := range status.Services {
		for j := range status.Services[i].RealServers {
			if status.Services[i].Name == service && status.Services[i].RealServers[j].Address == server {
				f(&status.Services[i].RealServers[j])
			}
		}
	}
}

// quietLog is for what a test does not look at.
func quietLog() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// hashOf is the bcrypt hash of a password, cheap.
func hashOf(t testing.TB, password string) config.Secret {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return config.Secret(hash)
}

// served is a site that answers until the test ends, or end is called.
type served struct {
	*site
	address string
	end     func()
}

func serve(t testing.TB, c config.Web, source control.Source) *served {
	t.Helper()
	return serveAt(t, c, source, "127.0.0.1:0")
}

func serveAt(t testing.TB, c config.Web, source control.Source, address string) *served {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	c.Listen = netip.MustParseAddrPort(listener.Addr().String())
	s := newSite(c, source, quietLog())
	if c.Certificate != "" {
		s.keys = &keyPair{certificate: c.Certificate, key: c.Key, log: quietLog()}
		if err := s.keys.load(); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.serve(ctx, listener) }()
	end := sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(end)
	return &served{s, listener.Addr().String(), end}
}
