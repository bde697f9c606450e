package alert

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/director"
)

// source is a director that only has events.
type source struct {
	mu     sync.Mutex
	events []director.Event
	more   chan struct{}
}

func newSource() *source { return &source{more: make(chan struct{})} }

func (s *source) record(e director.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e.Seq = uint64(len(s.events) + 1)
	s.events = append(s.events, e)
	close(s.more)
	s.more = make(chan struct{})
}

func (s *source) Events(after uint64) []director.Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.events[min(int(after), len(s.events)):]
}

func (s *source) FollowEvents(ctx context.Context, after uint64, deliver func([]director.Event) error) error {
	for ctx.Err() == nil {
		s.mu.Lock()
		more := s.more
		s.mu.Unlock()
		if events := s.Events(after); len(events) > 0 {
			if err := deliver(events); err != nil {
				return err
			}
			after = events[len(events)-1].Seq
			continue
		}
		select {
		case <-more:
		case <-ctx.Done():
		}
	}
	return ctx.Err()
}

// TestNothingTwiceAndNothingMissed: events of before, of meanwhile and of the end of
// one run are told of once, and so over a change of the configuration.
func TestNothingTwiceAndNothingMissed(t *testing.T) {
	var mu sync.Mutex
	var got []uint64
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var p post
		if err := json.NewDecoder(r.Body).Decode(&p); err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		for _, e := range p.Events {
			got = append(got, e.Seq)
		}
	}))
	defer server.Close()
	var j journal
	s := newSource()
	c := config.Alerts{Webhooks: []config.WebhookAlert{{URL: server.URL, Digest: time.Minute, PerHour: 600}}}
	var told Told
	var want []uint64
	for range 3 {
		s.record(down(0))
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan Told)
		go func() { ended <- Run(ctx, c, told, s, j.log()) }()
		s.record(down(0))
		cancel()
		told = <-ended
	}
	for seq := range uint64(6) {
		want = append(want, seq+1)
	}
	mu.Lock()
	defer mu.Unlock()
	if diff := cmp.Diff(want, got); diff != "" || told.last != 6 {
		t.Errorf("last %d, told (-want +got):\n%s\n%s", told.last, diff, j.String())
	}
}

// TestNothingLostByAReload: what a webhook would not have before it is told after it,
// and what another one had is not told again. What waited for one that is gone is in
// the log.
func TestNothingLostByAReload(t *testing.T) {
	var mu sync.Mutex
	got := map[string][]uint64{}
	works := false
	serve := func(name string) config.WebhookAlert {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			var p post
			if err := json.NewDecoder(r.Body).Decode(&p); err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			if name != "works" && !works {
				w.WriteHeader(http.StatusServiceUnavailable)
				return
			}
			for _, e := range p.Events {
				got[name] = append(got[name], e.Seq)
			}
		}))
		t.Cleanup(server.Close)
		return config.WebhookAlert{URL: server.URL, Digest: time.Millisecond, PerHour: 600}
	}
	var j journal
	s := newSource()
	c := config.Alerts{Webhooks: []config.WebhookAlert{serve("works"), serve("fails"), serve("goes")}}
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // all is told at the end
	s.record(down(0))
	told := Run(ctx, c, Told{}, s, j.log())
	works, c.Webhooks = true, c.Webhooks[:2]
	s.record(down(0))
	Run(ctx, c, told, s, j.log())
	mu.Lock()
	defer mu.Unlock()
	if diff := cmp.Diff(map[string][]uint64{"works": {1, 2}, "fails": {1, 2}}, got); diff != "" {
		t.Errorf("told (-want +got):\n%s\n%s", diff, j.String())
	}
	if !strings.Contains(j.String(), "not in the file any more") {
		t.Errorf("log:\n%s", j.String())
	}
}

// TestOneHangsOthersGoOn: a webhook that never answers delays no other.
func TestOneHangsOthersGoOn(t *testing.T) {
	release := make(chan struct{})
	stuck := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}))
	defer stuck.Close()
	came := make(chan struct{}, 10)
	works := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { came <- struct{}{} }))
	defer works.Close()
	s := newSource()
	c := config.Alerts{Webhooks: []config.WebhookAlert{
		{URL: stuck.URL, Digest: time.Millisecond, PerHour: 600},
		{URL: works.URL, Digest: time.Millisecond, PerHour: 600},
	}}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	var j journal
	go func() {
		defer close(ended)
		Run(ctx, c, Told{}, s, j.log())
	}()
	for range 3 {
		s.record(down(0))
		select {
		case <-came:
		case <-time.After(2 * time.Minute):
			t.Fatal("the one that works is not told")
		}
	}
	close(release)
	cancel()
	<-ended
}
