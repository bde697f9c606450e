package metrics

import (
	"fmt"

	"github.com/lvsd/lvsd/director"
)

// virtualOf is the service as ServiceStatus.Service has it.
func virtualOf(s *director.ServiceTraffic) string {
	switch {
	case s.Mark == 0:
		return s.Protocol + " " + s.Address
	case s.Family == "ipv6":
		return fmt.Sprintf("fwmark %d IPv6", s.Mark)
	default:
		return fmt.Sprintf("fwmark %d", s.Mark)
	}
}

func serviceTrafficMetrics() *subject[*director.ServiceTraffic] {
	return newSubject(placeLabels,
		counted("service", func(s *director.ServiceTraffic) *director.TrafficCounters { return &s.TrafficCounters })...)
}

func serverTrafficMetrics() *subject[*director.ServerTraffic] {
	type server = *director.ServerTraffic
	return newSubject(
		append(append([]string{}, placeLabels...), "server"),
		append(
			counted("server", func(s server) *director.TrafficCounters { return &s.TrafficCounters }),
			gauge("lvsd_server_active_connections", "Connections that are established.", func(s server) float64 { return float64(s.Active) }),
			gauge("lvsd_server_inactive_connections", "Connections that are not established any more, or not yet.", func(s server) float64 { return float64(s.Inactive) }),
			gauge("lvsd_server_persistent_connections", "Templates that keep clients at the real server.", func(s server) float64 { return float64(s.Persistent) }),
		)...,
	)
}

// counted are the counters of the kernel, which begin anew when the service or the
// server is added anew.
func counted[T any](of string, counters func(T) *director.TrafficCounters) []metric[T] {
	name := func(what string) string { return "lvsd_" + of + "_" + what + "_total" }
	return []metric[T]{
		counter(name("connections"), "Connections that were scheduled.", func(t T) uint64 { return counters(t).Connections }),
		counter(name("incoming_packets"), "Packets from clients.", func(t T) uint64 { return counters(t).InPackets }),
		counter(name("incoming_bytes"), "Bytes from clients.", func(t T) uint64 { return counters(t).InBytes }),
		counter(name("outgoing_packets"), "Packets to clients that passed this node: none with direct routing and tunnels.", func(t T) uint64 {
			return counters(t).OutPackets
		}),
		counter(name("outgoing_bytes"), "Bytes to clients that passed this node: none with direct routing and tunnels.", func(t T) uint64 {
			return counters(t).OutBytes
		}),
	}
}
