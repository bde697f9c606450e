package cluster

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"

	"github.com/lvsd/lvsd/director"
)

// The protocol is HTTP/1.1. A change that an older node would get wrong needs another
// version in the path; what is only added is ignored by those that do not know it.
//
//	GET /v1/node    answers with a document without Overrides
//	POST /v1/node   takes a document without a Report; answers with one that has
//	                Overrides if the two nodes' digests still differ
//
// An error is a status of 4xx or 5xx with {"error": "why"}.
const (
	nodePath = "/v1/node"
	// maxBody bounds a document in bytes, maxHeader the headers before it.
	maxBody   = 16 << 20
	maxHeader = 8 << 10
	// maxError bounds what is shown of another node's error, in bytes.
	maxError = 300
)

var errTooLarge = fmt.Errorf("more than %d MiB", maxBody>>20)

// document is what a node sends.
type document struct {
	// Node is the sender's name.
	Node string `json:"node"`
	// Digest is of all overrides that the sender knows.
	Digest string `json:"digest"`
	// Report is of the sender.
	Report *director.NodeReport `json:"report,omitempty"`
	// Overrides are some or all that the sender knows.
	Overrides []director.Override `json:"overrides,omitempty"`
}

// problem is the answer to a request that was refused.
type problem struct {
	Error string `json:"error"`
}

// decode reads one document and nothing more. Unknown fields are those of a newer
// version.
func decode(r io.Reader) (document, error) {
	body, err := io.ReadAll(io.LimitReader(r, maxBody+1))
	if err != nil {
		return document{}, fmt.Errorf("read the document: %w", err)
	}
	if len(body) > maxBody {
		return document{}, errTooLarge
	}
	var d document
	if err := json.Unmarshal(body, &d); err != nil {
		return document{}, fmt.Errorf("no document of a node: %w", err)
	}
	if d.Node == "" {
		return document{}, errors.New("no document of a node: no name")
	}
	return d, nil
}

// digest is the same for the same overrides, whatever their order and the time zone
// of who wrote them.
func digest(overrides []director.Override) string {
	lines := make([]string, len(overrides))
	for i, o := range overrides {
		o.At, o.Until = o.At.UTC(), o.Until.UTC()
		line, err := json.Marshal(o)
		if err != nil { // of a year beyond 9999, which cannot be sent either
			line = fmt.Append(nil, o)
		}
		lines[i] = string(line)
	}
	slices.Sort(lines)
	sum := sha256.Sum256([]byte(strings.Join(lines, "\n")))
	return hex.EncodeToString(sum[:])
}

// printable is another node's text, bounded and on one line.
func printable(text string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, text[:min(len(text), maxError)])
	return strings.TrimSpace(text)
}
