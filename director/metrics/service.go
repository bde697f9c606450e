package metrics

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/lvsd/lvsd/director"
)

// serverStates are those that are always told, as 0 or 1.
var serverStates = [...]string{"up", "down", "draining", "unknown"}

// placeLabels tell the places of a virtual service apart: one of the file may have
// several addresses.
var placeLabels = []string{"service", "virtual"}

// addressLabels are the labels of node_exporter's ipvs collector, of the virtual
// service.
var addressLabels = []string{"proto", "local_address", "local_port", "local_mark"}

// addressOf are the values of addressLabels, as node_exporter writes them.
func addressOf(s *director.ServiceStatus) []string {
	if s.Mark != 0 {
		return []string{"FWM", "", "0", fmt.Sprintf("%08X", s.Mark)}
	}
	at, _ := netip.ParseAddrPort(s.Address)
	return []string{strings.ToUpper(s.Protocol), addressText(at), portOf(at.Port()), ""}
}

func addressText(at netip.AddrPort) string {
	if !at.IsValid() {
		return ""
	}
	return at.Addr().String()
}

func serviceMetrics() *subject[*director.ServiceStatus] {
	type service = *director.ServiceStatus
	return newSubject(
		placeLabels,
		information("lvsd_service_info", "The virtual service, with the labels of node_exporter's ipvs collector.",
			append([]string{"scheduler", "forwarding"}, addressLabels...), func(s service) []string {
				return append([]string{s.Scheduler, s.Forwarding}, addressOf(s)...)
			}),
		metric[service]{
			name: "lvsd_service_servers", help: "Real servers by state.",
			labels: []string{"state"}, kind: gaugeValue, tell: tellServersByState,
		},
		boolean("lvsd_service_quorate", "Whether the service has its quorum, with the hysteresis.", func(s service) bool { return s.Quorum.Quorate }),
		moment("lvsd_service_quorate_change_timestamp_seconds", "When the service last gained or lost its quorum, in Unix time.", func(s service) time.Time {
			return s.Quorum.Since
		}),
		gauge("lvsd_service_quorum", "The least sum of weights that is in order.", func(s service) float64 { return float64(s.Quorum.Needed) }),
		gauge("lvsd_service_up_weight", "The sum of weights of the real servers that are up.", func(s service) float64 { return float64(s.Quorum.Up) }),
		boolean("lvsd_service_sorry_active", "Whether the sorry server is in use.", func(s service) bool { return s.Sorry }),
	)
}

func tellServersByState(s *director.ServiceStatus, put put) {
	counts := map[string]int{}
	for i := range s.RealServers {
		counts[valid(s.RealServers[i].State)]++
	}
	for _, state := range serverStates {
		put(float64(counts[state]), state)
		delete(counts, state)
	}
	for state, count := range counts {
		put(float64(count), state)
	}
}

// server is a real server of a virtual service.
type server struct {
	service *director.ServiceStatus
	*director.RealServerStatus
}

// label is the address, or the host name while that stands for none.
func (s server) label() string {
	if _, err := netip.ParseAddrPort(s.Address); err != nil && s.Host != "" {
		return s.Host
	}
	return s.Address
}

func serverMetrics() *subject[server] {
	return newSubject(
		append(append([]string{}, placeLabels...), "server"),
		information("lvsd_server_info", "The real server, with the labels of node_exporter's ipvs collector.",
			append([]string{"host", "remote_address", "remote_port"}, addressLabels...), func(s server) []string {
				at, _ := netip.ParseAddrPort(s.Address)
				return append([]string{s.Host, addressText(at), portOf(at.Port())}, addressOf(s.service)...)
			}),
		metric[server]{
			name: "lvsd_server_status", help: "Whether the real server is in the state.",
			labels: []string{"state"}, kind: gaugeValue, tell: tellState,
		},
		moment("lvsd_server_last_change_timestamp_seconds", "When the state last changed, in Unix time.", func(s server) time.Time { return s.Since }),
		metric[server]{
			name: "lvsd_server_weight", help: "The weight: in the file, to have while up, and in the kernel's table; -1 is not there.",
			labels: []string{"kind"}, kind: gaugeValue, tell: func(s server, put put) {
				put(float64(s.Configured), "configured")
				put(float64(s.Weight), "effective")
				put(float64(s.KernelWeight), "kernel")
			},
		},
		boolean("lvsd_server_enabled", "Whether no operator drains or disables the real server.", func(s server) bool {
			return s.Admin == "" || s.Admin == director.Enabled
		}),
	)
}

func tellState(s server, put put) {
	told := false
	for _, state := range serverStates {
		is := s.State == state
		told = told || is
		put(number(is), state)
	}
	if !told {
		put(1, s.State)
	}
}

func checkMetrics() *subject[*director.CheckStatus] {
	type check = *director.CheckStatus
	return newSubject(
		append(append([]string{}, placeLabels...), "server", "check", "target"),
		boolean("lvsd_server_check_up", "Whether the check is up, with rise and fall.", func(c check) bool { return c.State == "up" }),
		metric[check]{
			name: "lvsd_server_check_status", help: "Always 1, with the last result in HAProxy's vocabulary. Absent before the first.",
			labels: []string{"code"}, kind: gaugeValue, tell: func(c check, put put) {
				if c.Code != "" {
					put(1, c.Code)
				}
			},
		},
		metric[check]{
			name: "lvsd_server_check_duration_seconds", help: "How long the last check took. Absent before the first.",
			kind: gaugeValue, tell: func(c check, put put) {
				if !c.At.IsZero() {
					put(c.Duration.Seconds())
				}
			},
		},
		moment("lvsd_server_check_timestamp_seconds", "When the last check ended, in Unix time.", func(c check) time.Time { return c.At }),
		boolean("lvsd_server_check_flap_suppressed", "Whether the server is kept down because its state changed too often.", func(c check) bool {
			return c.FlapSuppressed
		}),
	)
}
