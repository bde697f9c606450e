package alert

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/director"
)

// webhookSchema is what a post is called; its fields are only ever added to.
const webhookSchema = "lvsd.alert/1"

// post is the JSON that a webhook gets.
type post struct {
	Schema string `json:"schema"`
	// Node is the node's router_id.
	Node   string           `json:"node"`
	Events []director.Event `json:"events"`
	// LeftOut is how many earlier events did not fit.
	LeftOut int `json:"left_out,omitempty"`
}

// webhook posts JSON.
type webhook struct {
	config config.WebhookAlert
	// host is what the log calls it: the rest of a URL may be a secret.
	host   string
	client *http.Client
}

func newWebhook(c config.WebhookAlert) *webhook {
	w := &webhook{config: c, client: &http.Client{
		Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true},
		// Another place was not configured, and would get the headers.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	if u, err := url.Parse(c.URL); err == nil {
		w.host = u.Host
	}
	return w
}

func (w *webhook) send(ctx context.Context, b batch) error {
	body, err := json.Marshal(post{webhookSchema, b.Events[0].Node, b.Events, b.LeftOut})
	if err != nil {
		return refusal{fmt.Errorf("webhook: %w", err)}
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, w.config.URL, bytes.NewReader(body))
	if err != nil {
		return refusal{errors.New("webhook: the URL makes no request")}
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "lvsd")
	for name, value := range w.config.Headers {
		request.Header.Set(name, string(value))
		if http.CanonicalHeaderKey(name) == "Host" {
			request.Host = string(value)
		}
	}
	response, err := w.client.Do(request)
	if err != nil {
		return fmt.Errorf("webhook: %w", withoutURL(err))
	}
	defer func() { _ = response.Body.Close() }()
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, 1<<16)) // what it says besides is of no use
	return judge(response)
}

// withoutURL takes the URL, which may have secrets, out of an error.
func withoutURL(err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		return wrapped.Err
	}
	return err
}

// judge is what an answer means.
func judge(r *http.Response) error {
	err := fmt.Errorf("webhook: answer is %s", r.Status)
	switch code := r.StatusCode; {
	case code >= 200 && code < 300:
		return nil
	case code >= 300 && code < 400:
		return refusal{fmt.Errorf("%w, and redirects are not followed", err)}
	case code == http.StatusTooManyRequests, code == http.StatusRequestTimeout, code >= 500:
		return later{err, retryAfter(r)}
	default:
		return refusal{err}
	}
}

// retryAfter is how long the answer asks to wait; 0 if it does not say.
func retryAfter(r *http.Response) time.Duration {
	seconds, err := strconv.Atoi(r.Header.Get("Retry-After"))
	if err != nil || seconds < 0 {
		return 0
	}
	return time.Duration(min(seconds, 3600)) * time.Second
}
