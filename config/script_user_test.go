package config

import (
	"testing"

	"github.com/lvsd/lvsd/healthcheck/probe"
)

// TestScriptUser wants everything that runs a program to run it as script_user
// unless it names a user, also when a service comes from the cache.
func TestScriptUser(t *testing.T) {
	const file = `
[[tracker]]
name = "queue"
type = "script"
command = ["/bin/true"]
[[tracker]]
name = "disk"
type = "check"
check = { type = "script", command = ["/bin/true"], address = "127.0.0.1" }
[[vrrp]]
name = "web"
interface = "eth0"
vrid = 1
vips = ["192.0.2.80"]
notify = { master = ["/bin/true"] }
[[vrrp]]
name = "own"
interface = "eth0"
vrid = 2
vips = ["192.0.2.81"]
notify = { master = ["/bin/true"], user = "root" }
[[virtual_service]]
addresses = ["192.0.2.80"]
ports = [80, 81]
protocol = "tcp"
hooks = { quorum_up = ["/bin/true"] }
real_server = [
  { address = "192.0.2.1" },
  { address = "192.0.2.2", check = { type = "script", command = ["/bin/true"], user = "daemon" } },
]
check = { type = "script", command = ["/bin/true"] }
`
	cache := new(Cache)
	for _, user := range []string{"", "nobody", "65534:65534", ""} {
		text := file
		if user != "" {
			text = "global.script_user = \"" + user + "\"\n" + file
		}
		c, err := parseCached(cache, text, "relay1")
		if err != nil {
			t.Fatal(err)
		}
		runs := map[string]string{
			"tracker":          c.Trackers[0].Spec.Script.User,
			"check of tracker": c.Trackers[1].Check.Check().Kind.(probe.Script).User,
			"hook":             c.VRRP[0].Hooks.User,
		}
		for _, s := range c.Services {
			runs["hook of "+s.Name] = s.Hooks.User
			runs["check of "+s.Name] = s.RealServers[0].Checks[0].Check().Kind.(probe.Script).User
			if got := s.RealServers[1].Checks[0].Check().Kind.(probe.Script).User; got != "daemon" {
				t.Errorf("script_user %q: a check of daemon's runs as %q", user, got)
			}
		}
		for what, got := range runs {
			if got != user {
				t.Errorf("script_user %q: %s runs as %q", user, what, got)
			}
		}
		if got := c.VRRP[1].Hooks.User; got != "root" {
			t.Errorf("script_user %q: a hook of root's runs as %q", user, got)
		}
	}
}
