package config

import "net/netip"

// metricsAddress is where Prometheus asks unless the file says otherwise.
var metricsAddress = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), 9466)

// readMetrics reads [metrics] for the node of the table.
func readMetrics(t *table) (Metrics, listener) {
	t = t.forNode()
	defer t.close()
	m := Metrics{
		Listen:          read(t, "listen", listenAddress()).or(metricsAddress),
		KeepalivedNames: read(t, "keepalived_names", boolean()).or(false),
		Allow:           readAllow(t),
	}
	return m, listener{t, "[metrics]", t.at("listen"), m.Listen}
}
