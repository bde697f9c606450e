package config

// readReload reads [reload] for the node of the table.
func readReload(t *table) Reload {
	t = t.forNode()
	defer t.close()
	return Reload{}
}
