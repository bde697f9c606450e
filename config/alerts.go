package config

// readAlerts reads [alerts] for the node of the table.
func readAlerts(t *table) Alerts {
	t = t.forNode()
	defer t.close()
	return Alerts{}
}
