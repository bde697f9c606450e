package metrics

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/lvsd/lvsd/director"
)

// keepalived tells by the names of keepalived-exporter, for dashboards that know
// those.
type keepalived struct {
	daemon    *subject[*director.Status]
	instances *subject[*director.InstanceStatus]
	vips      *subject[*director.InstanceStatus]
	scripts   *subject[*director.TrackerStatus]
}

func newKeepalived() *keepalived {
	type instance = *director.InstanceStatus
	discarded := func(name, help string, reasons ...string) metric[instance] {
		return counter(name, help, func(i instance) (sum uint64) {
			for _, reason := range reasons {
				sum += i.Discarded[reason]
			}
			return sum
		})
	}
	return &keepalived{
		daemon: newSubject(nil, gauge("keepalived_up", "Always 1: lvsd answers.", func(*director.Status) float64 { return 1 })),
		vips: newSubject(
			[]string{"intf", "vrid", "iname", "ip_address"},
			gauge("keepalived_vrrp_state", "The state of each VIP's instance: 0 INIT, 1 BACKUP, 2 MASTER, 3 FAULT.", func(i instance) float64 {
				return stateNumber(i.State)
			}),
		),
		instances: newSubject(
			[]string{"intf", "vrid", "iname"},
			counter("keepalived_advertisements_sent_total", "Adverts sent.", func(i instance) uint64 { return i.Sent }),
			counter("keepalived_advertisements_received_total", "Adverts received.", func(i instance) uint64 { return i.Received }),
			counter("keepalived_become_master_total", "Changes of state to MASTER.", func(i instance) uint64 { return i.MasterTransitions }),
			counter("keepalived_release_master_total", "Changes of state from MASTER.", released),
			discarded("keepalived_packet_length_errors_total", "Packets of a wrong length.", "length"),
			discarded("keepalived_advertisements_interval_errors_total", "Adverts of another interval.", "interval", "interval_zero"),
			discarded("keepalived_ip_ttl_errors_total", "Packets that were forwarded.", "ttl"),
			discarded("keepalived_invalid_type_received_total", "Packets that are no adverts.", "type"),
			discarded("keepalived_address_list_errors_total", "Adverts without addresses.", "count_zero"),
			discarded("keepalived_authentication_invalid_total", "Packets without the authentication that is wanted.", "hmac_type", "hmac_missing"),
			discarded("keepalived_authentication_mismatch_total", "Adverts of another auth type.", "auth_type"),
			discarded("keepalived_authentication_failure_total", "Adverts of another password or key, and replays.",
				"password", "hmac", "hmac_key", "hmac_time", "hmac_replay"),
		),
		scripts: newSubject(
			[]string{"name"},
			boolean("keepalived_script_status", "Whether the tracked script succeeds.", func(t *director.TrackerStatus) bool { return t.State == "up" }),
		),
	}
}

// released counts the changes from MASTER: each but the one that stands was one.
func released(i *director.InstanceStatus) uint64 {
	if i.State == "master" && i.MasterTransitions > 0 {
		return i.MasterTransitions - 1
	}
	return i.MasterTransitions
}

func (k *keepalived) describe(to chan<- *prometheus.Desc) {
	k.daemon.describe(to)
	k.instances.describe(to)
	k.vips.describe(to)
	k.scripts.describe(to)
}

func (k *keepalived) tell(to chan<- prometheus.Metric, status *director.Status) {
	k.daemon.tell(to, status, nil)
	instances, vips := distinct{}, distinct{}
	for i := range status.Instances {
		instance := &status.Instances[i]
		vrid := strconv.Itoa(instance.VRID)
		k.instances.tell(to, instance, instances.of(instance.Interface, vrid, instance.Name))
		for j := range instance.VIPs {
			k.vips.tell(to, instance, vips.of(instance.Interface, vrid, instance.Name, instance.VIPs[j].Address))
		}
	}
	scripts := distinct{}
	for i := range status.Trackers {
		if tracker := &status.Trackers[i]; tracker.Kind == "script" {
			k.scripts.tell(to, tracker, scripts.of(tracker.Name))
		}
	}
}
