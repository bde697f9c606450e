package integration

import (
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	healthgrpc "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/lvsd/lvsd/integration/lab"
)

// checkTimeout is that of each check, before scaling: what tells hanging from
// slow.
const checkTimeout = 30 * time.Second

// checkPassword is the password of every server that wants one.
const checkPassword = "correct-horse"

// newCheckRig starts a real server for each kind of check.
func newCheckRig(t *testing.T) *checkRig {
	t.Helper()
	l := lab.New(t)
	r := &checkRig{T: t, lab: l, director: l.Host("director", "10.98.0.1/24"), server: l.Host("server", "10.98.0.2/24")}
	r.director.Run("ip", "address", "add", "10.98.0.3/24", "dev", lab.LinkName)
	authority := l.Authority("Lab Authority")
	mail := authority.Issue("mail.example.test", until(60*day))
	r.nginx(authority)
	r.server.StartDovecot(mail, "12345", "check", checkPassword)
	r.redis = r.server.StartRedis(6379, "")
	r.server.StartRedis(6380, checkPassword)
	r.server.StartVsftpd()
	r.server.StartSlapd()
	r.server.StartUnbound("example.test.", zoneRecords()...)
	r.grpc(50051)
	r.grpc(50052, grpc.Creds(r.credentials(authority.Issue("grpc.example.test", until(60*day)))))
	r.server.StartPostfixWith(postfixFor(mail))
	r.server.WaitListening(465, 587, 2525, 80, 81, 443, 444, 143, 993, 110, 995, 6379, 6380, 21, 389, 53)
	client := authority.Issue("director.example.test", until(day))
	r.words = strings.NewReplacer(
		"{ca}", authority.File,
		"{other-ca}", l.Authority("Another Authority").File,
		"{client}", client.File,
		"{client-key}", client.Key,
		"{script}", r.write("script", checkScript, 0o755),
		"{weight}", r.write("weight", "7\n", 0o644),
		"{down}", r.write("down", "down\n", 0o644),
		"{password-file}", r.write("password", checkPassword+"\n", 0o600),
		"{password}", checkPassword,
	)
	return r
}

const day = 24 * time.Hour

// until is the end of a certificate that lasts so long.
func until(d time.Duration) time.Time { return time.Now().Add(d) }

// write makes a file of the director's.
func (r *checkRig) write(name, text string, mode os.FileMode) string {
	r.Helper()
	path := filepath.Join(r.lab.Dir("director"), name)
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		r.Fatal(err)
	}
	return path
}

// checkScript asks a store, and exits as its argument says.
const checkScript = `#!/bin/sh
redis-cli -h "$LVSD_ADDRESS" -p "$LVSD_PORT" PING || exit 1
exit "$1"
`

// postfixFor is Postfix with TLS after STARTTLS and from the beginning, with
// users, and behind postscreen, which keeps no memory of whom it let pass.
func postfixFor(c lab.Certificate) lab.PostfixConfig {
	return lab.PostfixConfig{
		Main: fmt.Sprintf(`smtpd_tls_cert_file = %s
smtpd_tls_key_file = %s
smtpd_tls_security_level = may
smtpd_sasl_type = dovecot
smtpd_sasl_path = inet:127.0.0.1:12345
smtpd_sasl_security_options = noanonymous
smtpd_recipient_restrictions =
  check_recipient_access inline:{{refused@example.test = 550 5.1.1 nobody of that name}}, permit_mynetworks, reject
postscreen_access_list =
postscreen_greet_action = enforce
postscreen_greet_banner = wait, this is postscreen
postscreen_greet_wait = 1s
postscreen_greet_ttl = 1s
`, c.File, c.Key),
		Master: `465 inet n - n - - smtpd -o smtpd_tls_wrappermode=yes
587 inet n - n - - smtpd -o smtpd_sasl_auth_enable=yes -o smtpd_tls_auth_only=yes
2525 inet n - n - 1 postscreen
smtpd pass - - n - - smtpd
tlsproxy unix - - n - 0 tlsproxy
dnsblog unix - - n - 0 dnsblog
tlsmgr unix - - n 1000? 1 tlsmgr
`,
	}
}

