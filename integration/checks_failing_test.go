package integration

import "time"

// failingChecks are of servers that work, and must fail all the same.
func failingChecks() []checkCase {
	cases := append(failingMailChecks, failingWebChecks...)
	return append(cases, failingOtherChecks...)
}

var failingMailChecks = []checkCase{
	{
		name: "SMTP, another greeting code", port: 25, code: "L7STS", reason: "greeting: 220 server ESMTP Postfix",
		keys: "type = \"smtp\"\ngreeting_code = [221]", heard: []string{"> QUIT"},
	},
	{
		name: "SMTP, a refused recipient", port: 25, code: "L7STS", reason: "RCPT TO: 550 5.1.1 <refused@example.test>: Recipient address rejected",
		keys: "type = \"smtp\"\nrcpt_to = \"refused@example.test\"",
	},
	{
		name: "SMTP, a certificate for another name", port: 25, code: "L6RSP",
		reason: "certificate is valid for mail.example.test, not mx.example.test", heard: []string{"< 220 2.0.0 Ready to start TLS"},
		keys: "type = \"smtp\"\nsecurity = \"starttls\"\ntls_ca = \"{ca}\"\ntls_name = \"mx.example.test\"",
	},
	{
		name: "SMTP, the wrong password", port: 587, code: "L7STS", reason: "AUTH PLAIN: 535 5.7.8 Error: authentication failed", unheard: "wrong-horse",
		keys: "type = \"smtp\"\nsecurity = \"starttls\"\ntls_ca = \"{ca}\"\ntls_name = \"mail.example.test\"\n" +
			"username = \"check\"\npassword = \"wrong-horse\"",
	},
	{
		name: "SMTP, no users here", port: 465, code: "L7STS", reason: "AUTH: the server offers no mechanism",
		keys: "type = \"smtp\"\nsecurity = \"tls\"\ntls_ca = \"{ca}\"\ntls_name = \"mail.example.test\"\nusername = \"check\"\npassword = \"x\"",
	},
	{
		name: "SMTP, TLS where there is none", port: 25, code: "L6RSP", reason: "tls: first record does not look like a TLS handshake",
		keys: "type = \"smtp\"\nsecurity = \"tls\"\ntls_ca = \"{ca}\"\ntls_name = \"mail.example.test\"",
	},
	{
		name: "SMTP spoken to IMAP", port: 143, code: "L7RSP", reason: `greeting: not an SMTP reply: "* OK`,
		keys: "type = \"smtp\"",
	},
	{
		name: "IMAP, the wrong password", port: 993, code: "L7RSP", reason: "step 2: closed by the server, received \"a NO [AUTHENTICATIONFAILED]",
		unheard: "wrong-horse",
		keys: `type = "banner"
security = "tls"
tls_ca = "{ca}"
tls_name = "mail.example.test"
[[virtual_service.check.step]]
expect = '^\* OK'
[[virtual_service.check.step]]
send = "a LOGIN check wrong-horse\r\nb LOGOUT\r\n"
secret = true
expect = '^a OK'`,
	},
}

