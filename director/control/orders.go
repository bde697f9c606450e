package control

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/lvsd/lvsd/director"
)

const (
	// orderTimeout bounds an order, which waits for the other nodes' answers.
	orderTimeout = 30 * time.Second
	// checkTimeout bounds a wait for the answers of checks.
	checkTimeout = 5 * time.Minute
)

// clearRequest takes an order back.
type clearRequest struct {
	Target director.Target `json:"target"`
	// By is as in director.Order.
	By string `json:"by,omitempty"`
}

// checkRequest has checks ask at once.
type checkRequest struct {
	// Server is empty for all servers of Service, Service for all that have Server.
	Server  string `json:"server,omitempty"`
	Service string `json:"service,omitempty"`
}

// Order asks the daemon behind the socket at path for an override. Who ordered it is
// the user who asks; order.By counts only of root, as words beside that. The errors
// are those of Status, or the daemon's as *Error: with CodeUnknownServer,
// CodeUnknownService, CodeUnknownNode or CodeBadRequest.
func Order(ctx context.Context, path string, order director.Order) (director.Spread, error) {
	var spread director.Spread
	err := call(ctx, path, http.MethodPost, ordersPath, orderTimeout+requestTimeout, order, &spread)
	return spread, wrap("order", err)
}

// Clear takes an override back. By and the errors are as for Order.
func Clear(ctx context.Context, path string, target director.Target, by string) (director.Spread, error) {
	var spread director.Spread
	err := call(ctx, path, http.MethodPost, clearPath, orderTimeout+requestTimeout, clearRequest{target, by}, &spread)
	return spread, wrap("clear", err)
}

// Maintenance begins or ends maintenance of the node and waits until that is done. By
// and the errors are as for Order.
func Maintenance(ctx context.Context, path string, order director.MaintenanceOrder) (director.Spread, error) {
	var spread director.Spread
	err := call(ctx, path, http.MethodPost, maintenancePath, maxPatience+requestTimeout, order, &spread)
	return spread, wrap("maintenance", err)
}

// CheckNow has the checks of a real server ask at once and waits for the answers. The
// server and the service are as in director.Director.CheckNow, the errors those of
// Explain, or *Error with CodeTimeout.
func CheckNow(ctx context.Context, path, server, service string) (director.Explanation, error) {
	var e director.Explanation
	err := call(ctx, path, http.MethodPost, checkPath, checkTimeout+requestTimeout, checkRequest{server, service}, &e)
	return e, wrap("check now", err)
}

// Reload has the daemon go over to its file as it is now, and waits until the kernel
// is as that says. The errors are those of Status, or the daemon's as *Error: with
// CodeInvalidFile, CodeRolledBack or CodeBusy.
func Reload(ctx context.Context, path string, request ReloadRequest) (ReloadAnswer, error) {
	var answer ReloadAnswer
	err := call(ctx, path, http.MethodPost, reloadPath, maxPatience+requestTimeout, request, &answer)
	return answer, wrap("reload", err)
}

// Confirm keeps what a reload brought that waits to be confirmed. The errors are those
// of Status, or the daemon's as *Error: with CodeNothingToConfirm.
func Confirm(ctx context.Context, path string) error {
	return wrap("confirm", call(ctx, path, http.MethodPost, confirmPath, orderTimeout+requestTimeout, nothing{}, nil))
}

// Traffic asks the daemon behind the socket at path what the kernel counts. The errors
// are those of Status.
func Traffic(ctx context.Context, path string) (director.Traffic, error) {
	var traffic director.Traffic
	err := call(ctx, path, http.MethodGet, trafficPath, orderTimeout, nil, &traffic)
	return traffic, wrap("traffic", err)
}

// ExplainInstance asks the daemon behind the socket at path why a VRRP instance stands
// as it does. The errors are those of Status, or the daemon's as *Error: with
// CodeUnknownInstance.
func ExplainInstance(ctx context.Context, path, name string) (director.InstanceExplanation, error) {
	var e director.InstanceExplanation
	err := call(ctx, path, http.MethodGet, explainPath+"/instance/"+url.PathEscape(name), requestTimeout, nil, &e)
	return e, wrap("explain", err)
}

// ExplainService asks the daemon behind the socket at path why a virtual service
// stands as it does. The errors are those of Status, or the daemon's as *Error: with
// CodeUnknownService.
func ExplainService(ctx context.Context, path, name string) (director.ServiceExplanation, error) {
	var e director.ServiceExplanation
	err := call(ctx, path, http.MethodGet, explainPath+"/service/"+url.PathEscape(name), requestTimeout, nil, &e)
	return e, wrap("explain", err)
}
