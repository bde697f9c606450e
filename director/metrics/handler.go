package metrics

import (
	"log/slog"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/lvsd/lvsd/config"
)

// maxAnswers bounds how many are answered at a time: each is a copy of all that is
// told.
const maxAnswers = 3

// newHandler answers those that c allows.
func newHandler(c config.Metrics, source Source, log *slog.Logger) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		newCollector(source, c.KeepalivedNames, log),
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	mux := http.NewServeMux()
	mux.Handle("GET "+Path, promhttp.HandlerFor(registry, promhttp.HandlerOpts{
		ErrorLog:            slog.NewLogLogger(log.Handler(), slog.LevelError),
		ErrorHandling:       promhttp.ContinueOnError,
		MaxRequestsInFlight: maxAnswers,
		EnableOpenMetrics:   true,
	}))
	return allowing(c.Allow, mux)
}

// allowing refuses who is not one of the clients.
func allowing(clients config.Clients, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !clients.Include(r.RemoteAddr) {
			http.Error(w, "not one of the clients that [metrics] allows", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}
