package integration

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/lvsd/lvsd/integration/lab"
)

// The tests of forwarding send real traffic through every method of IPVS. Real
// servers are asked who they are, and their wire is watched: an answer alone
// would not tell by which method it came about.

const (
	// firstPort is below those of the flows; each has its own, by which its
	// packets are known, and portStep leaves it some more.
	firstPort = 7000
	portStep  = 10
	// mappedPort is what NAT adds to the port.
	mappedPort = 1000
	// asked is how often a flow is asked, on connections of their own.
	asked = 4
	// short is the length of a request that fits into a packet, long that of
	// one that does not.
	short, long = 100, 10_000
)

// flow is one virtual service, or one way to get to one, and what must become of
// its traffic.
type flow struct {
	name string
	// protocol is TCP unless set.
	protocol string
	vip      netip.Addr
	// options are more keys of the virtual service, and service is all of it
	// where the flow's own VIP and port are not what selects it; "-" is none,
	// because an earlier flow has it.
	options, service string
	// over is the family of the real servers; the VIP's unless set.
	over netip.Addr
	// layers are the headers of the packets that arrive at real servers, to
	// and from the outermost addresses there; the VIP and the client unless set.
	layers   string
	to, from func(r *rack, server int) netip.Addr
	// mapped is added to the port by NAT.
	mapped uint16
	// hidden is who the real servers see instead of the client.
	hidden netip.Addr
	// bytes is the length of the request.
	bytes int
	// ask is what to ask and to expect instead of several connections that
	// reach both servers.
	ask func(t *testing.T, r *rack, f flow)

	// extra is added to the port of the last flow that has a service of its own.
	extra uint16
	// port is set by its place in the table.
	port uint16
}

// config writes the service of the flow.
func (f flow) config(r *rack) string {
	if f.service == "-" {
		return ""
	}
	var b strings.Builder
	service := f.service
	if service == "" {
		service = fmt.Sprintf("address = %q\nprotocol = %q\n", netip.AddrPortFrom(f.vip, f.port), f.protocol)
	}
	fmt.Fprintf(&b, "\n[[virtual_service]]\nname = %q\n", f.name)
	if !strings.Contains(f.options, "scheduler = ") {
		b.WriteString("scheduler = \"rr\"\n")
	}
	ports := strings.NewReplacer("PORT+1", fmt.Sprint(f.port+1), "PORT", fmt.Sprint(f.port))
	b.WriteString(ports.Replace(service) + f.options)
	for i := range r.servers {
		address := r.addresses[i].of(f.over).String()
		if f.mapped != 0 {
			address = netip.AddrPortFrom(r.addresses[i].of(f.over), f.port+f.mapped).String()
		}
		fmt.Fprintf(&b, "  [[virtual_service.real_server]]\n  address = %q\n", address)
	}
	return b.String()
}

// services writes those of all flows.
func services(r *rack, flows []flow) string {
	var b strings.Builder
	for _, f := range flows {
		b.WriteString(f.config(r))
	}
	return b.String()
}

// numbered gives the flows their ports and what is not set.
func numbered(flows []flow) []flow {
	port := uint16(firstPort)
	for i := range flows {
		f := &flows[i]
		if f.service != "-" {
			port += portStep
		}
		f.port = port + f.extra
		if f.protocol == "" {
			f.protocol = lab.TCP
		}
		if !f.over.IsValid() {
			f.over = f.vip
		}
		if f.bytes == 0 {
			f.bytes = short
		}
		if f.to == nil {
			f.to = func(*rack, int) netip.Addr { return f.vip }
		}
		if f.from == nil {
			f.from = func(*rack, int) netip.Addr { return outer(2).of(f.vip) }
		}
		if f.ask == nil {
			f.ask = reachesBoth
		}
	}
	return flows
}

// servers and directors are the outermost addresses of what goes to the real
// servers themselves, and of what comes from the director.
func servers(like netip.Addr) func(*rack, int) netip.Addr {
	return func(r *rack, server int) netip.Addr { return r.addresses[server].of(like) }
}

