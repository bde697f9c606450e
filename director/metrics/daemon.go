package metrics

import (
	"runtime"
	"strconv"
	"time"

	"github.com/lvsd/lvsd/director"
)

// checkNotices are the kinds that are always told, as 0 or 1.
var checkNotices = [...]string{"delayed", "held", "starved"}

func daemonMetrics() *subject[*director.Status] {
	type status = *director.Status
	return newSubject(
		nil,
		information("lvsd_build_info", "The running lvsd.", []string{"version", "goversion"}, func(s status) []string {
			return []string{s.Version, runtime.Version()}
		}),
		moment("lvsd_start_time_seconds", "When the director started, in Unix time.", func(s status) time.Time { return s.Started }),
		boolean("lvsd_ready", "Whether every check has answered once.", func(s status) bool { return s.Ready }),
		boolean("lvsd_maintenance", "Whether this node is in maintenance.", func(s status) bool { return s.Maintenance != nil }),
		information("lvsd_config_hash_info", "The hash of the configuration file in force.", []string{"hash"}, func(s status) []string {
			return []string{s.ConfigHash}
		}),
		boolean("lvsd_config_last_reload_successful", "Whether the last reload, or the start, succeeded.", func(s status) bool { return s.Reload.OK }),
		moment("lvsd_config_last_reload_timestamp_seconds", "When the last reload was, or the start, in Unix time.", func(s status) time.Time {
			return s.Reload.At
		}),
		moment("lvsd_config_confirm_until_timestamp_seconds", "When the last reload is rolled back unless it is confirmed, in Unix time. Absent if there is nothing to confirm.", func(s status) time.Time {
			return s.Confirm
		}),
		boolean("lvsd_kernel_as_planned", "Whether the last reconciliation left the kernel as planned.", func(s status) bool { return s.Reconcile.Error == "" }),
		moment("lvsd_kernel_reconciled_timestamp_seconds", "When the last reconciliation was, in Unix time.", func(s status) time.Time {
			return s.Reconcile.At
		}),
		counter("lvsd_kernel_changes_total", "Operations on the kernel.", func(s status) uint64 { return uint64(max(s.Reconcile.Changes, 0)) }),
		gauge("lvsd_kernel_drift", "Changes by somebody else that are left as they are.", func(s status) float64 { return float64(len(s.Drift)) }),
		gauge("lvsd_kernel_foreign", "What stands in the kernel beside lvsd's own.", func(s status) float64 { return float64(len(s.Foreign)) }),
		gauge("lvsd_sysctls_wrong", "Kernel parameters that are not as the configuration needs them.", func(s status) float64 {
			return float64(len(s.Sysctls))
		}),
		metric[status]{
			name: "lvsd_checks_notice", help: "Whether checks as a whole are delayed, held or starved.",
			labels: []string{"kind"}, kind: gaugeValue, tell: tellCheckNotices,
		},
	)
}

func tellCheckNotices(s *director.Status, put put) {
	now := map[string]bool{}
	for _, notice := range s.CheckNotices {
		now[valid(notice.Kind)] = true
	}
	for _, kind := range checkNotices {
		put(number(now[kind]), kind)
		delete(now, kind)
	}
	for kind := range now {
		put(1, kind)
	}
}

// readingMetrics are of the error that the kernel's counters were read with.
func readingMetrics() *subject[error] {
	return newSubject(nil, boolean("lvsd_traffic_read_successful", "Whether the kernel's counters could be read.", func(err error) bool { return err == nil }))
}

func overrideMetrics() *subject[*director.Override] {
	type override = *director.Override
	return newSubject(
		[]string{"service", "server", "target_node"},
		metric[override]{
			name: "lvsd_override_set_timestamp_seconds", help: "When an operator set the override that stands, in Unix time.",
			labels: []string{"state"}, kind: gaugeValue,
			tell: func(o override, put put) { put(seconds(o.At), overrideState(o)) },
		},
		moment("lvsd_override_until_timestamp_seconds", "When the override ends by itself, in Unix time. Absent if it stands until it is cleared.", func(o override) time.Time {
			return o.Until
		}),
	)
}

// overrideState is the state that is ordered, or that it is a weight.
func overrideState(o *director.Override) string {
	if o.State == "" {
		return "weight"
	}
	return string(o.State)
}

func hostMetrics() *subject[*director.HostStatus] {
	type host = *director.HostStatus
	return newSubject(
		[]string{"host"},
		boolean("lvsd_host_lookup_successful", "Whether the last lookup of the real servers' host name succeeded.", func(h host) bool { return h.Error == "" }),
		gauge("lvsd_host_addresses", "Addresses that the host name stands for.", func(h host) float64 { return float64(len(h.Addresses)) }),
	)
}

func syncMetrics() *subject[*director.DaemonStatus] {
	return newSubject(
		[]string{"state", "interface", "id"},
		gauge("lvsd_sync_daemon", "Always 1 while the synchronisation daemon runs: a master sends connections, a backup receives them.", func(*director.DaemonStatus) float64 {
			return 1
		}),
	)
}

// conflictPlace is where an address conflict is. Who the other hosts say to be is
// left out: they could say anything.
type conflictPlace struct{ vip, ifname string }

// standingConflicts counts the hosts that have not fallen silent.
func standingConflicts(conflicts []director.ConflictStatus) map[conflictPlace]int {
	counts := map[conflictPlace]int{}
	for _, c := range conflicts {
		place := conflictPlace{valid(c.VIP), valid(c.Interface)}
		counts[place] += int(number(!c.Ended))
	}
	return counts
}

func conflictMetrics() *subject[int] {
	return newSubject(
		[]string{"vip", "interface"},
		gauge("lvsd_address_conflicts", "Other hosts that say they have a VIP of this MASTER.", func(count int) float64 { return float64(count) }),
	)
}

// node is another node, and the hash of this node's configuration.
type node struct {
	*director.NodeStatus
	hash string
}

func nodeMetrics() *subject[node] {
	return newSubject(
		[]string{"peer"},
		boolean("lvsd_peer_up", "Whether the other node of the cluster answers.", func(n node) bool { return n.Reachable }),
		information("lvsd_peer_info", "The other node as it last told of itself.", []string{"address", "version", "hash"}, func(n node) []string {
			return []string{n.Address, n.Version, n.ConfigHash}
		}),
		boolean("lvsd_peer_ready", "Whether every check of the other node has answered once.", func(n node) bool { return n.Ready }),
		boolean("lvsd_peer_maintenance", "Whether the other node is in maintenance.", func(n node) bool { return n.Maintenance }),
		moment("lvsd_peer_last_answer_timestamp_seconds", "When the other node last answered, in Unix time.", func(n node) time.Time { return n.Last }),
		metric[node]{
			name: "lvsd_peer_config_in_sync", help: "Whether the other node serves the same configuration file. Absent before it has answered.",
			kind: gaugeValue, tell: func(n node, put put) {
				if n.ConfigHash != "" && n.hash != "" {
					put(number(n.ConfigHash == n.hash))
				}
			},
		},
	)
}

// portOf is a port as node_exporter writes it.
func portOf(port uint16) string { return strconv.Itoa(int(port)) }