var failingWebChecks = []checkCase{
	{
		name: "HTTP 503", port: 80, code: "L7STS", reason: "status 503 Service Temporarily Unavailable",
		keys: "type = \"http\"\nhost = \"www.example.test\"\npath = \"/down\"",
	},
	{
		name: "HTTP, the wrong text", port: 80, code: "L7STS", reason: `status 200 OK, but "stopped" is not in the body`, heard: []string{"< state: ready"},
		keys: "type = \"http\"\nhost = \"www.example.test\"\npath = \"/health\"\ncontains = \"stopped\"",
	},
	{
		name: "HTTP, what must not be there", port: 80, code: "L7STS", reason: `"read." matches the body`,
		keys: "type = \"http\"\nhost = \"www.example.test\"\npath = \"/health\"\nnot_regex = \"read.\"",
	},
	{
		name: "HTTP, a text beyond what is searched", port: 80, code: "L7STS", reason: "cut at 64 KiB",
		keys: "type = \"http\"\nhost = \"www.example.test\"\npath = \"/large\"\ncontains = \"line 19999\"",
	},
	{
		name: "HTTP, another digest", port: 80, code: "L7STS", reason: "but the digest of the body is md5:",
		keys: "type = \"http\"\nhost = \"www.example.test\"\npath = \"/health\"\ndigest = \"md5:7215ee9c7d9dc229d2921a40e899ec5f\"",
	},
	{
		name: "HTTP, the second of two", port: 80, code: "L7STS", reason: "status 404 Not Found", heard: []string{"< HTTP/1.1 200 OK", "< HTTP/1.1 404 Not Found"},
		keys: `type = "http"
host = "www.example.test"
[[virtual_service.check.request]]
path = "/health"
[[virtual_service.check.request]]
path = "/absent"`,
	},
	{
		name: "HTTP, the wrong password", port: 80, code: "L7STS", reason: "status 401 Unauthorized", unheard: "wrong-horse",
		keys: "type = \"http\"\nhost = \"www.example.test\"\npath = \"/members\"\nusername = \"check\"\npassword = \"wrong-horse\"",
	},
	{
		name: "HTTP, a redirect too many", port: 80, code: "L7STS", reason: "after 1 redirects",
		keys: "type = \"http\"\nhost = \"www.example.test\"\npath = \"/moved\"\nfollow = 1",
	},
	{
		name: "HTTP, away from the server", port: 80, code: "L7STS", reason: `leads to "http://elsewhere.example.test/": another host or port`,
		keys: "type = \"http\"\nhost = \"www.example.test\"\npath = \"/away\"\nfollow = 5",
	},
	{
		name: "HTTPS, a certificate for another name", port: 443, code: "L6RSP", reason: "certificate is valid for www.example.test, not mail.example.test",
		keys: "type = \"https\"\nhost = \"www.example.test\"\ntls_name = \"mail.example.test\"\ntls_ca = \"{ca}\"",
	},
	{
		name: "HTTPS, an expired certificate", port: 443, code: "L6RSP", reason: "certificate has expired",
		keys: "type = \"https\"\nhost = \"old.example.test\"\ntls_ca = \"{ca}\"",
	},
	{
		name: "HTTPS, an authority not trusted", port: 443, code: "L6RSP", reason: "signed by unknown authority",
		keys: "type = \"https\"\nhost = \"www.example.test\"\ntls_ca = \"{other-ca}\"",
	},
	{
		name: "HTTPS, no certificate to show", port: 444, code: "L7STS", reason: "status 400 Bad Request",
		keys: "type = \"https\"\nhost = \"members.example.test\"\ntls_ca = \"{ca}\"",
	},
	{
		name: "HTTPS, too old a version", port: 444, code: "L6RSP", reason: "tls: remote error: protocol version not supported",
		keys: "type = \"https\"\nhost = \"members.example.test\"\ntls_ca = \"{ca}\"\ntls_min_version = \"1.3\"",
	},
	{
		name: "HTTPS, where no TLS is", port: 80, code: "L6RSP", reason: "tls: first record does not look like a TLS handshake",
		keys: "type = \"https\"\nhost = \"www.example.test\"\ntls_ca = \"{ca}\"",
	},
	{
		name: "HTTPS, authorities that are not there", port: 443, code: "SOCKERR", reason: "/absent.pem: no such file or directory",
		keys: "type = \"https\"\nhost = \"www.example.test\"\ntls_ca = \"/absent.pem\"",
	},
	{
		name: "HTTP/2, where none is", port: 444, code: "L6RSP", reason: "the server does not speak h2 (ALPN)",
		keys: "type = \"https\"\nhttp_version = \"2\"\nhost = \"members.example.test\"\ntls_ca = \"{ca}\"",
	},
}

// ldapWrongBind is a bind by name with a wrong password.
const ldapWrongBind = "3011 020101 600c 020103 0404 636e3d78 8001 79"

