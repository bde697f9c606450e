package lab

import "path/filepath"

// StartHAProxy starts HAProxy with the sections that it is to have after global.
// In them and in the files, which lie beside its configuration, DIR is the
// directory of those.
func (h *Host) StartHAProxy(sections string, files map[string]string) *Daemon {
	h.lab.t.Helper()
	all := map[string]string{"haproxy.cfg": "global\n    log stderr format raw local0\n\n" + sections}
	for name, text := range files {
		all[name] = text
	}
	dir := h.serverDir("haproxy", all)
	return h.Start(Command{
		Name: "haproxy",
		Args: []string{"haproxy", "-db", "-f", filepath.Join(dir, "haproxy.cfg")},
	})
}
