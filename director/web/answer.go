package web

import (
	"encoding/json"
	"errors"
	"net/http"

	"github.com/lvsd/lvsd/director"
)

// The codes of errors, which are those of the control socket where it has them.
const (
	codeBadRequest     = "bad_request"
	codeUnknownServer  = "unknown_server"
	codeUnknownService = "unknown_service"
	codeUnknownNode    = "unknown_node"
	codeFailed         = "failed"
	// codeForbidden: not for this client.
	codeForbidden = "forbidden"
	// codeSignIn: not before signing in.
	codeSignIn = "sign_in"
	// codeBusy: too many ask at a time.
	codeBusy = "busy"
)

func writeJSON(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	// A failed write means that the client has gone.
	_ = json.NewEncoder(w).Encode(value)
}

// writeError answers in the control socket's form.
func writeError(w http.ResponseWriter, status int, code, message string) {
	type failure struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	}
	writeJSON(w, status, struct {
		Error failure `json:"error"`
	}{failure{code, message}})
}

// writeFailure answers with an error of the Source.
func writeFailure(w http.ResponseWriter, err error) {
	status, code := http.StatusInternalServerError, codeFailed
	switch {
	case errors.Is(err, director.ErrUnknownServer):
		status, code = http.StatusNotFound, codeUnknownServer
	case errors.Is(err, director.ErrUnknownService):
		status, code = http.StatusNotFound, codeUnknownService
	case errors.Is(err, director.ErrUnknownNode):
		status, code = http.StatusNotFound, codeUnknownNode
	case errors.Is(err, director.ErrBadOrder):
		status, code = http.StatusBadRequest, codeBadRequest
	}
	writeError(w, status, code, err.Error())
}
