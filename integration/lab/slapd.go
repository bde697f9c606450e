package lab

import (
	"fmt"
	"path/filepath"
)

// StartSlapd starts the directory server on port 389, with nothing in it but the
// entry that describes the server.
func (h *Host) StartSlapd() *Daemon {
	h.lab.t.Helper()
	dir := h.serverDir("slapd", map[string]string{"slapd.conf": "pidfile DIR/pid\nargsfile DIR/args\n"})
	return h.Start(Command{
		Name: "slapd",
		// With a debug level it stays in the foreground.
		Args: []string{"slapd", "-f", filepath.Join(dir, "slapd.conf"), "-h", fmt.Sprintf("ldap://%s/", h.Address), "-d", "stats"},
	})
}
