package control

import (
	"context"
	"net/http"
	"net/url"

	"github.com/lvsd/lvsd/director"
)

// explainPath answers a GET with the parameters server and, if it is to be in one
// virtual service only, service with a director.Explanation.
const explainPath = "/v1/explain"

// Explain asks the daemon behind the socket at path why a real server stands as
// it does; see director.Director.Explain. The errors are those of Status, or the
// daemon's as *Error: with CodeUnknownServer or CodeUnknownService.
func Explain(ctx context.Context, path, server, service string) (director.Explanation, error) {
	query := url.Values{"server": {server}}
	if service != "" {
		query.Set("service", service)
	}
	var e director.Explanation
	if err := call(ctx, path, http.MethodGet, explainPath+"?"+query.Encode(), requestTimeout, nil, &e); err != nil {
		return director.Explanation{}, wrap("explain", err)
	}
	return e, nil
}

func explain(text string, source Source) (director.Explanation, error) {
	query, err := url.ParseQuery(text)
	if err != nil {
		return director.Explanation{}, badRequest("query %q: %v", text, err)
	}
	for name := range query {
		if name != "server" && name != "service" {
			return director.Explanation{}, badRequest("parameter %q: want server or service", name)
		}
	}
	if query.Get("server") == "" {
		return director.Explanation{}, badRequest("no parameter server: want the address or name of a real server")
	}
	return source.Explain(query.Get("server"), query.Get("service"))
}
