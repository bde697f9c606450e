package lab

import "path/filepath"

// squidProgram is where packages put it, and where scripts call it.
const squidProgram = "/usr/sbin/squid"

// A Squid is a real proxy of browsers in a host. It keeps nothing of what it
// fetches. Started by root it gives root up, as it would anywhere.
type Squid struct {
	*Daemon
	host *Host
	// config is the path of its configuration.
	config string
}

// StartSquid starts Squid with the lines that its configuration is to have: where
// it listens, and who may use it. It is not waited for.
func (h *Host) StartSquid(lines string) *Squid {
	h.lab.t.Helper()
	dir := h.serverDir("squid", map[string]string{
		"squid.conf": squidConfig + "visible_hostname " + h.Name + "\n" + lines,
	})
	s := &Squid{host: h, config: filepath.Join(dir, "squid.conf")}
	s.Start()
	return s
}

// Start starts Squid again after Stop or Kill.
func (s *Squid) Start() {
	s.host.lab.t.Helper()
	// In the foreground, and with -d what matters on standard error.
	s.Daemon = s.host.Start(Command{Name: "squid", Args: []string{squidProgram, "-N", "-d", "1", "-f", s.config}})
}

// Order is the command that tells this Squid something: "check", which only asks
// whether it runs, or "reconfigure".
func (s *Squid) Order(order string) []string {
	return []string{squidProgram, "-f", s.config, "-k", order}
}

// squidConfig has no cache. Without shutdown_lifetime a stop waits half a minute
// for clients; without max_filedescriptors a generous limit costs memory for each.
const squidConfig = `pid_filename DIR/pid
coredump_dir none
cache_log /dev/null
access_log none
cache_store_log none
cache deny all
netdb_filename none
pinger_enable off
hosts_file none
shutdown_lifetime 0 seconds
max_filedescriptors 1024
`
