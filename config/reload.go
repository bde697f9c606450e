package config

import "time"

// readReload reads [reload] for the node of the table.
func readReload(t *table) Reload {
	t = t.forNode()
	defer t.close()
	return Reload{
		Watch:        read(t, "watch", boolean()).or(false),
		SettleWithin: read(t, "settle_within", duration(time.Second, 10*time.Minute, 1)).or(30 * time.Second),
	}
}
