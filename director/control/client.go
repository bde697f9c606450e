package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"syscall"
	"time"

	"github.com/lvsd/lvsd/director"
)

// Status asks the daemon behind the socket at path what it tells of itself. The
// error is ErrNotRunning if there is none, or fs.ErrPermission.
func Status(ctx context.Context, path string) (director.Status, error) {
	var status director.Status
	if err := call(ctx, path, http.MethodGet, statusPath, requestTimeout, nil, &status); err != nil {
		return director.Status{}, wrap("status", err)
	}
	return status, nil
}

// GiveUp makes the node BACKUP and waits up to timeout, at most an hour, for
// another MASTER, whose address it returns. The errors are those of Status, or
// the daemon's as *Error: with CodeNoTakeover if there was no other.
func GiveUp(ctx context.Context, path, instance string, timeout time.Duration) (master string, err error) {
	var answer giveUpAnswer
	err = do(ctx, path, instance, "give-up", timeout, giveUpRequest{timeout.String()}, &answer)
	return answer.Master, err
}

// Hold keeps the instance BACKUP until Release, also over a restart. The errors
// are those of Status, or the daemon's as *Error.
func Hold(ctx context.Context, path, instance string) error {
	return do(ctx, path, instance, "hold", 0, nil, nil)
}

// Release ends Hold, with its errors.
func Release(ctx context.Context, path, instance string) error {
	return do(ctx, path, instance, "release", 0, nil, nil)
}

// SetPriority sets the priority that tracking starts from, 1..254; 0 is as
// configured. The errors are Hold's.
func SetPriority(ctx context.Context, path, instance string, priority int) error {
	return do(ctx, path, instance, "priority", 0, priorityRequest{priority}, nil)
}

// do asks for a verb, which may take longer than other requests by wait.
func do(ctx context.Context, path, instance, verb string, wait time.Duration, request, answer any) error {
	target := vrrpPath + url.PathEscape(instance) + "/" + verb
	return wrap(verb+" "+instance, call(ctx, path, http.MethodPost, target, wait+requestTimeout, request, answer))
}

// call makes one request of the daemon behind the socket at path.
func call(ctx context.Context, path, method, target string, timeout time.Duration, request, answer any) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	response, err := ask(ctx, path, method, target, request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if answer == nil {
		return nil
	}
	return json.NewDecoder(response.Body).Decode(answer)
}

// ask makes a request and returns the answer, unless that is a refusal.
func ask(ctx context.Context, path, method, target string, request any) (*http.Response, error) {
	var body io.Reader
	if request != nil {
		text, err := json.Marshal(request)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(text)
	}
	r, err := http.NewRequestWithContext(ctx, method, "http://lvsd"+target, body)
	if err != nil {
		return nil, err
	}
	response, err := client(path).Do(r)
	if errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.ECONNREFUSED) {
		return nil, fmt.Errorf("%w: nobody listens on %s", ErrNotRunning, path)
	}
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		defer func() { _ = response.Body.Close() }()
		return nil, refusal(response)
	}
	return response, nil
}

func client(path string) *http.Client {
	return &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", path)
		},
		DisableKeepAlives: true,
	}}
}

// refusal is the error in an answer. An lvsd of another version may answer
// without one.
func refusal(response *http.Response) error {
	var body errorBody
	if err := json.NewDecoder(response.Body).Decode(&body); err != nil || body.Error == nil {
		return fmt.Errorf("the daemon answered %s", response.Status)
	}
	return body.Error
}

// wrap says what was asked for, unless the error says it all.
func wrap(what string, err error) error {
	if err == nil || errors.Is(err, ErrNotRunning) || errors.As(err, new(*Error)) {
		return err
	}
	return fmt.Errorf("%s: %w", what, err)
}
