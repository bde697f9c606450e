package config

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lvsd/lvsd/director/ipvs"
)

// longestTimeout is ipvsadm's limit for every timeout: the kernel counts ticks
// in 32 bits.
const longestTimeout = 31 * 24 * time.Hour

// sysctlPrefix is where the kernel parameters of [ipvs.sysctl] are.
const sysctlPrefix = "net.ipv4.vs."

// ipvsTable is [ipvs] and where its kernel parameters are.
type ipvsTable struct {
	IPVS
	*table // [ipvs.sysctl]; nil where there is none
}

// readIPVS reads [ipvs].
func readIPVS(t *table) ipvsTable {
	defer t.close()
	timeout := duration(0, longestTimeout, time.Second)
	all := ipvsTable{IPVS: IPVS{Timeouts: ipvs.Timeouts{
		TCP:    read(t, "tcp_timeout", timeout).or(0),
		TCPFin: read(t, "tcpfin_timeout", timeout).or(0),
		UDP:    read(t, "udp_timeout", timeout).or(0),
	}}}
	all.table = t.sub("sysctl")
	t.describe("sysctl", "table of integers and strings", "names below "+strings.TrimSuffix(sysctlPrefix, "."), "none")
	if all.table != nil {
		all.Sysctls = readSysctls(all.table)
	}
	return all
}

// readSysctls reads [ipvs.sysctl]: names without their prefix.
func readSysctls(t *table) map[string]string {
	known := ipvsSysctls()
	values := make(map[string]string)
	for name, raw := range t.layers[0].values {
		at := t.at(name)
		k, ok := known[name]
		if rest, prefixed := strings.CutPrefix(name, sysctlPrefix); prefixed {
			t.failKey(at, "is below %s already, expected %q", strings.TrimSuffix(sysctlPrefix, "."), rest)
			continue
		}
		if !ok {
			t.failKey(at, "unknown kernel parameter%s", expectedName(name, slices.Collect(maps.Keys(known))))
			continue
		}
		value, err := k.parse(raw)
		if err != nil {
			t.fail(at, "%s", err)
			continue
		}
		values[sysctlPrefix+name] = value
	}
	return values
}

// is reports whether the file sets the kernel parameter to the value.
func (t ipvsTable) is(name, value string) bool { return t.Sysctls[sysctlPrefix+name] == value }

// ipvsSysctls are the parameters of net/netfilter/ipvs/ip_vs_ctl.c with what
// they can be; est_cpulist and est_nice are there from Linux 6.2 on.
func ipvsSysctls() map[string]kind[string] {
	flag, defence, count := sysctlNumber(0, 1), sysctlNumber(0, 3), sysctlNumber(0, 1<<31-1)
	return map[string]kind[string]{
		"am_droprate":               count,
		"amemthresh":                count,
		"backup_only":               flag,
		"cache_bypass":              flag,
		"conn_reuse_mode":           sysctlNumber(0, 3),
		"conntrack":                 flag,
		"debug_level":               count,
		"drop_entry":                defence,
		"drop_packet":               defence,
		"est_cpulist":               text("", `a list of processors in quotes, such as "0-3,8"`, checkProcessors),
		"est_nice":                  sysctlNumber(-20, 19),
		"expire_nodest_conn":        flag,
		"expire_quiescent_template": flag,
		"ignore_tunneled":           flag,
		"nat_icmp_send":             flag,
		"pmtu_disc":                 flag,
		"run_estimation":            flag,
		"schedule_icmp":             flag,
		"secure_tcp":                defence,
		"sloppy_sctp":               flag,
		"sloppy_tcp":                flag,
		"snat_reroute":              flag,
		"sync_persist_mode":         flag,
		"sync_ports":                syncPorts(),
		"sync_qlen_max":             count,
		"sync_refresh_period":       count,
		"sync_retries":              sysctlNumber(0, 3),
		"sync_sock_size":            count,
		"sync_threshold":            text("", `two integers in quotes, such as "3 50"`, checkSyncThreshold),
		"sync_version":              flag,
	}
}

// sysctlNumber is a parameter that is an integer.
func sysctlNumber(low, high int) kind[string] {
	number := integer(low, high)
	return kind[string]{parse: func(raw any) (string, error) {
		v, err := number.parse(raw)
		return strconv.Itoa(v), err
	}}
}

// syncPorts is how many ports, and kernel threads, a synchronisation daemon has.
func syncPorts() kind[string] {
	number := integer(1, 64)
	return kind[string]{parse: func(raw any) (string, error) {
		v, err := number.parse(raw)
		if err == nil && v&(v-1) != 0 {
			err = fmt.Errorf("%d is not a power of two, expected 1, 2, 4, 8, 16, 32 or 64", v)
		}
		return strconv.Itoa(v), err
	}}
}

// checkSyncThreshold wants "packets period" with the first below the second, or
// a period of 0.
func checkSyncThreshold(s string) error {
	packets, period, two := strings.Cut(s, " ")
	first, err := strconv.ParseInt(packets, 10, 32)
	second, err2 := strconv.ParseInt(period, 10, 32)
	if !two || err != nil || err2 != nil || first < 0 || second < 0 || second != 0 && first >= second {
		return fmt.Errorf("%q is no threshold, expected packets and period, the first less than the second or that 0, such as \"3 50\"", s)
	}
	return nil
}

// checkProcessors wants a list as of taskset: "0-3,8".
func checkProcessors(s string) error {
	for item := range strings.SplitSeq(s, ",") {
		low, high, isRange := strings.Cut(item, "-")
		first, err := strconv.ParseUint(low, 10, 16)
		last := first
		if isRange && err == nil {
			last, err = strconv.ParseUint(high, 10, 16)
		}
		if err != nil || last < first {
			return fmt.Errorf("%q is not a list of processors, expected numbers and ranges such as \"0-3,8\"", s)
		}
	}
	return nil
}
