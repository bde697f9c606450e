package integration

import (
	"crypto/md5"
	"crypto/sha256"
	"fmt"
	"testing"
	"time"

	"github.com/lvsd/lvsd/integration/lab"
)

// TestChecks carries out every kind of check against real servers: what works
// passes, and what does not fails for the right reason.
func TestChecks(t *testing.T) {
	lab.Require(t, lab.NeedNetns, lab.NeedPostfix, lab.NeedNginx, lab.NeedDovecot, lab.NeedRedis, lab.NeedVsftpd, lab.NeedSlapd, lab.NeedUnbound)
	t.Parallel()
	r := newCheckRig(t)
	t.Run("passing", func(t *testing.T) { r.probe(t, passingChecks()) })
	t.Run("failing", func(t *testing.T) { r.probe(t, failingChecks()) })
	if err := r.redis.Stop(); err != nil {
		t.Errorf("redis: %v", err)
	}
	t.Run("stopped", func(t *testing.T) { r.probe(t, stoppedChecks) })
}

func passingChecks() []checkCase {
	cases := append(mailChecks, webChecks...)
	cases = append(cases, otherChecks...)
	return append(cases,
		checkCase{
			name: "several URLs, one by its digest", port: 80, code: "L7OK", reason: "status 200 OK",
			heard: []string{"> GET /health HTTP/1.1", "> GET /large HTTP/1.1", "> HEAD / HTTP/1.1"},
			keys: fmt.Sprintf(`type = "http"
host = "www.example.test"
[[virtual_service.check.request]]
path = "/health"
regex = '(?m)^state: (ready|idle)$'
[[virtual_service.check.request]]
path = "/large"
digest = "sha256:%x"
[[virtual_service.check.request]]
path = "/"
method = "HEAD"
`, sha256.Sum256([]byte(largeBody()))),
		},
		checkCase{
			name: "HTTP by the digest of keepalived", port: 80, code: "L7OK", reason: "status 200 OK",
			keys: fmt.Sprintf("type = \"http\"\nhost = \"www.example.test\"\npath = \"/large\"\ndigest = \"md5:%x\"", md5.Sum([]byte(largeBody()))),
		},
	)
}

// mailChecks ask Postfix and Dovecot.
var mailChecks = []checkCase{
	{
		name: "SMTP", port: 25, code: "L7OK", reason: "220 server ESMTP Postfix",
		keys:  "type = \"smtp\"\nhelo_name = \"probe.example.test\"",
		heard: []string{"> EHLO probe.example.test", "< 250-server", "< 250-8BITMIME", "> QUIT", "< 221 2.0.0 Bye"},
	},
	{
		name: "SMTP with STARTTLS", port: 25, code: "L7OK", reason: "220 server ESMTP Postfix",
		keys:  "type = \"smtp\"\nsecurity = \"starttls\"\ntls_ca = \"{ca}\"\ntls_name = \"mail.example.test\"",
		heard: []string{"< 250-STARTTLS", "< 220 2.0.0 Ready to start TLS", "* TLS 1.3, certificate of mail.example.test by Lab Authority", "< 221 2.0.0 Bye"},
	},
	{
		name: "SMTP in TLS", port: 465, code: "L7OK", reason: "220 server ESMTP Postfix",
		keys:  "type = \"smtp\"\nsecurity = \"tls\"\ntls_ca = \"{ca}\"\ntls_name = \"mail.example.test\"\ntls_expiry_warning = \"8760h\"",
		heard: []string{"* TLS 1.3, certificate of mail.example.test", "< 250-server"}, warning: "certificate of mail.example.test expires in 59 days",
	},
	{
		name: "postscreen", port: 2525, code: "L7OK", reason: "220-wait, this is postscreen", keys: `type = "smtp"`,
		heard: []string{"< 220-wait, this is postscreen\n< 220 server ESMTP Postfix", "< 221 2.0.0 Bye"},
	},
	{
		name: "RCPT TO", port: 25, code: "L7OK", reason: "220 server ESMTP Postfix",
		keys:  "type = \"smtp\"\nmail_from = \"probe@example.test\"\nrcpt_to = \"postmaster@example.test\"",
		heard: []string{"> RCPT TO:<postmaster@example.test>\n< 250 2.1.5 Ok", "> RSET\n< 250 2.0.0 Ok"},
	},
	{
		name: "RCPT TO, and no is the right answer", port: 25, code: "L7OK", reason: "220 server ESMTP Postfix",
		keys:  "type = \"smtp\"\nrcpt_to = \"refused@example.test\"\nrcpt_code = [550]",
		heard: []string{"> MAIL FROM:<>\n< 250 2.1.0 Ok", "< 550 5.1.1 <refused@example.test>: Recipient address rejected: nobody of that name"},
	},
	{
		name: "AUTH", port: 587, code: "L7OK", reason: "220 server ESMTP Postfix",
		keys: "type = \"smtp\"\nsecurity = \"starttls\"\ntls_ca = \"{ca}\"\ntls_name = \"mail.example.test\"\n" +
			"username = \"check\"\npassword_file = \"{password-file}\"",
		heard: []string{"AUTH PLAIN ...", "< 235 2.7.0 Authentication successful"}, unheard: checkPassword,
	},
	{
		name: "IMAP", port: 143, code: "L7OK", reason: "* OK", keys: "type = \"banner\"\nexpect = '^\\* OK .* Dovecot'",
		heard: []string{"< * OK [CAPABILITY IMAP4rev1", "Dovecot"},
	},
	{
		name: "IMAP in TLS, logged in", port: 993, code: "L7OK", reason: "b OK Logout completed", unheard: checkPassword,
		keys: `type = "banner"
security = "tls"
tls_ca = "{ca}"
tls_name = "mail.example.test"
[[virtual_service.check.step]]
expect = '^\* OK'
[[virtual_service.check.step]]
send = "a LOGIN check {password}\r\n"
secret = true
expect = '^a OK'
[[virtual_service.check.step]]
send = "b LOGOUT\r\n"
expect = '^b OK'`,
		heard: []string{"Dovecot", "> ...\n< a OK [CAPABILITY IMAP4rev1", "< * BYE Logging out"},
	},
	{
		name: "POP3", port: 110, code: "L7OK", reason: "+OK Logging out", heard: []string{"< +OK", "Dovecot"},
		keys: `type = "banner"
[[virtual_service.check.step]]
expect = '^\+OK'
[[virtual_service.check.step]]
send = "QUIT\r\n"
expect = '^\+OK'`,
	},
	{
		name: "POP3 in TLS", port: 995, code: "L7OK", reason: "Dovecot",
		keys: "type = \"banner\"\nexpect = '^\\+OK'\nsecurity = \"tls\"\ntls_ca = \"{ca}\"\ntls_name = \"mail.example.test\"",
	},
}

