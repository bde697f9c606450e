package integration

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lvsd/lvsd/director"
	"github.com/lvsd/lvsd/director/control"
	"github.com/lvsd/lvsd/integration/lab"
	"github.com/lvsd/lvsd/integration/relay"
)

// natConfig is a director between two networks: clients reach the VIP on the
// outer one, real servers have the inner VIP as their gateway.
const natConfig = `
[sysctl]
manage = true

[[vrrp]]
name = "gateway"
interface = "eth0"
vrid = 20
vips = ["10.1.0.100", "10.2.0.254"]

[[virtual_service]]
name = "web"
address = "10.1.0.100:80"
protocol = "tcp"
scheduler = "rr"
forwarding = "nat"
on_failure = "remove"
  [virtual_service.check]
  type = "http"
  path = "/health"
  host = "web.example.test"
  interval = "1s"
  timeout = "10s"
  fall = 1
  rise = 1
  [virtual_service.sorry_server]
  address = "10.2.0.13:8080"
  [[virtual_service.real_server]]
  address = "10.2.0.11:8080"
  [[virtual_service.real_server]]
  address = "10.2.0.12:8080"

[[virtual_service]]
name = "echo"
address = "10.1.0.100:7"
protocol = "udp"
scheduler = "rr"
forwarding = "nat"
  [[virtual_service.real_server]]
  address = "10.2.0.11:7"
`

// webServer is a real server: HTTP that says its name and can be unwell, and a
// UDP echo.
type webServer struct {
	*lab.Host
	unwell atomic.Bool
}

