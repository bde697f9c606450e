package lab

import "path/filepath"

// StartVsftpd starts the file server on port 21, for anonymous users.
func (h *Host) StartVsftpd() *Daemon {
	h.lab.t.Helper()
	empty := h.lab.Dir(h.Name, "vsftpd", "empty")
	dir := h.serverDir("vsftpd", map[string]string{"vsftpd.conf": `background=NO
listen=YES
anonymous_enable=YES
anon_root=` + empty + `
secure_chroot_dir=` + empty + `
xferlog_enable=NO
isolate_network=NO
seccomp_sandbox=NO
`})
	return h.Start(Command{Name: "vsftpd", Args: []string{"vsftpd", filepath.Join(dir, "vsftpd.conf")}})
}
