package director

import (
	"maps"

	"github.com/lvsd/lvsd/config"
)

// planSysctls puts back what lvsd has set before and sets what is needed now: the
// parameters that belong to what the file asks for in any case, the others where
// it is told to. At a clean stop only those stay that keep quiet about the VIPs
// which stay on lo.
func planSysctls(want State, f Facts) {
	maps.Copy(want.Sysctls, f.Sysctls)
	for _, r := range Requirements(f.Config) {
		wanted := r.Always || f.Config.Sysctl.Manage
		if f.Stopping {
			wanted = staysOnStop(r, want)
		}
		if wanted {
			want.Sysctls[r.Name] = r.Value
		}
	}
	if !f.Stopping || f.handsOver() {
		planBackupOnly(want, f)
	}
}

// staysOnStop reports whether the parameter belongs to a VIP that stays on lo.
func staysOnStop(r Requirement, want State) bool {
	if !r.Quiet {
		return false
	}
	for vip := range want.VIPs {
		if vip.Interface == loopback {
			return true
		}
	}
	return false
}

// setSysctls are the names of all parameters that lvsd sets for c, in whatever
// role: their old values are to be kept.
func setSysctls(c *config.Config) Set[string] {
	names := Set[string]{}
	for _, r := range Requirements(c) {
		if r.Always || c.Sysctl.Manage {
			names.Add(r.Name)
		}
	}
	if keepsConnections(c) {
		names.Add(backupOnly)
	}
	return names
}
