package control

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/lvsd/lvsd/director"
)

// Route is one method of one path. The document that describes the routes to
// programs, openapi.json, has each of them.
type Route struct {
	// Method and Path are as in patterns of http.ServeMux.
	Method, Path string
	Handler      http.Handler
}

// Pattern is the route's for http.ServeMux.
func (r Route) Pattern() string { return r.Method + " " + r.Path }

// routes are all that the socket answers. A plan is asked for there only: it reads
// whatever key files its text names.
func routes(source Source) []Route {
	all := append(Reading(source), Changing(source)...)
	return append(all, Route{http.MethodPost, planPath, answer(func(w http.ResponseWriter, r *http.Request) (any, error) {
		return plan(w, r, source)
	})})
}

// Reading are the routes that change nothing. Events may be followed for as long as
// the request's context allows; other answers come within the server's time.
func Reading(source Source) []Route {
	get := func(path string, do func(r *http.Request) (any, error)) Route {
		return Route{http.MethodGet, path, answer(func(_ http.ResponseWriter, r *http.Request) (any, error) { return do(r) })}
	}
	return []Route{
		get(statusPath, func(*http.Request) (any, error) { return source.Status(), nil }),
		get(trafficPath, func(r *http.Request) (any, error) { return source.Traffic(r.Context()) }),
		{http.MethodGet, eventsPath, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { tellEvents(w, r, source) })},
		get(explainPath, func(r *http.Request) (any, error) { return explain(r.URL.RawQuery, source) }),
		get(explainPath+"/instance/{name}", func(r *http.Request) (any, error) { return source.ExplainInstance(r.PathValue("name")) }),
		get(explainPath+"/service/{name}", func(r *http.Request) (any, error) { return source.ExplainService(r.PathValue("name")) }),
		{http.MethodGet, openAPIPath, http.HandlerFunc(tellOpenAPI)},
	}
}

// Changing are the routes that change something. They refuse requests without a
// caller; see WithCaller. What takes long ends with the daemon; see WithDaemon.
func Changing(source Source) []Route {
	return []Route{
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
			WriteError(w, err)
			return
		}
		WriteJSON(w, http.StatusOK, value)
	}
}

// verb is what changes an instance.
func verb(name string, do func(w http.ResponseWriter, r *http.Request, instance string) (any, error)) Route {
	return Route{http.MethodPost, vrrpPath + "{instance}/" + name, called(answer(func(w http.ResponseWriter, r *http.Request) (any, error) {
		r.Body = http.MaxBytesReader(w, r.Body, bodyLimit)
		return do(w, r, r.PathValue("instance"))
	}))}
}

// order is what an operator wants done, by a T in the body. It takes up to limit,
// and is carried to its end also when the client goes: half of it would be neither
// the state before nor the one that was ordered.
func order[T any](path string, limit time.Duration, do func(ctx context.Context, request T) (any, error)) Route {
	return Route{http.MethodPost, path, called(answer(func(w http.ResponseWriter, r *http.Request) (any, error) {
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
	}))}
}

// daemonKey is the context key of the context that ends with the daemon.
type daemonKey struct{}

// WithDaemon returns ctx as one that ends with the daemon: what is ordered in requests
// whose contexts come from it is carried on until then.
func WithDaemon(ctx context.Context) context.Context { return context.WithValue(ctx, daemonKey{}, ctx) }

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
