package doctor

import (
	"github.com/lvsd/lvsd/config"
)

const setTime = "timedatectl set-ntp true"

// findClock tells of a clock that nobody keeps in time. Signed adverts have the
// time in them.
func findClock(c *Case) []Finding {
	if c.Clock != ClockFree {
		return nil
	}
	f := Finding{
		ID: "clock-free", Severity: Note, Subject: "clock", What: "the kernel says that nobody keeps it in time",
		Breaks: "times in the logs of several nodes cannot be compared", Mend: setTime,
	}
	if name := signedInstance(c.Config); name != "" {
		f.Severity = Warning
		f.Breaks = "instance " + name + " signs its adverts: when the nodes' clocks are further apart than the window, " +
			"they discard each other's and both become MASTER"
	}
	return []Finding{f}
}

// signedInstance is an instance whose adverts are accepted only in time; empty if
// there is none.
func signedInstance(c *config.Config) string {
	for _, v := range c.VRRP {
		if len(v.Router.HMAC.Keys) > 0 && v.Router.HMAC.Window > 0 {
			return v.Router.Name
		}
	}
	return ""
}
