package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

const (
	// maxPatience bounds how long a request may wait for another MASTER.
	maxPatience = time.Hour
	// bodyLimit bounds a request's body, in bytes.
	bodyLimit = 4 << 10
	// maxPriority is the highest that can be set: 255 is the address owner's.
	maxPriority = 254
)

// giveUp waits for as long as the request says, which may be longer than other
// requests take. It ends when the client goes.
func giveUp(w http.ResponseWriter, r *http.Request, source Source, instance string) (any, error) {
	var request giveUpRequest
	if err := decode(r, &request); err != nil {
		return nil, err
	}
	patience, err := time.ParseDuration(request.Timeout)
	if err != nil || patience <= 0 || patience > maxPatience {
		return nil, badRequest("timeout %q: want a time up to %v", request.Timeout, maxPatience)
	}
	if err := http.NewResponseController(w).SetWriteDeadline(time.Time{}); err != nil {
		return nil, fmt.Errorf("wait for %v: %w", patience, err)
	}
	ctx, cancel := context.WithTimeout(r.Context(), patience)
	defer cancel()
	master, err := source.GiveUp(ctx, instance)
	return giveUpAnswer{master}, err
}

func setPriority(r *http.Request, source Source, instance string) error {
	var request priorityRequest
	if err := decode(r, &request); err != nil {
		return err
	}
	if request.Priority < 0 || request.Priority > maxPriority {
		return badRequest("priority %d: want 1..%d, or 0 for the configured one", request.Priority, maxPriority)
	}
	return source.SetPriority(r.Context(), instance, request.Priority)
}

// decode reads the body, an object without unknown fields.
func decode(r *http.Request, request any) error {
	decoder := json.NewDecoder(r.Body)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(request); err != nil {
		return badRequest("body: %v", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return badRequest("body: more than one value")
	}
	return nil
}
