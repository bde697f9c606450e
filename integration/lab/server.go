package lab

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
)

// WaitListening waits until each of the ports of the host accepts connections.
// The test ends at once if a daemon of the host does.
func (h *Host) WaitListening(ports ...uint16) {
	h.lab.t.Helper()
	for _, port := range ports {
		address := netip.AddrPortFrom(h.Address, port)
		h.lab.WaitFor(fmt.Sprintf("%s of %s", address, h.Name), func() error {
			h.wantRunning()
			return h.Do(func() error {
				conn, err := net.DialTimeout("tcp", address.String(), pollInterval)
				if err != nil {
					return err
				}
				return conn.Close()
			})
		})
	}
}

// wantRunning ends the test if a daemon of the host has ended.
func (h *Host) wantRunning() {
	h.lab.t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, d := range h.daemons {
		if !d.Running() {
			h.lab.t.Fatalf("host %s: %s has ended: %v: %s", h.Name, d.Name, d.err, d.Output())
		}
	}
}

// serverDir is the directory of a server of the host, whose files below it are
// written. In their text, DIR is that directory.
func (h *Host) serverDir(name string, files map[string]string) string {
	h.lab.t.Helper()
	dir := h.lab.Dir(h.Name, name)
	for file, text := range files {
		text = strings.ReplaceAll(text, "DIR", dir)
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o644); err != nil {
			h.lab.t.Fatalf("host %s: %s: %v", h.Name, name, err)
		}
	}
	return dir
}
