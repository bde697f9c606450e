package cluster

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
)

// newTransport makes connections to one node only, whatever the URL says.
func (s *session) newTransport(ctx context.Context, p *peer) *http.Transport {
	return &http.Transport{
		DialContext: func(asking context.Context, _, _ string) (net.Conn, error) {
			// A dial may outlive the request that it was for, but not the session.
			asking, cancel := context.WithTimeout(asking, s.timeout())
			defer cancel()
			defer context.AfterFunc(ctx, cancel)()
			return s.network.dial(asking, s.own(), p.address)
		},
		TLSClientConfig:        s.identity.tls(nil),
		TLSHandshakeTimeout:    s.timeout(),
		DisableCompression:     true,
		MaxConnsPerHost:        2,
		MaxIdleConnsPerHost:    1,
		IdleConnTimeout:        idle(s.cluster.Interval),
		MaxResponseHeaderBytes: maxHeader,
	}
}

// ask makes one exchange. An answer has a Report.
func (s *session) ask(ctx context.Context, p *peer, method string, d *document) (document, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.context, cancel)()
	var body io.Reader
	if d != nil {
		text, err := json.Marshal(d)
		if err != nil {
			return document{}, fmt.Errorf("write the document: %w", err)
		}
		body = bytes.NewReader(text)
	}
	request, err := http.NewRequestWithContext(ctx, method, "https://node"+nodePath, body)
	if err != nil {
		return document{}, err
	}
	// To be told twice does no harm: a connection that turns out to be closed is
	// replaced without a word.
	request.Header["X-Idempotency-Key"] = nil
	response, err := p.transport.RoundTrip(request)
	if err != nil {
		return document{}, err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return document{}, refusal(response)
	}
	answer, err := decode(response.Body)
	switch {
	case err != nil:
		return document{}, err
	case answer.Node != p.name:
		return document{}, fmt.Errorf("it calls itself %q, here it is %q", printable(answer.Node), p.name)
	case answer.Report == nil:
		return document{}, errors.New("no document of a node: no report")
	}
	return answer, nil
}

// refusal is the error that a node answered with.
func refusal(response *http.Response) error {
	var p problem
	text, _ := io.ReadAll(io.LimitReader(response.Body, maxHeader))
	_ = json.Unmarshal(text, &p)
	if response.StatusCode == http.StatusNotFound {
		return fmt.Errorf("it does not speak version 1 of the channel, as this node does: %s", printable(p.Error))
	}
	return fmt.Errorf("it refuses: %d %s", response.StatusCode, printable(p.Error))
}

// isUnreached reports whether an exchange failed because there was nobody to talk to:
// no connection, or no answer.
func isUnreached(err error) bool {
	var dial *net.OpError
	var timeout net.Error
	return errors.As(err, &dial) && dial.Op == "dial" ||
		errors.Is(err, context.DeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout()
}

// explain puts into an operator's words why an exchange failed.
func (s *session) explain(p *peer, err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	var errno syscall.Errno
	var timeout net.Error
	switch {
	case errors.Is(err, errOtherKey):
		return errOtherKey
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("this node does not have its own address %s", s.own())
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return fmt.Errorf("it closes the connection: perhaps %s is not among its [cluster.nodes]", s.own())
	case errors.As(err, &errno):
		return errno
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return errors.New("no answer in time")
	case errors.Is(err, context.Canceled):
		return errors.New("not waited for")
	}
	return err
}
