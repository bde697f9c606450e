package config

import (
	"slices"
	"strings"
)

// keepalivedNames are keepalived's words for what has another name here, so
// that someone who writes them from memory is told the right one.
var keepalivedNames = map[string]string{
	"advert_int":                 "advert_interval",
	"alpha":                      "check",
	"auth_hmac":                  "auth",
	"auth_pass":                  "password",
	"auth_type":                  "type",
	"authentication":             "auth",
	"brd":                        "broadcast",
	"check_unicast_src":          "check_source",
	"connect_timeout":            "timeout",
	"delay_before_retry":         "retry_delay",
	"delay_loop":                 "interval",
	"dev":                        "interface",
	"fwmark":                     "firewall_mark",
	"garp_master_delay":          "delay",
	"garp_master_refresh":        "refresh",
	"garp_master_repeat":         "count",
	"group":                      "instances",
	"hysteresis":                 "quorum_hysteresis",
	"inhibit_on_failure":         "on_failure",
	"ip_family":                  "family",
	"lb_algo":                    "scheduler",
	"lb_kind":                    "forwarding",
	"lthreshold":                 "lower_connections",
	"lvs_method":                 "forwarding",
	"lvs_sched":                  "scheduler",
	"lvs_sync_daemon":            "sync",
	"lvs_timeouts":               "ipvs",
	"mcast_dst_ip":               "multicast_group",
	"mcast_src_ip":               "source",
	"nopreempt":                  "preempt",
	"notify_backup":              "notify",
	"notify_down":                "hooks",
	"notify_fault":               "notify",
	"notify_master":              "notify",
	"notify_up":                  "hooks",
	"ops":                        "one_packet",
	"persistence_granularity":    "granularity",
	"persistence_timeout":        "persistence",
	"quorum_down":                "hooks",
	"quorum_up":                  "hooks",
	"retry":                      "retries",
	"script":                     "command",
	"sorry_server_inhibit":       "inhibit",
	"sorry_server_lvs_method":    "forwarding",
	"status_code":                "status",
	"track_file":                 "track",
	"track_interface":            "track",
	"track_process":              "track",
	"track_script":               "track",
	"unicast_peer":               "peers",
	"unicast_src_ip":             "source",
	"uthreshold":                 "upper_connections",
	"via":                        "gateway",
	"virtual_ipaddress":          "vips",
	"virtual_ipaddress_excluded": "excluded_vips",
	"virtual_router_id":          "vrid",
	"virtual_routes":             "route",
	"virtual_rules":              "rule",
	"virtual_server":             "virtual_service",
	"virtualhost":                "host",
	"vrrp_instance":              "vrrp",
	"vrrp_script":                "tracker",
	"vrrp_startup_delay":         "settle",
	"vrrp_sync_group":            "sync_group",
	"vrrp_track_file":            "tracker",
	"vrrp_track_process":         "tracker",
}

// Nearest is nearest, for names that are not in a file.
func Nearest(name string, valid []string) string { return nearest(name, valid) }

// nearest returns the valid name that was probably meant, or "" when none is
// near enough to be worth saying.
func nearest(name string, valid []string) string {
	if meant := keepalivedNames[name]; slices.Contains(valid, meant) {
		return meant
	}
	best, distance := closest(name, valid)
	if distance > 1+len(name)/4 {
		return ""
	}
	return best
}

// closest returns the valid name at the least distance; of equals the first in
// alphabetical order.
func closest(name string, valid []string) (best string, distance int) {
	for _, v := range slices.Sorted(slices.Values(valid)) {
		if d := editDistance(strings.ToLower(name), strings.ToLower(v)); best == "" || d < distance {
			best, distance = v, d
		}
	}
	return best, distance
}

// editDistance counts the letters to insert, delete, replace, or swap with
// their neighbour, to turn a into b (optimal string alignment).
func editDistance(a, b string) int {
	before, last := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row := make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			change := 1
			if a[i-1] == b[j-1] {
				change = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}
