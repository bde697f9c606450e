package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"syscall"
	"time"

	"github.com/lvsd/lvsd/director"
)

// lines is the type of an answer that is one JSON value in each line.
const lines = "application/x-ndjson"

// Events asks the daemon behind the socket at path for the last events, at most
// 1,000, whose Seq is greater than after, the oldest first. The errors are those of
// Status.
func Events(ctx context.Context, path string, after uint64) ([]director.Event, error) {
	var events []director.Event
	err := call(ctx, path, http.MethodGet, eventsTarget(after, false), requestTimeout, nil, &events)
	return events, wrap("events", err)
}

// FollowEvents calls deliver with the same events, and then with each further one,
// until ctx ends, or the daemon does, which is ErrNotRunning, or deliver fails, whose
// error it returns.
func FollowEvents(ctx context.Context, path string, after uint64, deliver func(director.Event) error) error {
	response, err := ask(ctx, path, http.MethodGet, eventsTarget(after, true), nil)
	if err != nil {
		return wrap("events", err)
	}
	defer func() { _ = response.Body.Close() }()
	decoder := json.NewDecoder(response.Body)
	for {
		var event director.Event
		if err := decoder.Decode(&event); err != nil {
			return wrap("events", ending(ctx, err))
		}
		if err := deliver(event); err != nil {
			return err
		}
	}
}

func eventsTarget(after uint64, follow bool) string {
	query := url.Values{"after": {strconv.FormatUint(after, 10)}}
	if follow {
		query.Set("follow", "1")
	}
	return eventsPath + "?" + query.Encode()
}

// tellEvents answers with the events that there are, or goes on with those to come.
func tellEvents(w http.ResponseWriter, r *http.Request, source Source) {
	after, follow, err := eventsQuery(r.URL.RawQuery)
	if err != nil {
		WriteError(w, err)
		return
	}
	if !follow {
		events := source.Events(after)
		if events == nil {
			events = []director.Event{}
		}
		WriteJSON(w, http.StatusOK, events)
		return
	}
	s := stream{http.NewResponseController(w), json.NewEncoder(w)}
	w.Header().Set("Content-Type", lines)
	w.WriteHeader(http.StatusOK)
	if err := s.begin(); err != nil {
		return
	}
	// It ends because the client has gone, or the daemon ends.
	_ = source.FollowEvents(r.Context(), after, s.deliver)
}

// stream writes events as they happen.
type stream struct {
	connection *http.ResponseController
	encoder    *json.Encoder
}

// begin lets the client know at once that it is heard. Between events there is no
// deadline.
func (s stream) begin() error {
	return errors.Join(s.connection.Flush(), s.connection.SetWriteDeadline(time.Time{}))
}

// deliver writes events. A client that does not read them costs no more than a
// stuck one elsewhere.
func (s stream) deliver(events []director.Event) error {
	if err := s.connection.SetWriteDeadline(time.Now().Add(requestTimeout)); err != nil {
		return err
	}
	for _, event := range events {
		if err := s.encoder.Encode(event); err != nil {
			return err
		}
	}
	return s.begin()
}

// eventsQuery reads the parameters after and follow.
func eventsQuery(text string) (after uint64, follow bool, err error) {
	query, err := url.ParseQuery(text)
	if err != nil {
		return 0, false, badRequest("query %q: %v", text, err)
	}
	for name := range query {
		if name != "after" && name != "follow" {
			return 0, false, badRequest("parameter %q: want after or follow", name)
		}
	}
	if value := query.Get("after"); value != "" {
		if after, err = strconv.ParseUint(value, 10, 64); err != nil {
			return 0, false, badRequest("after %q: want the number of an event", value)
		}
	}
	switch value := query.Get("follow"); value {
	case "", "0":
		return after, false, nil
	case "1":
		return after, true, nil
	default:
		return 0, false, badRequest("follow %q: want 0 or 1", value)
	}
}

// ending is what the end of a stream means.
func ending(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET):
		return fmt.Errorf("%w any more", ErrNotRunning)
	}
	return err
}