// webChecks ask nginx.
var webChecks = []checkCase{
	{
		name: "HTTP", port: 80, code: "L7OK", reason: "status 200 OK", heard: []string{"> GET / HTTP/1.1", "< HTTP/1.1 200 OK"},
		keys: "type = \"http\"\nhost = \"www.example.test\"\ncontains = \"HTTP/1.1 to www.example.test by  from 10.98.0.1\"",
	},
	{
		name: "HTTP to a host that it does not have", port: 80, code: "L7OK", reason: "status 421 Misdirected Request",
		keys: "type = \"http\"\nhost = \"absent.example.test\"\nstatus = [421]",
	},
	{
		name: "HTTP/1.0", port: 80, code: "L7OK", reason: "status 200 OK", heard: []string{"> GET / HTTP/1.0"},
		keys: "type = \"http\"\nhttp_version = \"1.0\"\nhost = \"www.example.test\"\ncontains = \"HTTP/1.0 to www.example.test\"",
	},
	{
		name: "HTTP/2 without TLS", port: 81, code: "L7OK", reason: "status 200", heard: []string{"< HTTP/2.0 200"},
		keys: "type = \"http\"\nhttp_version = \"2\"\nhost = \"www.example.test\"\ncontains = \"HTTP/2.0 to www.example.test\"",
	},
	{
		name: "HTTPS", port: 443, code: "L7OK", reason: "status 200 OK", heard: []string{"* TLS 1.3, certificate of www.example.test by Lab Authority"},
		keys: "type = \"https\"\nhost = \"www.example.test\"\ntls_ca = \"{ca}\"\ntls_min_version = \"1.3\"\ncontains = \"to www.example.test by TLSv1.3\"",
	},
	{
		name: "HTTPS by HTTP/2", port: 443, code: "L7OK", reason: "status 200", heard: []string{"> GET / HTTP/2", "< HTTP/2.0 200"},
		keys: "type = \"https\"\nhost = \"www.example.test\"\ntls_ca = \"{ca}\"\nhttp_version = \"2\"\ncontains = \"HTTP/2.0 to www.example.test by TLSv1.3\"",
	},
	{
		name: "SNI is another name than the host", port: 443, code: "L7OK", reason: "status 200 OK",
		heard: []string{"certificate of soon.example.test", "> Host: www.example.test"},
		keys:  "type = \"https\"\nhost = \"www.example.test\"\ntls_name = \"soon.example.test\"\ntls_ca = \"{ca}\"\ncontains = \"to www.example.test\"",
	},
	{
		name: "a certificate that expires soon", port: 443, code: "L7OK", reason: "status 200 OK", warning: "certificate of soon.example.test expires in 5 days",
		keys: "type = \"https\"\nhost = \"soon.example.test\"\ntls_ca = \"{ca}\"\ntls_expiry_warning = \"336h\"",
	},
	{
		name: "a certificate that nobody verifies", port: 443, code: "L7OK", reason: "status 200 OK", heard: []string{"certificate of old.example.test"},
		keys: "type = \"https\"\nhost = \"old.example.test\"\ntls_verify = false",
	},
	{
		name: "a certificate of the client", port: 444, code: "L7OK", reason: "status 200 OK",
		keys: "type = \"https\"\nhost = \"members.example.test\"\ntls_ca = \"{ca}\"\ntls_certificate = \"{client}\"\ntls_key = \"{client-key}\"\n" +
			"contains = \"member CN=director.example.test\"",
	},
	{
		name: "basic authentication", port: 80, code: "L7OK", reason: "status 200 OK", heard: []string{"> Authorization: Basic"}, unheard: "Y2hlY2s6",
		keys: "type = \"http\"\nhost = \"www.example.test\"\npath = \"/members\"\nusername = \"check\"\npassword = \"{password}\"\ncontains = \"line 7\"",
	},
	{
		name: "a method and headers", port: 80, code: "L7OK", reason: "status 200 OK", heard: []string{"> POST /agent", "> X-Probe: director"},
		keys: "type = \"http\"\nhost = \"www.example.test\"\npath = \"/agent\"\nmethod = \"POST\"\nheaders = [\"X-Probe: director\"]\ncontains = \"POST by director\"",
	},
	{
		name: "redirects, followed", port: 80, code: "L7OK", reason: "status 200 OK", heard: []string{"< Location: http://www.example.test/moved-on", "> GET /health"},
		keys: "type = \"http\"\nhost = \"www.example.test\"\npath = \"/moved\"\nfollow = 2\ncontains = \"ready\"",
	},
	{
		name: "a redirect is an answer", port: 80, code: "L7OK", reason: "status 302 Moved Temporarily",
		keys: "type = \"http\"\nhost = \"www.example.test\"\npath = \"/away\"\nstatus = [\"300-399\"]",
	},
	{
		name: "from another address", port: 80, code: "L7OK", reason: "status 200 OK",
		keys: "type = \"http\"\nhost = \"www.example.test\"\nbind_address = \"10.98.0.3\"\ninterface = \"eth0\"\ncontains = \"from 10.98.0.3\"",
	},
	{
		name: "connect_to", port: 9, code: "L7OK", reason: "status 200 OK",
		keys: "type = \"http\"\nhost = \"www.example.test\"\nconnect_to = \"10.98.0.2:80\"\npath = \"/health\"",
	},
}

