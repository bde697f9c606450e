package probe

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"

	"github.com/miekg/dns"
)

const (
	// maxDNSDatagram is the longest reply over UDP that is asked for: it passes
	// everywhere without fragments (DNS Flag Day 2020).
	maxDNSDatagram = 1232
	// maxStrangeDNS is how many datagrams that are no reply to the query are
	// passed over.
	maxStrangeDNS = 100
)

// errStrangeDNS is of a message that is no reply to the query: one to an earlier
// query, or from somebody who can only guess (RFC 5452 9).
var errStrangeDNS = errors.New("not a reply to the query")

// dnsOverUDP asks in a datagram. The reply may be truncated, and then only that
// is known of it.
func (d dialer) dnsOverUDP(ctx context.Context, to netip.AddrPort, query *dns.Msg) (*dns.Msg, error) {
	packet, err := query.Pack()
	if err != nil {
		return nil, &failure{SOCKERR, "query: " + err.Error()}
	}
	conn, err := d.dialUDP(ctx, to)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if _, err := conn.Write(packet); err != nil {
		return nil, packetFailed("query", conn, err)
	}
	buffer := make([]byte, 4096)
	for range maxStrangeDNS {
		n, err := conn.Read(buffer)
		if err != nil {
			return nil, packetFailed("reply", conn, err)
		}
		reply, err := readDNSReply(query, buffer[:n])
		if !errors.Is(err, errStrangeDNS) {
			return reply, err
		}
		d.said.did("passed over %d bytes: %v", n, err)
	}
	return nil, &failure{L7RSP, fmt.Sprintf("reply: none in %d datagrams", maxStrangeDNS)}
}

// dnsOverTCP asks on a connection, where each message follows its length (RFC
// 1035 4.2.2).
func (d dialer) dnsOverTCP(ctx context.Context, to netip.AddrPort, query *dns.Msg) (*dns.Msg, error) {
	packet, err := query.Pack()
	if err != nil {
		return nil, &failure{SOCKERR, "query: " + err.Error()}
	}
	conn, err := d.dial(ctx, to)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	packet = append(binary.BigEndian.AppendUint16(nil, uint16(len(packet))), packet...)
	if _, err := conn.Write(packet); err != nil {
		return nil, dialogueFailed("query", err)
	}
	var length [2]byte
	if _, err := io.ReadFull(conn, length[:]); err != nil {
		return nil, dialogueFailed("reply", err)
	}
	packet = make([]byte, binary.BigEndian.Uint16(length[:]))
	if _, err := io.ReadFull(conn, packet); err != nil {
		return nil, dialogueFailed("reply", err)
	}
	reply, err := readDNSReply(query, packet)
	switch {
	case errors.Is(err, errStrangeDNS):
		return nil, &failure{L7RSP, "reply: " + err.Error()}
	case err == nil && reply.Truncated:
		return nil, &failure{L7RSP, "reply: cut short over TCP"}
	}
	return reply, err
}

// readDNSReply reads the reply to the query. The error is errStrangeDNS, wrapped,
// or a *failure of a reply that is none.
func readDNSReply(query *dns.Msg, packet []byte) (*dns.Msg, error) {
	const header, response, truncated = 12, 0x80, 0x02
	if len(packet) < header {
		return nil, fmt.Errorf("%w: %d bytes", errStrangeDNS, len(packet))
	}
	if id := binary.BigEndian.Uint16(packet); id != query.Id {
		return nil, fmt.Errorf("%w: id %d, not %d", errStrangeDNS, id, query.Id)
	}
	flags := packet[2]
	reply := new(dns.Msg)
	switch err := reply.Unpack(packet); {
	case flags&response == 0:
		return nil, &failure{L7RSP, "reply: a query"}
	case flags&truncated != 0:
		reply.Truncated = true
		return reply, nil
	case err != nil:
		return nil, &failure{L7RSP, "reply: " + err.Error()}
	case reply.Opcode != dns.OpcodeQuery:
		return nil, &failure{L7RSP, fmt.Sprintf("reply: opcode %d", reply.Opcode)}
	case !sameQuestion(query, reply):
		return nil, fmt.Errorf("%w: another question", errStrangeDNS)
	}
	return reply, nil
}

// sameQuestion reports whether the reply is to the question asked. Servers that
// cannot or will not read the question leave it out.
func sameQuestion(query, reply *dns.Msg) bool {
	if len(reply.Question) == 0 {
		return reply.Rcode != dns.RcodeSuccess
	}
	asked, answered := query.Question[0], reply.Question[0]
	return len(reply.Question) == 1 && asked.Qtype == answered.Qtype && asked.Qclass == answered.Qclass &&
		strings.EqualFold(asked.Name, answered.Name)
}

// dnsQuestion is what is asked, in dig's manner.
func dnsQuestion(query *dns.Msg) string {
	q := query.Question[0]
	return fmt.Sprintf("%s %s %s, id %d", q.Name, dns.Class(q.Qclass), dns.Type(q.Qtype), query.Id)
}

// receivedDNS takes a reply down in dig's manner.
func (t *transcript) receivedDNS(reply *dns.Msg) {
	var flags strings.Builder
	for _, f := range []struct {
		set  bool
		name string
	}{
		{reply.Response, " qr"},
		{reply.Authoritative, " aa"},
		{reply.Truncated, " tc"},
		{reply.RecursionDesired, " rd"},
		{reply.RecursionAvailable, " ra"},
		{reply.AuthenticatedData, " ad"},
	} {
		if f.set {
			flags.WriteString(f.name)
		}
	}
	t.received(fmt.Sprintf("status: %s, id: %d, flags:%s; ANSWER: %d, AUTHORITY: %d",
		dnsRcode(reply.Rcode), reply.Id, flags.String(), len(reply.Answer), len(reply.Ns)))
	for i, record := range reply.Answer {
		if i == 10 {
			return
		}
		t.received(record.String())
	}
}