var failingOtherChecks = []checkCase{
	{name: "TCP, a closed port", port: 26, code: "L4CON", reason: "connect: connection refused", keys: `type = "tcp"`},
	{name: "TCP, nobody there", port: 25, code: "L4CON", reason: "connect: no route to host", keys: "type = \"tcp\"\nconnect_to = \"10.98.0.9\""},
	{name: "ping, nobody there", port: 25, code: "L4CON", reason: "reply: ICMP host unreachable from 10.98.0.1", keys: "type = \"ping\"\nconnect_to = \"10.98.0.9\""},
	{name: "UDP, a closed port", port: 54, code: "L4CON", reason: "reply: ICMP port unreachable from 10.98.0.2", keys: "type = \"udp\"\npayload = \"x\""},
	{
		name: "UDP, another reply", port: 53, code: "L7RSP", reason: "do not begin with",
		keys: "type = \"udp\"\npayload_hex = \"" + dnsPacket + "\"\nreply = \"4C57\"",
	},
	{
		name: "DNS, another address", port: 53, code: "L7STS", reason: "reply: no record is 10.98.0.7: NOERROR, 10.98.0.2",
		keys: "type = \"dns\"\nname = \"mail.example.test\"\nquery = \"A\"\nanswer = \"10.98.0.7\"",
	},
	{
		name: "DNS, no such name", port: 53, code: "L7STS", reason: "reply: NXDOMAIN",
		keys: "type = \"dns\"\nname = \"absent.example.test\"\nquery = \"A\"",
	},
	{
		name: "Redis, no password", port: 6380, code: "L7RSP", reason: `step 1: closed by the server, received "-NOAUTH Authentication required.`,
		keys: "type = \"banner\"\nsend = \"PING\\r\\nQUIT\\r\\n\"\nexpect = '^\\+PONG'",
	},
	{
		name: "FTP, another greeting", port: 21, code: "L7RSP", reason: `step 1: closed by the server, received "220 (vsFTPd`,
		keys: "type = \"banner\"\nsend = \"QUIT\\r\\n\"\nexpect = '^230 '",
	},
	{
		name: "LDAP, nothing asked", port: 389, timeout: 5 * time.Second, code: "L7TOUT", reason: "step 1: timed out, nothing was received",
		keys: "type = \"banner\"\nexpect = '" + ldapBound + "'",
	},
	{
		name: "LDAP, the wrong password", port: 389, timeout: 5 * time.Second, code: "L7TOUT", reason: `step 1: timed out, received "0\f\x02\x01\x01a\a\n\x011`,
		keys: "type = \"banner\"\nsend_hex = \"" + ldapWrongBind + "\"\nexpect = '" + ldapBound + "'",
	},
	{name: "gRPC, not well", port: 50051, code: "L7STS", reason: "NOT_SERVING", keys: "type = \"grpc\"\nservice = \"mail.Archive\""},
	{name: "gRPC, unknown", port: 50051, code: "L7STS", reason: "error NOT_FOUND: unknown service", keys: "type = \"grpc\"\nservice = \"mail.Absent\""},
	{name: "gRPC, asked of a web server", port: 81, code: "L7STS", reason: "status 404", keys: "type = \"grpc\"\nhost = \"www.example.test\""},
	{
		name: "gRPC with TLS, where none is", port: 50051, code: "L6RSP", reason: "tls: first record does not look like a TLS handshake",
		keys: "type = \"grpc\"\ntls = true\ntls_ca = \"{ca}\"\nhost = \"grpc.example.test\"",
	},
	{name: "script", port: 6379, code: "PROCERR", reason: "exit status 3: PONG", keys: "type = \"script\"\ncommand = [\"{script}\", \"3\"]"},
	{name: "file", port: 25, code: "L7STS", reason: "/down says down", keys: "type = \"file\"\nfile = \"{down}\""},
}

// stoppedChecks ask a store that is stopped.
var stoppedChecks = []checkCase{
	{name: "TCP", port: 6379, code: "L4CON", reason: "connect: connection refused", keys: `type = "tcp"`},
	{
		name: "Redis", port: 6379, code: "L4CON", reason: "connect: connection refused",
		keys: "type = \"banner\"\nsend = \"PING\\r\\n\"\nexpect = '^\\+PONG'",
	},
	{name: "script", port: 6379, code: "PROCERR", reason: "exit status 1: Could not connect to Redis at 10.98.0.2:6379", keys: "type = \"script\"\ncommand = [\"{script}\", \"0\"]"},
}