// zoneRecords are of the zone example.test. The text is too long for a
// datagram.
func zoneRecords() []string {
	records := []string{
		"example.test. 60 IN SOA ns.example.test. hostmaster.example.test. 2026112101 3600 600 86400 60",
		"example.test. 60 IN MX 10 mail.example.test.",
		"mail.example.test. 60 IN A 10.98.0.2",
	}
	for i := range 20 {
		records = append(records, fmt.Sprintf(`long.example.test. 60 IN TXT "%02d %s"`, i, strings.Repeat("x", 200)))
	}
	return records
}

// nginx has a server for each certificate on port 443, one that wants a
// certificate of the client on 444 and knows TLS 1.2 only, and HTTP/2 without TLS on 81.
func (r *checkRig) nginx(authority *lab.Authority) {
	var blocks strings.Builder
	for _, site := range []struct {
		name string
		end  time.Time
	}{
		{"www.example.test", until(60 * day)}, // the first is for what no other is for
		{"soon.example.test", until(5*day + time.Hour)},
		{"old.example.test", until(-day)},
	} {
		c := authority.Issue(site.name, site.end)
		fmt.Fprintf(&blocks, "server {\nlisten 443 ssl http2;\nssl_protocols TLSv1.2 TLSv1.3;\nserver_name %s;\nssl_certificate %s;\nssl_certificate_key %s;\n%s}\n",
			site.name, c.File, c.Key, nginxLocations)
	}
	members := authority.Issue("members.example.test", until(60*day))
	fmt.Fprintf(&blocks, `server {
listen 444 ssl;
ssl_protocols TLSv1.2;
ssl_certificate %s;
ssl_certificate_key %s;
ssl_client_certificate %s;
ssl_verify_client on;
location / { return 200 "member $ssl_client_s_dn\n"; }
}
server {
listen 80 default_server;
return 421;
}
server {
listen 80;
listen 81 http2;
server_name www.example.test;
%s}
`, members.File, members.Key, authority.File, nginxLocations)
	r.server.StartNginx(blocks.String(), map[string]string{"users": "check:{PLAIN}" + checkPassword + "\n", "large": largeBody()})
}

const nginxLocations = `
root DIR;
location = / { return 200 "$server_protocol to $host by $ssl_protocol from $remote_addr\n"; }
location = /health { return 200 "state: ready\n"; }
location = /agent { return 200 "$request_method by $http_x_probe\n"; }
location = /large { }
location = /members { auth_basic "members"; auth_basic_user_file DIR/users; try_files /large =404; }
location = /moved { return 302 /moved-on; }
location = /moved-on { return 301 $scheme://$host/health; }
location = /away { return 302 http://elsewhere.example.test/; }
location = /down { return 503; }
`

// largeBody is more than is searched.
func largeBody() string {
	var b strings.Builder
	for i := range 20000 {
		fmt.Fprintf(&b, "line %d\n", i)
	}
	return b.String()
}

func (r *checkRig) credentials(c lab.Certificate) credentials.TransportCredentials {
	r.Helper()
	pair, err := tls.LoadX509KeyPair(c.File, c.Key)
	if err != nil {
		r.Fatal(err)
	}
	return credentials.NewServerTLSFromCert(&pair)
}

// grpc serves the health of one service that is well and one that is not, from
// this process: a socket stays in the namespace in which it was opened.
func (r *checkRig) grpc(port int, options ...grpc.ServerOption) {
	r.Helper()
	var listener net.Listener
	err := r.server.Do(func() (err error) {
		listener, err = net.Listen("tcp", fmt.Sprintf("%s:%d", r.server.Address, port))
		return err
	})
	if err != nil {
		r.Fatal(err)
	}
	states := health.NewServer()
	states.SetServingStatus("mail.Relay", healthgrpc.HealthCheckResponse_SERVING)
	states.SetServingStatus("mail.Archive", healthgrpc.HealthCheckResponse_NOT_SERVING)
	server := grpc.NewServer(options...)
	healthgrpc.RegisterHealthServer(server, states)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	r.Cleanup(func() {
		server.Stop()
		if err := <-served; err != nil {
			r.Errorf("gRPC: %v", err)
		}
	})
}
