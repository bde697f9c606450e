package integration

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/lvsd/lvsd/director"
	"github.com/lvsd/lvsd/integration/lab"
)

// pageAddress is where a node's page is, inside of its host.
const pageAddress = "127.0.0.1:9467"

// browse asks the node's page, as a browser on the node does.
func (n *node) browse(ctx context.Context, path string) (*http.Response, error) {
	return n.Get(ctx, "http://"+pageAddress+path)
}

// text is the answer of the node's page.
func (n *node) text(path string) (string, error) {
	response, err := n.browse(n.segment.Context(), path)
	if err != nil {
		return "", err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if response.StatusCode != http.StatusOK {
		err = errors.Join(err, fmt.Errorf("%s: %s: %s", path, response.Status, body))
	}
	return string(body), err
}

// TestWeb: the page of a real daemon, which is told of a real failover.
func TestWeb(t *testing.T) {
	lab.Require(t, lab.NeedNetns)
	t.Parallel()
	p := newPlainPair(t, func(_ *node, v *virtualRouter) { v.Keys += "\n[web]\nlisten = \"" + pageAddress + "\"\n" })
	p.stage("serves the page and its data", func(t *testing.T) {
		p.first.start()
		p.second.start()
		p.settle(p.first)
		page, err := p.second.text("/")
		if err != nil || !strings.Contains(page, `src="/assets/main.js"`) {
			t.Fatalf("page: %v: %.200s", err, page)
		}
		text, err := p.second.text("/v1/status")
		var status director.Status
		if err := errors.Join(err, json.Unmarshal([]byte(text), &status)); err != nil || status.Instances[0].State != "backup" {
			t.Fatalf("status: %v: %s", err, text)
		}
		for _, path := range []string{"/v1/traffic", "/v1/events", "/v1/explain/instance/" + status.Instances[0].Name, "/v1/openapi.json"} {
			if _, err := p.second.text(path); err != nil {
				t.Error(err)
			}
		}
	})
	p.stage("tells of a failover", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), p.lab.Scaled(time.Minute))
		defer cancel()
		response, err := p.second.browse(ctx, "/v1/stream")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = response.Body.Close() }()
		lines := bufio.NewScanner(response.Body)
		lines.Buffer(nil, 1<<20)
		if !told(lines, "node", `"state":"backup"`) {
			t.Fatalf("the stream ends before it tells of BACKUP: %v", lines.Err())
		}
		p.first.daemon.Kill()
		if !told(lines, "node", `"state":"master"`) {
			t.Fatalf("the stream ends before it tells of MASTER: %v", lines.Err())
		}
	})
	p.stage("ends with the daemon", func(t *testing.T) {
		response, err := p.second.browse(t.Context(), "/v1/stream")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = response.Body.Close() }()
		p.second.stop()
		if _, err := io.Copy(io.Discard, response.Body); err != nil {
			t.Errorf("the stream did not end as one should: %v", err)
		}
	})
}

// told reads a stream up to an event of the kind with the text in it.
func told(lines *bufio.Scanner, kind, text string) bool {
	event := ""
	for lines.Scan() {
		if name, is := strings.CutPrefix(lines.Text(), "event: "); is {
			event = name
		}
		if event == kind && strings.Contains(lines.Text(), text) {
			return true
		}
	}
	return false
}
