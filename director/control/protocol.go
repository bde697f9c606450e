package control

import (
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/lvsd/lvsd/director"
)

// The paths. A verb is a POST to /v1/vrrp/INSTANCE/VERB; the body of a POST is a JSON
// object, or empty where nothing is to be said.
const (
	statusPath      = "/v1/status"
	trafficPath     = "/v1/traffic"
	eventsPath      = "/v1/events"
	vrrpPath        = "/v1/vrrp/"
	ordersPath      = "/v1/orders"
	clearPath       = "/v1/orders/clear"
	maintenancePath = "/v1/maintenance"
	checkPath       = "/v1/check"
	reloadPath      = "/v1/reload"
	confirmPath     = "/v1/reload/confirm"
	openAPIPath     = "/v1/openapi.json"
)

// ErrNotRunning means that nobody listens on the socket.
var ErrNotRunning = errors.New("lvsd is not running")

// The codes of an Error. They do not change.
const (
	// CodeUnknownInstance: no VRRP instance has this name.
	CodeUnknownInstance = "unknown_instance"
	// CodeUnknownServer: no real server has this address or name, or not in this
	// virtual service.
	CodeUnknownServer = "unknown_server"
	// CodeUnknownService: no virtual service has this name.
	CodeUnknownService = "unknown_service"
	// CodeNoTakeover: no other node became MASTER in time.
	CodeNoTakeover = "no_takeover"
	// CodeBadRequest: the request makes no sense.
	CodeBadRequest = "bad_request"
	// CodeInvalidFile: the configuration file is not valid.
	CodeInvalidFile = "invalid_file"
	// CodeUnknownNode: no node of the cluster has this name.
	CodeUnknownNode = "unknown_node"
	// CodeRolledBack: the new configuration could not be carried out; the one before
	// stands.
	CodeRolledBack = "rolled_back"
	// CodeBusy: another reload is under way, or waits to be confirmed.
	CodeBusy = "busy"
	// CodeNothingToConfirm: no reload waits to be confirmed.
	CodeNothingToConfirm = "nothing_to_confirm"
	// CodeUnknownPath: there is no such path. CodeWrongMethod: it has not this method.
	CodeUnknownPath = "unknown_path"
	CodeWrongMethod = "wrong_method"
	// CodeNotPermitted: who asks may not: on the socket the user is neither root nor the
	// daemon's own.
	CodeNotPermitted = "not_permitted"
	// CodeSignIn, CodeUnknownHost and CodeTooMany are the page's: not before signing in;
	// not by this name of the host; too many ask at a time.
	CodeSignIn      = "sign_in"
	CodeUnknownHost = "unknown_host"
	CodeTooMany     = "too_many"
	// CodeTimeout: it took too long. What was done up to there stands.
	CodeTimeout = "timeout"
	// CodeFailed: the daemon could not do it.
	CodeFailed = "failed"
)

// Error is what the daemon answers when it does not do what it was asked for:
// {"error": {"code": ..., "message": ...}}.
type Error struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// Error is the message.
func (e *Error) Error() string { return e.Message }

// Is makes CodeNotPermitted fs.ErrPermission.
func (e *Error) Is(target error) bool {
	return target == fs.ErrPermission && e.Code == CodeNotPermitted
}

// Codes are all codes.
func Codes() []string {
	return []string{
		CodeUnknownInstance, CodeUnknownServer, CodeUnknownService, CodeNoTakeover, CodeBadRequest, CodeInvalidFile,
		CodeUnknownNode, CodeRolledBack, CodeBusy, CodeNothingToConfirm, CodeUnknownPath, CodeWrongMethod,
		CodeNotPermitted, CodeSignIn, CodeUnknownHost, CodeTooMany, CodeTimeout, CodeFailed,
	}
}

type errorBody struct {
	Error *Error `json:"error"`
}

// ReloadRequest asks for a reload.
type ReloadRequest struct {
	// Confirm is how long to wait for a confirmation before all is as it was; 0 is
	// that none is needed.
	Confirm time.Duration `json:"confirm_ns,omitempty"`
}

// ReloadAnswer is what a reload did.
type ReloadAnswer struct {
	// Plan is what it changed in the kernel.
	Plan director.Preview `json:"plan"`
	// ConfirmUntil is when it is rolled back; zero if it needs no confirmation.
	ConfirmUntil time.Time `json:"confirm_until,omitzero"`
}

// giveUpRequest and the others are the bodies of the verbs.
type giveUpRequest struct {
	// Timeout is how long to wait for another MASTER, such as "1m0s".
	Timeout string `json:"timeout"`
}

type giveUpAnswer struct {
	Master string `json:"master"`
}

type priorityRequest struct {
	// Priority is 1..254; 0 is as configured.
	Priority int `json:"priority"`
}

func badRequest(format string, args ...any) error {
	return &Error{CodeBadRequest, fmt.Sprintf(format, args...)}
}
