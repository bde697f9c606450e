package control

import (
	"context"
	"errors"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lvsd/lvsd/director"
)

func (s source) Events(after uint64) []director.Event {
	var events []director.Event
	for seq := after + 1; seq <= 3; seq++ {
		events = append(events, event(seq))
	}
	return events
}

func event(seq uint64) director.Event {
	var e director.Event
	fill(&e)
	e.Seq, e.Kind, e.Text = seq, director.EventServerDown, "smtp <192.0.2.1:25> is down: \"ä\"\nx"
	return e
}

// followed hands events over as they come, until come is closed.
type followed struct {
	source
	come  chan director.Event
	ended chan error
}

func (s followed) FollowEvents(ctx context.Context, after uint64, deliver func([]director.Event) error) error {
	err := deliver(s.Events(after))
	for err == nil {
		select {
		case e := <-s.come:
			err = deliver([]director.Event{e})
		case <-ctx.Done():
			err = context.Cause(ctx)
		}
	}
	s.ended <- err
	return err
}

func TestEventsOverTheSocket(t *testing.T) {
	path, _ := serving(t, func(ctx context.Context, l net.Listener) error { return Serve(ctx, l, newSource()) })
	for after, want := range map[uint64][]director.Event{0: {event(1), event(2), event(3)}, 2: {event(3)}, 9: {}} {
		got, err := Events(t.Context(), path, after)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("after %d: %v (-want +got):\n%s", after, err, diff)
		}
	}
	for _, query := range []string{"?after=-1", "?after=x", "?follow=yes", "?kind=x", "?%zz"} {
		response, err := client(path).Get("http://lvsd" + eventsPath + query)
		if err != nil {
			t.Fatal(err)
		}
		if err := response.Body.Close(); err != nil || response.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: %s, %v", query, response.Status, err)
		}
	}
	if _, err := Events(t.Context(), path+"x", 0); !errors.Is(err, ErrNotRunning) {
		t.Errorf("without a daemon: %v", err)
	}
}

// TestFollowEvents: each comes as it happens, also after longer than other requests may
// take, and the stream ends with the client, with deliver, and with the daemon.
func TestFollowEvents(t *testing.T) {
	const timeout = 10 * time.Millisecond
	s := followed{newSource(), make(chan director.Event), make(chan error, 1)}
	path, stop := serving(t, func(ctx context.Context, l net.Listener) error { return serve(ctx, l, s, timeout) })
	follow := func(ctx context.Context, deliver func(director.Event) error) chan error {
		done := make(chan error, 1)
		go func() { done <- FollowEvents(ctx, path, 1, deliver) }()
		return done
	}
	got := make(chan director.Event, 8)
	keep := func(e director.Event) error { got <- e; return nil }

	ctx, leave := context.WithCancel(t.Context())
	done := follow(ctx, keep)
	for _, want := range []uint64{2, 3} {
		if e := <-got; e.Seq != want || e.Text != event(1).Text {
			t.Errorf("got event %+v, want %d", e, want)
		}
	}
	<-time.After(20 * timeout)
	s.come <- event(4)
	if e := <-got; e.Seq != 4 {
		t.Errorf("got event %d, want 4", e.Seq)
	}
	leave()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("the client that left: %v", err)
	}
	<-s.ended // the daemon notices

	enough := errors.New("enough")
	done = follow(t.Context(), func(director.Event) error { return enough })
	if err := <-done; !errors.Is(err, enough) {
		t.Errorf("deliver failed: %v", err)
	}
	<-s.ended

	done = follow(t.Context(), keep)
	<-got
	<-got
	go stop()
	if err := <-done; !errors.Is(err, ErrNotRunning) {
		t.Errorf("the daemon ended: %v", err)
	}
	<-s.ended
}
