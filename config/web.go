package config

// readWeb reads [web] for the node of the table.
func readWeb(t *table) Web {
	t = t.forNode()
	defer t.close()
	return Web{}
}
