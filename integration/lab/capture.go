package lab

import (
	"fmt"
	"path/filepath"
	"strings"
)

// A Capture is a tcpdump on a host's interface.
type Capture struct {
	host   *Host
	daemon *Daemon
	path   string
}

// Capture starts to capture what a filter in tcpdump's language selects, and
// returns when packets are being seen.
func (h *Host) Capture(filter string) *Capture {
	h.lab.t.Helper()
	h.mu.Lock()
	n := len(h.daemons)
	h.mu.Unlock()
	path := filepath.Join(h.lab.Dir(h.Name), fmt.Sprintf("capture-%d.pcap", n))
	d := h.Start(Command{
		Name: "tcpdump " + filter,
		// -U and --immediate-mode: a packet is in the file when it was seen.
		Args: []string{"tcpdump", "-U", "--immediate-mode", "-Z", "root", "-i", LinkName, "-w", path, filter},
	})
	h.lab.WaitFor("tcpdump to listen", func() error {
		if !strings.Contains(d.Output(), "listening on") {
			return fmt.Errorf("it printed %q", d.Output())
		}
		return nil
	})
	return &Capture{host: h, daemon: d, path: path}
}

// Stop ends the capture and returns the file.
func (c *Capture) Stop() string {
	_ = c.daemon.Stop()
	return c.path
}

// Print returns the packets so far as tcpdump prints them, with the options
// given: "-e" for hardware addresses, "-vvv" for all fields.
func (c *Capture) Print(options ...string) string {
	c.host.lab.t.Helper()
	return c.host.Run("tcpdump", append([]string{"-nn", "-tt", "-r", c.path}, options...)...)
}