// The bytes that LDAP clients say (RFC 4511): an anonymous bind, and a search for
// the entry that describes the server.
const (
	ldapBind    = "300c 0201 01 6007 0201 03 0400 8000"
	ldapBound   = `\x02\x01\x01\x61(\x07|\x84\x00\x00\x00\x07)\x0a\x01\x00`
	ldapRootDSE = "3025 0201 02 6320 0400 0a0100 0a0100 020100 020100 010100 870b 6f626a656374436c617373 3000"
)

// dnsPacket asks for the address of mail.example.test, with the identifier 4c56.
const dnsPacket = "4c56 0100 0001 0000 0000 0000 046d61696c 076578616d706c65 0474657374 00 0001 0001"

// otherChecks ask the servers of other protocols.
var otherChecks = []checkCase{
	{name: "TCP", port: 21, code: "L4OK", keys: `type = "tcp"`},
	{name: "ping", port: 25, code: "L4OK", reason: "echo reply", keys: "type = \"ping\"\nsize = 1000", heard: []string{"< echo reply after"}},
	{
		name: "Redis", port: 6379, code: "L7OK", reason: "+PONG", keys: "type = \"banner\"\nsend = \"PING\\r\\n\"\nexpect = '^\\+PONG'",
		heard: []string{"> PING\n< +PONG"},
	},
	{
		name: "Redis with a password", port: 6380, code: "L7OK", reason: "+PONG", heard: []string{"> ...\n< +OK\n> PING\n< +PONG"}, unheard: checkPassword,
		keys: `type = "banner"
[[virtual_service.check.step]]
send = "AUTH {password}\r\n"
secret = true
expect = '^\+OK'
[[virtual_service.check.step]]
send = "PING\r\n"
expect = '^\+PONG'`,
	},
	{
		name: "FTP", port: 21, code: "L7OK", reason: "221 Goodbye.", heard: []string{"< 220 (vsFTPd", "< 331 Please specify the password.", "< 230 Login successful."},
		keys: `type = "banner"
[[virtual_service.check.step]]
expect = '^220 '
[[virtual_service.check.step]]
send = "USER anonymous\r\n"
expect = '^331 '
[[virtual_service.check.step]]
send = "PASS probe@example.test\r\n"
expect = '^230 '
[[virtual_service.check.step]]
send = "QUIT\r\n"
expect = '^221 '`,
	},
	{
		name: "LDAP", port: 389, code: "L7OK", reason: "OpenLDAProotDSE", heard: []string{"OpenLDAProotDSE"},
		keys: `type = "banner"
[[virtual_service.check.step]]
send_hex = "` + ldapBind + `"
expect = '` + ldapBound + `'
[[virtual_service.check.step]]
send_hex = "` + ldapRootDSE + `"
expect = "OpenLDAProotDSE"`,
	},
	{
		name: "DNS", port: 53, code: "L7OK", reason: "NOERROR, 10.98.0.2", heard: []string{"10.98.0.2"},
		keys: "type = \"dns\"\nname = \"mail.example.test\"\nquery = \"A\"\nanswer = \"10.98.0.2\"",
	},
	{
		name: "DNS, SOA", port: 53, code: "L7OK", reason: "ns.example.test. hostmaster.example.test. 2026112101 3600 600 86400 60",
		keys: "type = \"dns\"\nname = \"example.test\"",
	},
	{
		name: "DNS over TCP", port: 53, code: "L7OK", reason: "10 mail.example.test.",
		keys: "type = \"dns\"\nname = \"example.test\"\nquery = \"MX\"\nanswer = \"10 MAIL.example.test.\"\ntcp = true",
	},
	{
		name: "DNS, too long for UDP", port: 53, code: "L7OK", reason: "NOERROR, 20 records", heard: []string{"* cut short: again over TCP"},
		keys: "type = \"dns\"\nname = \"long.example.test\"\nquery = \"TXT\"",
	},
	{
		name: "DNS, NXDOMAIN", port: 53, code: "L7OK", reason: "NXDOMAIN",
		keys: "type = \"dns\"\nname = \"absent.example.test\"\nquery = \"A\"\nrcode = [\"NXDOMAIN\"]",
	},
	{
		name: "UDP", port: 53, code: "L7OK", reason: "reply: 51 bytes", heard: []string{"< 51 bytes: 4c568", "0a620002"},
		keys: "type = \"udp\"\npayload_hex = \"" + dnsPacket + "\"\nreply = \"4C56 8XX0 0001 0001\"\nreply_required = true\nreply_min = 51\nreply_max = 51",
	},
	{
		name: "UDP, silence", port: 53, timeout: 3 * time.Second, code: "L4OK", reason: "nothing against it", heard: []string{"> 1 bytes: 78"},
		keys: "type = \"udp\"\npayload = \"x\"", // too short for unbound to answer
	},
	{
		name: "gRPC", port: 50051, code: "L7OK", reason: "SERVING", keys: "type = \"grpc\"\nservice = \"mail.Relay\"",
		heard: []string{"> Health/Check of service \"mail.Relay\" at 10.98.0.2:50051\n< SERVING"},
	},
	{
		name: "gRPC with TLS", port: 50052, code: "L7OK", reason: "SERVING", heard: []string{"certificate of grpc.example.test by Lab Authority"},
		keys: "type = \"grpc\"\ntls = true\ntls_ca = \"{ca}\"\nhost = \"grpc.example.test\"",
	},
	{name: "script", port: 6379, code: "PROCOK", reason: "PONG", keys: "type = \"script\"\ncommand = [\"{script}\", \"0\"]", heard: []string{"< PONG"}},
	{
		name: "script with a weight", port: 6379, code: "PROCOK", reason: "weight 50: PONG", weight: new(50),
		keys: "type = \"script\"\ncommand = [\"{script}\", \"52\"]\ndynamic = true\nuser = \"nobody\"",
	},
	{name: "file", port: 25, code: "L7OK", reason: "says weight 7", weight: new(7), keys: "type = \"file\"\nfile = \"{weight}\""},
}
