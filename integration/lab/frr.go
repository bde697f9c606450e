package lab

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
)

// The daemons of FRR that VRRP takes, and the shell that talks to them.
const (
	frrZebra = "/usr/lib/frr/zebra"
	frrVRRP  = "/usr/lib/frr/vrrpd"
	frrShell = "vtysh"
	// frrUser owns the daemons' sockets; they give up root for it.
	frrUser = "frr"
)

// An FRR is FRRouting's zebra and vrrpd in a host, with a directory of their
// own.
type FRR struct {
	host *Host
	dir  string
	// zebra brings the interfaces up and down that vrrpd wants so.
	zebra, vrrpd *Daemon
}

// NewFRR prepares FRR in the host and starts nothing.
func (h *Host) NewFRR() *FRR {
	h.lab.t.Helper()
	f := &FRR{host: h, dir: h.lab.Dir(h.Name, "frr")}
	// The shell warns on its output when it has no configuration.
	shell := os.WriteFile(filepath.Join(f.dir, "vtysh.conf"), nil, 0o644)
	if err := errors.Join(shell, giveTo(frrUser, f.dir)); err != nil {
		h.lab.t.Fatalf("host %s: frr: %v", h.Name, err)
	}
	return f
}

// Start starts both daemons with vrrpd's configuration and returns when vrrpd
// answers.
func (f *FRR) Start(config string) {
	f.host.lab.t.Helper()
	// vrrpd waits 10 seconds before it tries again to reach a zebra that does
	// not listen: a socket that an earlier one left behind must not be taken
	// for the new one's.
	_ = os.Remove(f.zebraSocket())
	f.zebra = f.start(frrZebra, "zebra", "")
	f.host.lab.WaitFor("zebra to listen", func() error {
		_, err := os.Stat(f.zebraSocket())
		return err
	})
	f.vrrpd = f.start(frrVRRP, "vrrpd", config)
	f.host.lab.WaitFor("vrrpd to answer", func() error {
		_, err := f.Shell("show vrrp json")
		return err
	})
}

func (f *FRR) start(program, name, config string) *Daemon {
	f.host.lab.t.Helper()
	path := filepath.Join(f.dir, name+".conf")
	if err := errors.Join(os.WriteFile(path, []byte(config), 0o640), giveTo(frrUser, path)); err != nil {
		f.host.lab.t.Fatalf("host %s: %s: %v", f.host.Name, name, err)
	}
	return f.host.Start(Command{
		Name: name,
		// In the foreground, without a TCP port, the log on standard output.
		Args: []string{
			program, "-f", path, "-i", filepath.Join(f.dir, name+".pid"), "-z", f.zebraSocket(),
			"--vty_socket", f.dir, "-P", "0", "--log", "stdout",
		},
	})
}

func (f *FRR) zebraSocket() string { return filepath.Join(f.dir, "zserv.api") }

// Shell runs commands in vrrpd's shell and returns what it printed.
func (f *FRR) Shell(commands ...string) (string, error) {
	args := []string{"--vty_socket", f.dir, "--config_dir", f.dir, "-d", "vrrpd"}
	for _, command := range commands {
		args = append(args, "-c", command)
	}
	return f.host.Try(frrShell, args...)
}

// Running tells whether vrrpd runs.
func (f *FRR) Running() bool { return f.vrrpd != nil && f.vrrpd.Running() }

// Output is vrrpd's log since it was started.
func (f *FRR) Output() string { return f.vrrpd.Output() }

// Stop ends vrrpd with SIGTERM and then zebra, which does what vrrpd asked for
// in its end.
func (f *FRR) Stop() error { return errors.Join(f.vrrpd.Stop(), f.zebra.Stop()) }

// Kill ends both daemons with SIGKILL.
func (f *FRR) Kill() {
	f.vrrpd.Kill()
	f.zebra.Kill()
}

// AddVRRPLink adds the interface that vrrpd works on, and creates none of: a
// macvlan on the host's interface with the virtual router's hardware address
// (RFC 5798 section 7.3) and its addresses, of one family.
func (h *Host) AddVRRPLink(vrid int, addresses ...netip.Addr) (name string) {
	h.lab.t.Helper()
	name = fmt.Sprintf("vrrp4-%d", vrid)
	if addresses[0].Is6() {
		name = fmt.Sprintf("vrrp6-%d", vrid)
	}
	h.Run("ip", "link", "add", name, "link", LinkName, "address", VirtualMAC(vrid, addresses[0]),
		"type", "macvlan", "mode", "bridge")
	// Two routers must not send adverts from the same link-local address, which
	// the shared hardware address would give them; and one that the kernel made
	// by itself would be there too late for the first advert.
	h.Run("ip", "link", "set", name, "addrgenmode", "none")
	h.Run("ip", "address", "add", h.linkLocal()+"/64", "dev", name, "nodad")
	for _, a := range addresses {
		// Duplicate address detection would find the VIP with the MASTER that
		// vrrpd replaces.
		h.Run("ip", "address", "add", netip.PrefixFrom(a, a.BitLen()).String(), "dev", name, "nodad")
	}
	// vrrpd lifts this when it becomes MASTER. Without, the addresses would be
	// in use until it starts.
	h.Run("ip", "link", "set", name, "protodown", "on")
	h.Run("ip", "link", "set", name, "up")
	return name
}

// linkLocal is an address that no other host of the lab has.
func (h *Host) linkLocal() string {
	address := h.Address.As4()
	return netip.AddrFrom16([16]byte{0: 0xfe, 1: 0x80, 12: address[0], 13: address[1], 14: address[2], 15: address[3]}).String()
}

// VirtualMAC is the hardware address of a virtual router in the address's
// family (RFC 5798 section 7.3).
func VirtualMAC(vrid int, address netip.Addr) string {
	if address.Is4() {
		return fmt.Sprintf("00:00:5e:00:01:%02x", vrid)
	}
	return fmt.Sprintf("00:00:5e:00:02:%02x", vrid)
}

// giveTo makes a file the user's.
func giveTo(name, path string) error {
	owner, err := user.Lookup(name)
	if err != nil {
		return err
	}
	uid, _ := strconv.Atoi(owner.Uid)
	gid, _ := strconv.Atoi(owner.Gid)
	return os.Chown(path, uid, gid)
}