func directors(like netip.Addr) func(*rack, int) netip.Addr {
	return func(*rack, int) netip.Addr { return outer(1).of(like) }
}

// local is the address that the server's process has of the connection.
func (f flow) local(r *rack, server int) netip.AddrPort {
	if f.mapped != 0 {
		return netip.AddrPortFrom(r.addresses[server].of(f.vip), f.port+f.mapped)
	}
	return netip.AddrPortFrom(f.vip, f.port)
}

// serve starts the servers' processes for the flows.
func (r *rack) serve(flows []flow) {
	r.t.Helper()
	for _, f := range flows {
		for i, server := range r.servers {
			server.Echo(f.protocol, f.local(r, i))
		}
	}
}

// run asks for every flow.
func (r *rack) run(flows []flow) {
	for _, f := range flows {
		r.t.Run(f.name, func(t *testing.T) {
			f.ask(t, r, f)
			f.arrived(t, r)
		})
	}
}

// request asks once on a new connection.
func (r *rack) request(f flow) (lab.Answer, error) {
	target := netip.AddrPortFrom(f.vip, f.port)
	conn, err := r.client.Dial(f.protocol, outer(2).of(f.vip), target, r.patience())
	if err != nil {
		return lab.Answer{}, err
	}
	defer func() { _ = conn.Close() }()
	return lab.Ask(conn, f.bytes, r.patience())
}

// answered asks once on a new connection, checks what the server saw and returns
// who it is.
func (r *rack) answered(t *testing.T, f flow) string {
	t.Helper()
	answer, err := r.request(f)
	if err != nil {
		t.Fatalf("%v\n%s", err, r.director.Run("ipvsadm", "-Ln", "--stats"))
	}
	r.expect(t, f, answer)
	return answer.Server
}

// expect checks what a server saw.
func (r *rack) expect(t *testing.T, f flow, answer lab.Answer) {
	t.Helper()
	server := slices.IndexFunc(r.servers[:], func(h *lab.Host) bool { return h.Name == answer.Server })
	if server < 0 {
		t.Fatalf("%q answered", answer.Server)
	}
	peer := outer(2).of(f.vip)
	if f.hidden.IsValid() {
		peer = f.hidden
	}
	if answer.Local != f.local(r, server) || answer.Peer.Addr() != peer || answer.Bytes != f.bytes {
		t.Fatalf("the server saw %+v, want %d bytes from %s to %s", answer, f.bytes, peer, f.local(r, server))
	}
}

// reachesBoth asks on several connections, which must reach both servers.
func reachesBoth(t *testing.T, r *rack, f flow) {
	t.Helper()
	if n := len(r.reached(t, f)); n != len(r.servers) {
		t.Errorf("%d servers answered %d requests, want %d", n, asked, len(r.servers))
	}
}

// reachesOne is for what keeps a client on one server.
func reachesOne(t *testing.T, r *rack, f flow) {
	t.Helper()
	if n := len(r.reached(t, f)); n != 1 {
		t.Errorf("%d servers answered %d requests, want one", n, asked)
	}
}

func (r *rack) reached(t *testing.T, f flow) map[string]int {
	t.Helper()
	seen := map[string]int{}
	for range asked {
		seen[r.answered(t, f)]++
	}
	return seen
}

// arrived checks how the packets of the flow looked where they arrived: by another
// method they look different.
func (f flow) arrived(t *testing.T, r *rack) {
	t.Helper()
	r.WaitFor("packets at a real server", func() error {
		total := 0
		for i, wire := range r.wires {
			packets := wire.To(f.local(r, i))
			total += len(packets)
			for _, p := range packets {
				if p.Layers != f.layers || p.To != f.to(r, i) || p.From != f.from(r, i) {
					t.Fatalf("at %s arrived %+v, want %q from %s to %s",
						r.servers[i].Name, p, f.layers, f.from(r, i), f.to(r, i))
				}
			}
		}
		if total == 0 {
			return errors.New("none arrived")
		}
		return nil
	})
}
