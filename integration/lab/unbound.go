package lab

import (
	"path/filepath"
	"strings"
)

// StartUnbound starts the name server on port 53. It knows the records of the
// zone, in the form of a zone file, and asks nobody else.
func (h *Host) StartUnbound(zone string, records ...string) *Daemon {
	h.lab.t.Helper()
	var config strings.Builder
	config.WriteString(unboundConfig)
	config.WriteString("local-zone: \"" + zone + "\" static\n")
	for _, record := range records {
		config.WriteString("local-data: '" + record + "'\n")
	}
	dir := h.serverDir("unbound", map[string]string{"unbound.conf": config.String()})
	return h.Start(Command{Name: "unbound", Args: []string{"unbound", "-dd", "-c", filepath.Join(dir, "unbound.conf")}})
}

const unboundConfig = `server:
interface: 0.0.0.0
access-control: 0.0.0.0/0 allow
do-ip6: no
do-daemonize: no
directory: "DIR"
chroot: ""
username: ""
pidfile: ""
use-syslog: no
module-config: "iterator"
`
