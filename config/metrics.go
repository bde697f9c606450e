package config

// readMetrics reads [metrics] for the node of the table.
func readMetrics(t *table) Metrics {
	t = t.forNode()
	defer t.close()
	return Metrics{}
}
