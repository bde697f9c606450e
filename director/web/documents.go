package web

import (
	"net/http"
	"strconv"

	"github.com/lvsd/lvsd/director"
)

// status, traffic, explain and events answer with the documents of the control
// socket.
func (s *site) status(w http.ResponseWriter, _ *http.Request, _ *session) {
	writeJSON(w, http.StatusOK, s.source.Status())
}

func (s *site) traffic(w http.ResponseWriter, r *http.Request, _ *session) {
	traffic, err := s.source.Traffic(r.Context())
	if err != nil {
		writeFailure(w, err)
		return
	}
	writeJSON(w, http.StatusOK, traffic)
}

func (s *site) explain(w http.ResponseWriter, r *http.Request, _ *session) {
	query := r.URL.Query()
	if query.Get("server") == "" {
		writeError(w, http.StatusBadRequest, codeBadRequest, "no parameter server: want the address or name of a real server")
		return
	}
	explanation, err := s.source.Explain(query.Get("server"), query.Get("service"))
	if err != nil {
		writeFailure(w, err)
		return
	}
	writeJSON(w, http.StatusOK, explanation)
}

func (s *site) events(w http.ResponseWriter, r *http.Request, _ *session) {
	var after uint64
	if text := r.URL.Query().Get("after"); text != "" {
		var err error
		if after, err = strconv.ParseUint(text, 10, 64); err != nil {
			writeError(w, http.StatusBadRequest, codeBadRequest, "parameter after: want the number of an event")
			return
		}
	}
	events := s.source.Events(after)
	if events == nil {
		events = []director.Event{}
	}
	writeJSON(w, http.StatusOK, events)
}
