package lab

import "path/filepath"

// StartNginx starts the web server with the blocks, of http, that it is to have.
// In them and in the files, which lie beside its configuration, DIR is the
// directory of those.
func (h *Host) StartNginx(blocks string, files map[string]string) *Daemon {
	h.lab.t.Helper()
	files["nginx.conf"] = nginxConfig + blocks + "}\n"
	dir := h.serverDir("nginx", files)
	return h.Start(Command{
		Name: "nginx",
		Args: []string{"nginx", "-p", dir, "-c", filepath.Join(dir, "nginx.conf")},
	})
}

const nginxConfig = `daemon off;
worker_processes 1;
pid DIR/pid;
error_log stderr warn;
events {}
http {
access_log off;
client_body_temp_path DIR/body;
proxy_temp_path DIR/proxy;
fastcgi_temp_path DIR/fastcgi;
scgi_temp_path DIR/scgi;
uwsgi_temp_path DIR/uwsgi;
`
