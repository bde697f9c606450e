package config

import (
	"io/fs"
	"net/netip"
	"strings"
	"testing"

	"github.com/lvsd/lvsd/healthcheck/probe"
)

// webService is a service without its real servers and checks.
const webService = `
[[vrrp]]
name = "web"
interface = "eth0"
vrid = 20
vips = ["192.0.2.80"]

[[virtual_service]]
address = "192.0.2.80:80"
protocol = "tcp"
`

// TestPasswordFileIsReadAgain changes only the file that a service names.
func TestPasswordFileIsReadAgain(t *testing.T) {
	text := webService + `
real_server = [{ address = "192.0.2.11" }]
check = { type = "http", username = "check", password_file = "/etc/lvsd/check.password" }

[[virtual_service]]
address = "192.0.2.80:81"
protocol = "tcp"
real_server = [{ address = "192.0.2.11" }]
`
	c := new(Cache)
	load := func(password string) *Config {
		t.Helper()
		doc, err := decode("test.toml", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		doc.readFile = func(string) ([]byte, error) { return []byte(password), nil }
		cfg, err := c.config(doc, "relay1")
		if err != nil {
			t.Fatal(err)
		}
		return cfg
	}
	before, after := load("one\n"), load("two\r\n")
	for _, tt := range []struct {
		cfg  *Config
		want string
	}{{before, "one"}, {after, "two"}} {
		if got := tt.cfg.Services[0].RealServers[0].Checks[0].Check().Kind.(probe.HTTP).Password; got != tt.want {
			t.Errorf("password %q, want %q", got, tt.want)
		}
	}
	if &before.Services[1].RealServers[0] != &after.Services[1].RealServers[0] {
		t.Error("a service without files was read again")
	}
}

// TestPasswordsAreNotShown looks for secrets in the messages about them.
func TestPasswordsAreNotShown(t *testing.T) {
	for _, check := range []string{
		`type = "http", username = "check", password = "hunter2\n"`,
		`type = "http", username = "check", password = ["hunter2"]`,
		`type = "http", username = "che:ck", password = "hunter2", password_file = "/etc/lvsd/check.password"`,
		`type = "http", password = "hunter2"`,
		`type = "tcp", password = "hunter2"`,
		`type = "smtp", username = "check", password = "hunter2"`,
		`type = "https", username = "check", password = "hunter2", headers = ["Authorization: x"]`,
		`type = "http", username = "check", passwort = "hunter2"`,
		`type = "banner", send = "hunter2", send_hex = "00", secret = true`,
	} {
		doc := webService + "real_server = [{ address = \"192.0.2.11\" }]\ncheck = { " + check + " }\n"
		_, err := parseFiles("test.toml", []byte(doc), "relay1")
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("{ %s }: %v", check, err)
		}
	}
}

// TestOtherNodesPasswordFile wants a tracker of another node not to need that
// node's file here, nor TLS to ask itself.
func TestOtherNodesPasswordFile(t *testing.T) {
	const doc = webService + `
[[tracker]]
name = "app"
type = "check"
check = { type = "smtp", address = "127.0.0.1:25" }

  [tracker.node.relay2.check]
  username = "check"
  password_file = "/etc/lvsd/absent.password"
`
	if _, err := parseFiles("test.toml", []byte(doc), "relay1"); err != nil {
		t.Error(err)
	}
	if _, err := parseFiles("test.toml", []byte(doc), "relay2"); err == nil || !strings.Contains(err.Error(), fs.ErrNotExist.Error()[:4]) {
		t.Errorf("on the node itself: %v", err)
	}
}

// TestWhomChecksAsk is where the probes of one server go.
func TestWhomChecksAsk(t *testing.T) {
	for _, tt := range []struct{ server, check, want string }{
		{"192.0.2.11", `type = "tcp"`, "192.0.2.11:80"},
		{"192.0.2.11", `type = "tcp", port = 81`, "192.0.2.11:81"},
		{"192.0.2.11", `type = "tcp", connect_to = "198.51.100.1"`, "198.51.100.1:80"},
		{"192.0.2.11", `type = "tcp", connect_to = "198.51.100.1", port = 81`, "198.51.100.1:81"},
		{"192.0.2.11", `type = "tcp", connect_to = "[2001:db8::1]:82"`, "[2001:db8::1]:82"},
		{"192.0.2.11", `type = "ping"`, "192.0.2.11:0"},
		{"192.0.2.11", `type = "file", file = "/run/drain"`, "192.0.2.11:0"},
		{"192.0.2.11", `type = "script", command = ["/bin/true"]`, "192.0.2.11:80"},
		{"web.example.org", `type = "tcp", port = 81`, "203.0.113.7:81"},
		{"web.example.org", `type = "ping"`, "203.0.113.7:0"},
		{"web.example.org", `type = "tcp", connect_to = "198.51.100.1"`, "198.51.100.1:80"},
		{"web.example.org", `type = "tcp", via = "vip"`, "203.0.113.7:80"},
	} {
		doc := webService + "real_server = [{ address = \"" + tt.server + "\", check = { " + tt.check + " } }]\n"
		cfg := parse(t, doc, "relay1").WithAddresses(map[string][]netip.Addr{"web.example.org": ips("203.0.113.7")})
		spec := cfg.Services[0].RealServers[0].Checks[0]
		if err := spec.Validate(); spec.Target.String() != tt.want || err != nil {
			t.Errorf("%s { %s }: asks %v, want %s; %v", tt.server, tt.check, spec.Target, tt.want, err)
		}
	}
}

// TestChecksAreShared wants servers of several services to share a probe where
// the file says the same in several places.
func TestChecksAreShared(t *testing.T) {
	cfg := parse(t, webService+`
check = { type = "http", request = [{ path = "/a" }, { path = "/b", status = [200, 201] }] }
real_server = [{ address = "192.0.2.11" }]

[[virtual_service]]
address = "192.0.2.80:81"
protocol = "tcp"

  [[virtual_service.real_server]]
  address = "192.0.2.11"

    [[virtual_service.real_server.check]]
    type = "http"
    port = 80
    interval = "5000ms"

      [[virtual_service.real_server.check.request]]
      path = "/a"
      method = "GET"

      [[virtual_service.real_server.check.request]]
      path = "/b"
      status = ["200-201"]
`, "relay1")
	one, other := cfg.Services[0].RealServers[0].Checks[0], cfg.Services[1].RealServers[0].Checks[0]
	if one != other {
		t.Errorf("two probes: %+v, %+v", one.Check(), other.Check())
	}
}
