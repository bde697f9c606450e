package config

import "time"

// readGlobal reads [global].
func readGlobal(t *table) Global {
	t = t.forNode()
	defer t.close()
	return Global{
		RouterID:   read(t, "router_id", label()).orElse(t.node, "the host name"),
		Resync:     read(t, "resync", duration(100*time.Millisecond, time.Hour, 1)).or(time.Second),
		OnDrift:    OnDrift(read(t, "on_drift", choice(string(Repair), string(Report))).or(string(Repair))),
		ScriptUser: read(t, "script_user", kinds.user).orElse("", "lvsd's own"),
		LockWait:   read(t, "lock_wait", duration(time.Second, time.Minute, time.Second)).or(time.Second),
	}
}

// readSysctl reads [sysctl].
func readSysctl(t *table) Sysctl {
	defer t.close()
	return Sysctl{Manage: read(t, "manage", boolean()).or(false)}
}