func startWebServer(t *testing.T, l *lab.Lab, name, address string) *webServer {
	t.Helper()
	s := &webServer{Host: l.Host(name, address)}
	s.Run("ip", "route", "add", "default", "via", "10.2.0.254")
	var tcp net.Listener
	var udp net.PacketConn
	err := s.Do(func() (err error) {
		if tcp, err = net.Listen("tcp4", ":8080"); err != nil {
			return err
		}
		udp, err = net.ListenPacket("udp4", ":7")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: s, ReadHeaderTimeout: time.Minute}
	served := make(chan struct{})
	go func() { defer close(served); _ = server.Serve(tcp) }()
	echoed := make(chan struct{})
	go func() { defer close(echoed); echo(udp) }()
	t.Cleanup(func() {
		_ = server.Close()
		_ = udp.Close()
		<-served
		<-echoed
	})
	return s
}

func (s *webServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s.unwell.Load() && r.URL.Path == "/health" {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	client, _, _ := net.SplitHostPort(r.RemoteAddr)
	fmt.Fprintf(w, "%s to %s", s.Name, client)
}

func echo(conn net.PacketConn) {
	buffer := make([]byte, 512)
	for {
		n, from, err := conn.ReadFrom(buffer)
		if err != nil {
			return
		}
		_, _ = conn.WriteTo(buffer[:n], from)
	}
}

// TestNAT: a masquerading director with a checked TCP service, a sorry server,
// and a UDP service; the kernel parameters that this needs are set, and put back
// by a clean stop.
func TestNAT(t *testing.T) {
	lab.Require(t, lab.NeedNetns, lab.NeedIPVS)
	l := lab.New(t)
	client := l.Host("client", "10.1.0.2/24")
	gateway := l.Host("gateway", "10.1.0.1/24")
	gateway.Run("ip", "link", "set", "lo", "up")
	gateway.Run("ip", "address", "add", "10.2.0.1/24", "dev", "eth0")
	gateway.Run("sysctl", "-q", "-w", "net.ipv4.ip_forward=0", "net.ipv4.conf.eth0.send_redirects=1")
	first := startWebServer(t, l, "first", "10.2.0.11/24")
	second := startWebServer(t, l, "second", "10.2.0.12/24")
	startWebServer(t, l, "sorry", "10.2.0.13/24")

	path := filepath.Join(l.Dir("etc"), "lvsd.toml")
	if err := os.WriteFile(path, []byte(natConfig), 0o600); err != nil {
		t.Fatal(err)
	}
	run := l.Dir("run")
	lvsd := gateway.Start(lab.Command{
		Name: "lvsd", Args: []string{relay.Binary(t), "run", "-c", path, "--run-dir", run, "--state-dir", run},
	})
	status := func() (director.Status, error) {
		return control.Status(t.Context(), filepath.Join(run, "lvsd.sock"))
	}

	l.WaitFor("both servers to answer", func() error { return answers(t, client, "first", "second") })
	if got := strings.Fields(gateway.Run("sysctl", "-n", "net.ipv4.ip_forward", "net.ipv4.vs.expire_nodest_conn")); got[0] != "1" || got[1] != "1" {
		t.Errorf("ip_forward and expire_nodest_conn are %v, want 1", got)
	}
	l.WaitFor("UDP to come back", func() error { return echoes(client) })

	first.unwell.Store(true)
	l.WaitFor("only the second to answer", func() error { return answers(t, client, "second") })
	s, err := status()
	if err != nil {
		t.Fatal(err)
	}
	if server := s.Services[0].RealServers[0]; server.KernelWeight != -1 || !strings.Contains(server.Checks[0].Reason, "503") {
		t.Errorf("the unwell server: %+v", server)
	}
	second.unwell.Store(true)
	l.WaitFor("only the sorry server to answer", func() error { return answers(t, client, "sorry") })
	first.unwell.Store(false)
	second.unwell.Store(false)
	l.WaitFor("both servers to be back", func() error { return answers(t, client, "first", "second") })

	if err := lvsd.Stop(); err != nil {
		t.Errorf("clean stop: %v", err)
	}
	if got := gateway.Run("sysctl", "-n", "net.ipv4.ip_forward", "net.ipv4.conf.eth0.send_redirects"); got != "0\n1\n" {
		t.Errorf("after a clean stop ip_forward and send_redirects are %q", got)
	}
	if got := gateway.Run("ipvsadm", "-Sn"); got != "" {
		t.Errorf("after a clean stop the table holds\n%s", got)
	}
	if got := gateway.Run("ip", "-4", "address", "show", "dev", "eth0"); strings.Contains(got, "/32") {
		t.Errorf("after a clean stop the VIPs are there:\n%s", got)
	}
}

// answers is an error unless these servers, and no others, answer six requests.
func answers(t *testing.T, client *lab.Host, want ...string) error {
	t.Helper()
	seen := map[string]bool{}
	for range 6 {
		body, err := get(t.Context(), client)
		if err != nil {
			return err
		}
		name, from, _ := strings.Cut(body, " to ")
		if from != client.Address.String() {
			return fmt.Errorf("%s saw %s instead of the client", name, from)
		}
		seen[name] = true
	}
	for _, name := range want {
		if !seen[name] {
			return fmt.Errorf("%v answered, not %s", seen, name)
		}
	}
	if len(seen) != len(want) {
		return fmt.Errorf("%v answered, want %v", seen, want)
	}
	return nil
}

// get asks the VIP once, on a connection of its own.
func get(ctx context.Context, client *lab.Host) (body string, err error) {
	dial := func(ctx context.Context, network, address string) (conn net.Conn, err error) {
		err = client.Do(func() (err error) {
			conn, err = (&net.Dialer{Timeout: time.Minute}).DialContext(ctx, "tcp4", address)
			return err
		})
		return conn, err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	transport := &http.Transport{DialContext: dial, DisableKeepAlives: true}
	defer transport.CloseIdleConnections()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://10.1.0.100/", nil)
	if err != nil {
		return "", err
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return "", err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	return string(text), err
}

// echoes is an error unless a datagram to the VIP comes back.
func echoes(client *lab.Host) error {
	var conn net.Conn
	err := client.Do(func() (err error) {
		conn, err = net.Dial("udp4", "10.1.0.100:7")
		return err
	})
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return err
	}
	if _, err := conn.Write([]byte("hello")); err != nil {
		return err
	}
	answer := make([]byte, 16)
	n, err := conn.Read(answer)
	if err == nil && string(answer[:n]) != "hello" {
		err = fmt.Errorf("%q came back", answer[:n])
	}
	return err
}
