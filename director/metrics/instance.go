package metrics

import (
	"time"

	"github.com/lvsd/lvsd/director"
)

// The values of lvsd_vrrp_state, which are those of keepalived's exporters; groups
// may be mixed.
const (
	stateInitialize = iota
	stateBackup
	stateMaster
	stateFault
	stateMixed
)

// stateNumber is the number of a state; -1 is one that has none.
func stateNumber(state string) float64 {
	switch state {
	case "initialize":
		return stateInitialize
	case "backup":
		return stateBackup
	case "master":
		return stateMaster
	case "fault":
		return stateFault
	case "mixed":
		return stateMixed
	}
	return -1
}

const twoMasters = "two_masters"

func instanceMetrics() *subject[*director.InstanceStatus] {
	type instance = *director.InstanceStatus
	return newSubject(
		// "instance" is Prometheus's own: it would be renamed.
		[]string{"vrid", "interface", "vrrp_instance"},
		gauge("lvsd_vrrp_state", "The state: 0 INITIALIZE, 1 BACKUP, 2 MASTER, 3 FAULT.", func(i instance) float64 { return stateNumber(i.State) }),
		gauge("lvsd_vrrp_priority", "The priority that tracking starts from.", func(i instance) float64 { return float64(i.BasePriority) }),
		gauge("lvsd_vrrp_effective_priority", "The priority with what trackers add and take away.", func(i instance) float64 { return float64(i.Priority) }),
		counter("lvsd_vrrp_transitions_total", "Changes of state.", func(i instance) uint64 { return i.Transitions }),
		counter("lvsd_vrrp_master_transitions_total", "Changes of state to MASTER.", func(i instance) uint64 { return i.MasterTransitions }),
		moment("lvsd_vrrp_last_transition_timestamp_seconds", "When the state last changed, in Unix time.", func(i instance) time.Time { return i.Since }),
		counter("lvsd_vrrp_advertisements_sent_total", "Adverts sent.", func(i instance) uint64 { return i.Sent }),
		counter("lvsd_vrrp_advertisements_received_total", "Adverts received and accepted.", func(i instance) uint64 { return i.Received }),
		counts("lvsd_vrrp_advertisements_discarded_total", "Packets that were not taken for adverts of this virtual router.", "reason", func(i instance) map[string]uint64 {
			return i.Discarded
		}),
		counts("lvsd_vrrp_notices_total", "What was wrong on the segment.", "kind", func(i instance) map[string]uint64 { return i.NoticeCounts }),
		counts("lvsd_vrrp_faults_total", "How often a cause of FAULT came up.", "cause", func(i instance) map[string]uint64 { return i.FaultCounts }),
		gauge("lvsd_vrrp_notices", "What is wrong on the segment now.", func(i instance) float64 { return float64(len(i.Notices)) }),
		boolean("lvsd_vrrp_two_masters", "Whether another router is MASTER beside this one.", hasTwoMasters),
		gauge("lvsd_vrrp_peers", "Other speakers of the virtual router.", func(i instance) float64 { return float64(len(i.Peers)) }),
		boolean("lvsd_vrrp_held", "Whether an operator keeps the instance from being MASTER.", func(i instance) bool { return i.Held }),
		metric[instance]{
			name: "lvsd_vrrp_master_info", help: "The address of the MASTER. Absent where none is known.",
			labels: []string{"address"}, kind: gaugeValue, tell: func(i instance, put put) {
				if i.Master != "" {
					put(1, i.Master)
				}
			},
		},
	)
}

// counts is a metric with a number for each value of a label.
func counts[T any](name, help, label string, values func(T) map[string]uint64) metric[T] {
	return metric[T]{counterValue, name, help, []string{label}, func(of T, put put) {
		sums := map[string]uint64{}
		for key, count := range values(of) {
			sums[valid(key)] += count
		}
		for key, sum := range sums {
			put(float64(sum), key)
		}
	}}
}

func hasTwoMasters(i *director.InstanceStatus) bool {
	for _, notice := range i.Notices {
		if notice.Kind == twoMasters {
			return true
		}
	}
	return false
}

func vipMetrics() *subject[*director.VIPStatus] {
	type vip = *director.VIPStatus
	return newSubject(
		[]string{"vrrp_instance", "vip"},
		boolean("lvsd_vip_held", "Whether the VIP is on the interface.", func(v vip) bool { return v.Held }),
		boolean("lvsd_vip_redirected", "Whether a rule makes this node accept what the MASTER forwards to it.", func(v vip) bool { return v.Redirected }),
	)
}

func groupMetrics() *subject[*director.GroupStatus] {
	type group = *director.GroupStatus
	return newSubject(
		[]string{"group"},
		gauge("lvsd_vrrp_group_state", "The state of all members: 0 INITIALIZE, 1 BACKUP, 2 MASTER, 3 FAULT, 4 mixed.", func(g group) float64 {
			return stateNumber(g.State)
		}),
		moment("lvsd_vrrp_group_last_transition_timestamp_seconds", "When that state last changed, in Unix time.", func(g group) time.Time { return g.Since }),
	)
}

func trackerMetrics() *subject[*director.TrackerStatus] {
	type tracker = *director.TrackerStatus
	return newSubject(
		[]string{"kind", "tracker"},
		boolean("lvsd_tracker_up", "Whether the tracker is up.", func(t tracker) bool { return t.State == "up" }),
		gauge("lvsd_tracker_value", "The number in a tracked file.", func(t tracker) float64 { return float64(t.Value) }),
		moment("lvsd_tracker_last_change_timestamp_seconds", "When the tracker last changed, in Unix time.", func(t tracker) time.Time { return t.Since }),
	)
}
