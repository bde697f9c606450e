package probe

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"time"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

const (
	// maxPing is what fits into an IPv4 packet after the headers, in bytes.
	maxPing = 65507
	// maxStrangePings is how many messages that are no reply to the request are
	// passed over.
	maxStrangePings = 1000
)

// Ping sends an ICMP echo request (RFC 792, RFC 4443) and waits for the reply.
type Ping struct {
	// Size is the length of what is sent after the ICMP header, in bytes,
	// 0..65507.
	Size int
}

// Type is "ping".
func (Ping) Type() string { return "ping" }

func (Ping) portless() {}

// Validate returns what is wrong with the options.
func (k Ping) Validate() error {
	if k.Size < 0 || k.Size > maxPing {
		return fmt.Errorf("ping size must be 0 to %d bytes, got %d", maxPing, k.Size)
	}
	return nil
}

// ask sends one request.
func (k Ping) ask(ctx context.Context, d dialer, to netip.AddrPort) (answer, error) {
	conn, err := d.dialPing(ctx, to.Addr())
	if err != nil {
		return answer{}, err
	}
	defer conn.Close()
	request := newEcho(to.Addr(), k.Size)
	if conn.id != 0 {
		request.id = conn.id
	}
	begun := time.Now()
	d.said.sent(fmt.Sprintf("echo request, id %d, seq %d, %d bytes", request.id, request.seq, k.Size))
	if _, err := conn.Write(request.marshal()); err != nil {
		return answer{}, packetFailed("send", conn.boundConn, err)
	}
	if err := d.awaitEcho(conn, request); err != nil {
		return answer{}, err
	}
	took := time.Since(begun).Round(time.Microsecond)
	d.said.received(fmt.Sprintf("echo reply after %v", took))
	return answer{seen: "echo reply", code: L4OK}, nil
}

// awaitEcho waits for the reply to the request.
func (d dialer) awaitEcho(conn pingConn, request echo) error {
	buffer := make([]byte, len(request.data)+128) // and the longest IP header
	for range maxStrangePings {
		n, err := conn.Read(buffer)
		if err != nil {
			report, ok := readICMP(conn.Conn)
			switch {
			case ok && (report.redirects() || !request.quotedIn(report.quoted)):
				continue // the request is on its way, or it is another's
			case ok:
				return &failure{L4CON, "reply: " + report.String()}
			}
			return failed("reply", err, L4TOUT, L4CON)
		}
		message := buffer[:n]
		if conn.header {
			message = withoutIPv4Header(message)
		}
		if request.answeredBy(message) {
			return nil
		}
		d.said.did("passed over %d bytes", n)
	}
	return &failure{L4CON, fmt.Sprintf("reply: none in %d messages", maxStrangePings)}
}

// pingConn carries ICMP messages to and from one address.
type pingConn struct {
	*boundConn
	// id is what the kernel writes into requests, and the only one whose replies
	// it passes on; 0 is whatever the request says.
	id uint16
	// header reports that the IPv4 header comes with each message.
	header bool
}

func (d dialer) dialPing(ctx context.Context, to netip.Addr) (pingConn, error) {
	var p pingConn
	conn, err := d.open(ctx, netip.AddrPortFrom(to, 0), func(_ context.Context, to netip.AddrPort) (net.Conn, error) {
		conn, raw, err := d.route.connectPing(to.Addr())
		if udp, ok := conn.(*net.UDPConn); ok && !raw {
			// Of a ping socket, the port is the identifier.
			p.id = udp.LocalAddr().(*net.UDPAddr).AddrPort().Port()
		}
		p.header = raw && to.Addr().Unmap().Is4()
		return conn, err
	})
	p.boundConn = conn
	return p, err
}

// echo is an echo request, or what its reply must repeat.
type echo struct {
	ipv6    bool
	id, seq uint16
	data    []byte
}

// newEcho is a request that nobody can guess.
func newEcho(to netip.Addr, size int) echo {
	random := make([]byte, 4+size)
	_, _ = rand.Read(random) // never fails
	return echo{
		ipv6: !to.Unmap().Is4(),
		id:   max(binary.BigEndian.Uint16(random), 1),
		seq:  binary.BigEndian.Uint16(random[2:]),
		data: random[4:],
	}
}

func (e echo) marshal() []byte {
	m := icmp.Message{Type: ipv4.ICMPTypeEcho, Body: &icmp.Echo{ID: int(e.id), Seq: int(e.seq), Data: e.data}}
	if e.ipv6 {
		m.Type = ipv6.ICMPTypeEchoRequest // the kernel writes the checksum
	}
	packet, err := m.Marshal(nil)
	if err != nil {
		panic(err) // of an extension, which there is not
	}
	return packet
}

// answeredBy reports whether the ICMP message is the reply.
func (e echo) answeredBy(message []byte) bool {
	protocol, reply := 1, icmp.Type(ipv4.ICMPTypeEchoReply)
	if e.ipv6 {
		protocol, reply = 58, ipv6.ICMPTypeEchoReply
	}
	m, err := icmp.ParseMessage(protocol, message)
	if err != nil || m.Type != reply || m.Code != 0 {
		return false
	}
	body, ok := m.Body.(*icmp.Echo)
	return ok && body.ID == int(e.id) && body.Seq == int(e.seq) && bytes.Equal(body.Data, e.data)
}

// quotedIn reports whether an ICMP error quotes the request.
func (e echo) quotedIn(quoted []byte) bool {
	request := e.marshal()
	return len(quoted) >= 8 && quoted[0] == request[0] && bytes.Equal(quoted[4:8], request[4:8])
}

// withoutIPv4Header is the payload of a packet; nil of what is none.
func withoutIPv4Header(packet []byte) []byte {
	if len(packet) < 20 || packet[0]>>4 != 4 {
		return nil
	}
	length := int(packet[0]&0xf) * 4
	if length < 20 || length > len(packet) {
		return nil
	}
	return packet[length:]
}

// noPing is that this process may not send echo requests.
const noPing = "ping: lvsd lacks CAP_NET_RAW, and its group is not in net.ipv4.ping_group_range"
