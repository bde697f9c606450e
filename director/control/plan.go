package control

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/lvsd/lvsd/director"
)

const (
	// planPath takes a POST of a PlanRequest and answers with a director.Preview.
	planPath = "/v1/plan"
	// planLimit bounds the body of a PlanRequest, in bytes: 50,000 real servers
	// with their checks are a tenth of it.
	planLimit = 64 << 20
	// planTimeout bounds a request for a plan, which may read a large table.
	planTimeout = time.Minute
)

// PlanRequest asks what a reload of a file would change.
type PlanRequest struct {
	// Name is what problems call the file, Text its content, which must be UTF-8.
	// Key files that it names are the daemon's to read.
	Name string `json:"name"`
	Text string `json:"text"`
	// Node is the one that the file is to be read as; it must be the daemon's own
	// unless it is empty.
	Node string `json:"node,omitempty"`
}

// Plan asks the daemon behind the socket at path what a reload would change. The
// errors are those of Status, or the daemon's as *Error: with CodeInvalidFile if
// the file is not valid.
func Plan(ctx context.Context, path string, request PlanRequest) (director.Preview, error) {
	var preview director.Preview
	if err := call(ctx, path, http.MethodPost, planPath, planTimeout, request, &preview); err != nil {
		return director.Preview{}, wrap("plan", err)
	}
	return preview, nil
}

// plan asks what a reload would change, and changes nothing.
func plan(w http.ResponseWriter, r *http.Request, source Source) (director.Preview, error) {
	ctx, cancel := context.WithTimeout(r.Context(), planTimeout)
	defer cancel()
	deadline, _ := ctx.Deadline()
	connection := http.NewResponseController(w)
	if err := errors.Join(connection.SetReadDeadline(deadline), connection.SetWriteDeadline(deadline)); err != nil {
		return director.Preview{}, fmt.Errorf("plan: %w", err)
	}
	r.Body = http.MaxBytesReader(w, r.Body, planLimit)
	var request PlanRequest
	if err := decode(r, &request); err != nil {
		return director.Preview{}, err
	}
	return source.Plan(ctx, request)
}
