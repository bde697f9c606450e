package lab

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
)

// MailDomain is the domain for which every Postfix takes mail; it delivers all
// of it to one file.
const MailDomain = "example.test"

// postfixMaster is Postfix without the shell script around it, which checks a
// whole system's installation at every start.
const postfixMaster = "/usr/lib/postfix/sbin/master"

// A Postfix is a real mail server in a host, with configuration, queue and
// mailbox of its own.
type Postfix struct {
	*Daemon
	host  *Host
	dir   string
	added PostfixConfig
}

// PostfixConfig are lines to add to the configuration of a Postfix: to main.cf
// and to the services in master.cf.
type PostfixConfig struct{ Main, Master string }

// StartPostfix starts Postfix on port 25 of all the host's addresses and
// returns when it greets. Its greeting has the host's name.
func (h *Host) StartPostfix() *Postfix {
	h.lab.t.Helper()
	return h.StartPostfixWith(PostfixConfig{})
}

// StartPostfixWith is StartPostfix with more in its configuration.
func (h *Host) StartPostfixWith(added PostfixConfig) *Postfix {
	h.lab.t.Helper()
	p := &Postfix{host: h, dir: h.lab.Dir(h.Name, "postfix"), added: added}
	if err := p.layOut(); err != nil {
		h.lab.t.Fatalf("host %s: postfix: %v", h.Name, err)
	}
	p.Start()
	return p
}

// Start starts Postfix again after Stop or Kill, with the mail it had.
func (p *Postfix) Start() {
	p.host.lab.t.Helper()
	// A killed master leaves its lock file; the lock itself went with it.
	p.Daemon = p.host.Start(Command{
		Name:     "postfix",
		Args:     []string{postfixMaster, "-c", filepath.Join(p.dir, "etc"), "-d"},
		Describe: p.log,
	})
	address := netip.AddrPortFrom(p.host.Address, 25)
	p.host.lab.WaitFor("Postfix of "+p.host.Name, func() error { return p.greets(address) })
}

// Delivered counts the messages in the mailbox.
func (p *Postfix) Delivered() int { return strings.Count("\n"+p.Mail(), "\nFrom ") }

// Mail is the mailbox: all messages, one after the other.
func (p *Postfix) Mail() string {
	b, err := os.ReadFile(filepath.Join(p.dir, "mail", "inbox"))
	if err != nil {
		return "" // nothing was delivered yet
	}
	return string(b)
}

func (p *Postfix) greets(address netip.AddrPort) error {
	var conn net.Conn
	err := p.host.Do(func() (err error) {
		conn, err = net.DialTimeout("tcp", address.String(), pollInterval)
		return err
	})
	if err != nil {
		return err
	}
	defer conn.Close()
	greeting := newSMTPConn(conn, p.host.lab.Scaled(commandDeadline))
	if _, err := greeting.reply("220"); err != nil {
		return err
	}
	return greeting.command("221", "QUIT")
}

func (p *Postfix) log() string {
	b, err := os.ReadFile(filepath.Join(p.dir, "log", "mail.log"))
	if err != nil {
		return err.Error() + "\n"
	}
	return string(b)
}

// layOut writes the configuration and makes the directories that Postfix's
// start script would.
func (p *Postfix) layOut() error {
	owner, err := user.Lookup("postfix")
	if err != nil {
		return err
	}
	uid, _ := strconv.Atoi(owner.Uid)
	gid, _ := strconv.Atoi(owner.Gid)
	for _, dir := range []string{
		"data", "mail", "queue/active", "queue/bounce", "queue/corrupt", "queue/defer", "queue/deferred",
		"queue/flush", "queue/hold", "queue/incoming", "queue/maildrop", "queue/private", "queue/public",
		"queue/saved", "queue/trace",
	} {
		path := filepath.Join(p.dir, dir)
		if err := os.MkdirAll(path, 0o700); err != nil {
			return err
		}
		if err := os.Chown(path, uid, gid); err != nil {
			return err
		}
	}
	for _, dir := range []string{"etc", "log", "queue/pid"} {
		if err := os.MkdirAll(filepath.Join(p.dir, dir), 0o755); err != nil {
			return err
		}
	}
	for _, dir := range []string{".", "queue"} {
		if err := os.Chmod(filepath.Join(p.dir, dir), 0o755); err != nil {
			return err
		}
	}
	if err := p.write("etc/main.cf", p.mainConfig(uid, gid)+p.added.Main); err != nil {
		return err
	}
	return p.write("etc/master.cf", masterConfig+p.added.Master)
}

func (p *Postfix) write(name, text string) error {
	return os.WriteFile(filepath.Join(p.dir, name), []byte(text), 0o644)
}

// mainConfig turns off what would limit or delay a client that connects often
// and stays long.
func (p *Postfix) mainConfig(uid, gid int) string {
	return fmt.Sprintf(`compatibility_level = 3.6
queue_directory = %[1]s/queue
data_directory = %[1]s/data
maillog_file = %[1]s/log/mail.log
maillog_file_prefixes = %[1]s
myhostname = %[2]s
smtpd_banner = %[2]s ESMTP Postfix
inet_interfaces = all
inet_protocols = all
mydestination =
alias_maps =
alias_database =
mynetworks = 0.0.0.0/0 [::]/0
virtual_mailbox_domains = %[3]s
virtual_mailbox_base = %[1]s/mail
virtual_mailbox_maps = static:inbox
virtual_minimum_uid = 1
virtual_uid_maps = static:%[4]d
virtual_gid_maps = static:%[5]d
default_transport = discard:
relay_transport = discard:
smtpd_client_connection_count_limit = 0
smtpd_client_connection_rate_limit = 0
smtpd_junk_command_limit = 1000000
smtpd_peername_lookup = no
smtpd_timeout = 3600
smtpd_discard_ehlo_keywords = chunking
`, p.dir, p.host.Name, MailDomain, uid, gid)
}

// masterConfig lists the services of Postfix that receiving and delivering
// here take. None is chrooted: the jail would need a system's files.
const masterConfig = `smtp inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
`
