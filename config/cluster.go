package config

// readCluster reads [cluster] for the node of the table.
func readCluster(t *table) *Cluster {
	if t == nil {
		return nil
	}
	t = t.forNode()
	defer t.close()
	return nil
}
