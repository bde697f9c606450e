package lab

import "path/filepath"

// StartDovecot starts IMAP and POP3 on ports 143, 993, 110 and 995, and on
// authPort of every address what Postfix asks about users, of whom there is
// one.
func (h *Host) StartDovecot(c Certificate, authPort, user, password string) *Daemon {
	h.lab.t.Helper()
	dir := h.serverDir("dovecot", map[string]string{
		"dovecot.conf": dovecotConfig + "ssl_cert = <" + c.File + "\nssl_key = <" + c.Key + `
passdb {
  driver = static
  args = user=` + user + " password=" + password + `
}
service auth {
  inet_listener {
    port = ` + authPort + `
  }
}
`,
	})
	h.lab.Dir(h.Name, "dovecot", "run")
	return h.Start(Command{Name: "dovecot", Args: []string{"dovecot", "-F", "-c", filepath.Join(dir, "dovecot.conf")}})
}

const dovecotConfig = `protocols = imap pop3
listen = *
base_dir = DIR/run
state_dir = DIR/run
log_path = /dev/stderr
ssl = yes
disable_plaintext_auth = yes
auth_mechanisms = plain login cram-md5
auth_failure_delay = 0
mail_location = maildir:DIR/mail/%u
first_valid_uid = 1
userdb {
  driver = static
  args = uid=dovecot gid=dovecot home=DIR/mail/%u
}
`
