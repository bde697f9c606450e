package config

import (
	"cmp"
	"slices"

	"github.com/lvsd/lvsd/healthcheck"
	"github.com/lvsd/lvsd/healthcheck/probe"
)

// withScriptUser has the hooks, and the scripts of trackers and checks, run as
// the global script_user where they name no user of their own.
func (c *Config) withScriptUser() {
	user := c.Global.ScriptUser
	if user == "" {
		return
	}
	for n := range c.VRRP {
		c.VRRP[n].Hooks.User = cmp.Or(c.VRRP[n].Hooks.User, user)
	}
	for n := range c.Groups {
		c.Groups[n].Hooks.User = cmp.Or(c.Groups[n].Hooks.User, user)
	}
	for n := range c.Trackers {
		t := &c.Trackers[n]
		if t.Spec.Script != nil {
			t.Spec.Script.User = cmp.Or(t.Spec.Script.User, user)
		}
		if t.Kind == TrackCheck {
			t.Check, _ = runAs(t.Check, user)
		}
	}
	// The servers of a group's services are one slice, and stay one.
	made := make(map[*RealServer][]RealServer)
	for n := range c.Services {
		s := &c.Services[n]
		s.Hooks.User = cmp.Or(s.Hooks.User, user)
		if len(s.RealServers) == 0 {
			continue
		}
		first := &s.RealServers[0]
		if _, done := made[first]; !done {
			made[first] = serversRunAs(s.RealServers, user)
		}
		s.RealServers = made[first]
	}
}

// serversRunAs are the servers, copied if a check changes: the cache keeps them
// for the next reading, which may know another user.
func serversRunAs(servers []RealServer, user string) []RealServer {
	copied := false
	for n := range servers {
		for m, spec := range servers[n].Checks {
			if as, changed := runAs(spec, user); changed {
				if !copied {
					servers, copied = slices.Clone(servers), true
				}
				servers[n].Checks = slices.Clone(servers[n].Checks)
				servers[n].Checks[m] = as
			}
		}
		for m, w := range servers[n].WeightChecks {
			if as, changed := runAs(w.Check, user); changed {
				if !copied {
					servers, copied = slices.Clone(servers), true
				}
				servers[n].WeightChecks = slices.Clone(servers[n].WeightChecks)
				servers[n].WeightChecks[m].Check = as
			}
		}
	}
	return servers
}

// runAs is the check with its script run as the user, if it is a script that
// names none.
func runAs(spec healthcheck.Spec, user string) (healthcheck.Spec, bool) {
	c := spec.Check()
	script, ok := c.Kind.(probe.Script)
	if !ok || script.User != "" {
		return spec, false
	}
	script.User = user
	c.Kind = script
	as := c.Of(spec.Target)
	as.Mark = spec.Mark
	return as, true
}
