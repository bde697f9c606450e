package control

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/lvsd/lvsd/director"
)

// WriteJSON answers with the value.
func WriteJSON(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	// A failed write means that the client has gone.
	_ = encoder.Encode(value)
}

// WriteError answers with the error, an *Error or the director's, and its code.
func WriteError(w http.ResponseWriter, err error) {
	answer, status := &Error{CodeFailed, err.Error()}, http.StatusInternalServerError
	switch {
	case errors.As(err, &answer):
		status = statusOf(answer.Code)
	case errors.Is(err, director.ErrUnknownInstance):
		answer.Code, status = CodeUnknownInstance, http.StatusNotFound
	case errors.Is(err, director.ErrUnknownServer):
		answer.Code, status = CodeUnknownServer, http.StatusNotFound
	case errors.Is(err, director.ErrUnknownService):
		answer.Code, status = CodeUnknownService, http.StatusNotFound
	case errors.Is(err, director.ErrUnknownNode):
		answer.Code, status = CodeUnknownNode, http.StatusNotFound
	case errors.Is(err, director.ErrNoTakeover):
		answer.Code, status = CodeNoTakeover, http.StatusConflict
	case errors.Is(err, director.ErrBadOrder):
		answer.Code, status = CodeBadRequest, http.StatusBadRequest
	case errors.Is(err, errors.ErrUnsupported):
		status = http.StatusNotImplemented
	}
	WriteJSON(w, status, errorBody{answer})
}

// statusOf is the status that a code goes with.
func statusOf(code string) int {
	switch code {
	case CodeUnknownInstance, CodeUnknownServer, CodeUnknownService, CodeUnknownNode, CodeUnknownPath:
		return http.StatusNotFound
	case CodeWrongMethod:
		return http.StatusMethodNotAllowed
	case CodeSignIn:
		return http.StatusUnauthorized
	case CodeUnknownHost:
		return http.StatusMisdirectedRequest
	case CodeTooMany:
		return http.StatusServiceUnavailable
	case CodeNoTakeover, CodeRolledBack, CodeBusy, CodeNothingToConfirm:
		return http.StatusConflict
	case CodeNotPermitted:
		return http.StatusForbidden
	case CodeTimeout:
		return http.StatusGatewayTimeout
	case CodeFailed:
		return http.StatusInternalServerError
	default:
		return http.StatusBadRequest
	}
}

// Known answers what mux does, and refuses other paths and methods with an Error.
func Known(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handler, pattern := mux.Handler(r)
		if pattern != "" {
			mux.ServeHTTP(w, r)
			return
		}
		said := unsaid{http.Header{}, http.StatusOK}
		handler.ServeHTTP(&said, r)
		switch said.status {
		case http.StatusNotFound:
			WriteError(w, &Error{CodeUnknownPath, fmt.Sprintf("there is no %s", r.URL.Path)})
		case http.StatusMethodNotAllowed:
			allowed := said.header.Get("Allow")
			w.Header().Set("Allow", allowed)
			WriteError(w, &Error{CodeWrongMethod, fmt.Sprintf("%s %s: want %s", r.Method, r.URL.Path, allowed)})
		default: // the way to the path in its shortest form
			handler.ServeHTTP(w, r)
		}
	})
}

// unsaid is an answer that is kept back.
type unsaid struct {
	header http.Header
	status int
}

// Header is the kept answer's.
func (u *unsaid) Header() http.Header { return u.header }

// Write drops the text.
func (u *unsaid) Write(text []byte) (int, error) { return len(text), nil }

// WriteHeader notes the status.
func (u *unsaid) WriteHeader(status int) { u.status = status }
