package web

import (
	"net/http"
	"time"
)

// keepAlive is how often a stream says something, so that both sides notice that the
// other has gone.
const keepAlive = 15 * time.Second

// stream tells the page what changes until the browser goes, its session ends or the
// site does. A browser that takes nothing is left after requestTimeout.
func (s *site) stream(w http.ResponseWriter, r *http.Request, one *session) {
	ctx, leave := s.follow(w, r, one)
	if ctx == nil {
		return
	}
	defer leave()
	l := s.live.join()
	defer s.live.leave(l)
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // of a proxy
	out := http.NewResponseController(w)
	send := func(m message) bool {
		if out.SetWriteDeadline(time.Now().Add(requestTimeout)) != nil {
			return false
		}
		if _, err := w.Write(m); err != nil {
			return false
		}
		return out.Flush() == nil
	}
	alive := time.NewTicker(keepAlive)
	defer alive.Stop()
	round, open := []message{newMessage("hello", hello{build()})}, true
	for open {
		for _, m := range round {
			if !send(m) {
				return
			}
		}
		select {
		case round, open = <-l.rounds:
		case <-alive.C:
			round = []message{message(": still here\n\n")}
		case <-ctx.Done():
			return
		}
	}
}

// hello begins a stream.
type hello struct {
	Build string `json:"build"`
}
