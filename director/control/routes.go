package control

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/lvsd/lvsd/director"
)

// A route is one method of one path. The document that describes the routes to
// programs, openapi.json, has each of them.
type route struct {
	// method and path are as in patterns of http.ServeMux.
	method, path string
	handle       http.HandlerFunc
}

// routes are all that the socket answers.
func routes(source Source) []route {
	return []route{
		{http.MethodGet, statusPath, func(w http.ResponseWriter, _ *http.Request) {
			writeJSON(w, http.StatusOK, source.Status())
		}},
		{http.MethodGet, trafficPath, answer(func(_ http.ResponseWriter, r *http.Request) (any, error) {
			return source.Traffic(r.Context())
		})},
		{http.MethodGet, eventsPath, func(w http.ResponseWriter, r *http.Request) { tellEvents(w, r, source) }},
		{http.MethodGet, explainPath, answer(func(_ http.ResponseWriter, r *http.Request) (any, error) {
			return explain(r.URL.RawQuery, source)
		})},
		{http.MethodGet, explainPath + "/instance/{name}", answer(func(_ http.ResponseWriter, r *http.Request) (any, error) {
			return source.ExplainInstance(r.PathValue("name"))
		})},
		{http.MethodGet, explainPath + "/service/{name}", answer(func(_ http.ResponseWriter, r *http.Request) (any, error) {
			return source.ExplainService(r.PathValue("name"))
		})},
		{http.MethodGet, openAPIPath, tellOpenAPI},
		{http.MethodPost, planPath, answer(func(w http.ResponseWriter, r *http.Request) (any, error) {
			return plan(w, r, source)
		})},
		verb("give-up", func(w http.ResponseWriter, r *http.Request, instance string) (any, error) {
			return giveUp(w, r, source, instance)
		}),
		verb("hold", func(_ http.ResponseWriter, r *http.Request, instance string) (any, error) {
			return nothing{}, source.Hold(r.Context(), instance)
		}),
		verb("release", func(_ http.ResponseWriter, r *http.Request, instance string) (any, error) {
			return nothing{}, source.Release(r.Context(), instance)
		}),
		verb("priority", func(_ http.ResponseWriter, r *http.Request, instance string) (any, error) {
			return nothing{}, setPriority(r, source, instance)
		}),
		order(ordersPath, orderTimeout, func(ctx context.Context, request director.Order) (any, error) {
			request.By = byWhom(ctx, request.By)
			return source.Order(ctx, request)
		}),
		order(clearPath, orderTimeout, func(ctx context.Context, request clearRequest) (any, error) {
			return source.Clear(ctx, request.Target, byWhom(ctx, request.By))
		}),
		order(maintenancePath, maxPatience, func(ctx context.Context, request director.MaintenanceOrder) (any, error) {
			request.By = byWhom(ctx, request.By)
			return source.Maintenance(ctx, request)
		}),
		order(checkPath, checkTimeout, func(ctx context.Context, request checkRequest) (any, error) {
			return source.CheckNow(ctx, request.Server, request.Service)
		}),
		order(reloadPath, maxPatience, func(ctx context.Context, request ReloadRequest) (any, error) {
			return source.Reload(ctx, request)
		}),
		order(confirmPath, orderTimeout, func(ctx context.Context, _ nothing) (any, error) {
			return nothing{}, source.Confirm(ctx)
		}),
	}
}

// nothing is the answer that says no more than that it was done.
type nothing struct{}

// answer writes what do returns.
func answer(do func(w http.ResponseWriter, r *http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		value, err := do(w, r)
		if err != nil {
			writeError(w, err)
			return
		}
		writeJSON(w, http.StatusOK, value)
	}
}

// verb is what changes an instance.
func verb(name string, do func(w http.ResponseWriter, r *http.Request, instance string) (any, error)) route {
	return route{http.MethodPost, vrrpPath + "{instance}/" + name, answer(func(w http.ResponseWriter, r *http.Request) (any, error) {
		r.Body = http.MaxBytesReader(w, r.Body, bodyLimit)
		return do(w, r, r.PathValue("instance"))
	})}
}

// order is what an operator wants done, by a T in the body. It takes up to limit,
// and is carried to its end also when the client goes: half of it would be neither
// the state before nor the one that was ordered.
func order[T any](path string, limit time.Duration, do func(ctx context.Context, request T) (any, error)) route {
	return route{http.MethodPost, path, answer(func(w http.ResponseWriter, r *http.Request) (any, error) {
		r.Body = http.MaxBytesReader(w, r.Body, bodyLimit)
		var request T
		if r.ContentLength != 0 { // an empty body is an empty object
			if err := decode(r, &request); err != nil {
				return nil, err
			}
		}
		if err := http.NewResponseController(w).SetWriteDeadline(time.Time{}); err != nil {
			return nil, fmt.Errorf("wait for an answer: %w", err)
		}
		ctx, cancel := lasting(r.Context(), limit)
		defer cancel()
		value, err := do(ctx, request)
		if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return nil, &Error{CodeTimeout, fmt.Sprintf("after %v: %v", limit, err)}
		}
		return value, err
	})}
}

// daemonKey is the context key of the context that ends with the daemon.
type daemonKey struct{}

// lasting is ctx without the end of its request: it ends with the daemon, or after
// limit.
func lasting(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	long, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
	daemon, ok := ctx.Value(daemonKey{}).(context.Context)
	if !ok {
		return long, cancel
	}
	stop := context.AfterFunc(daemon, cancel)
	return long, func() { stop(); cancel() }
}
