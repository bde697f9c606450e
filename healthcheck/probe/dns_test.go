package probe

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/lvsd/lvsd/healthcheck/servertest"

	"github.com/miekg/dns"
)

// zone answers as a name server does.
func zone(t *testing.T, w dns.ResponseWriter, query *dns.Msg) {
	reply := new(dns.Msg).SetReply(query)
	_, udp := w.RemoteAddr().(*net.UDPAddr)
	record := func(text string) {
		r, err := dns.NewRR(query.Question[0].Name + " 60 IN " + text)
		if err != nil {
			t.Error(err)
		}
		reply.Answer = append(reply.Answer, r)
	}
	switch name := query.Question[0].Name; strings.ToLower(name) {
	case ".":
		record("SOA a.root-servers.net. nstld.verisign-grs.com. 2026010100 1800 900 604800 86400")
	case "mail.example.":
		record("A 192.0.2.7")
		record("A 192.0.2.8")
	case "mx.example.":
		record("MX 10 Mail.Example.")
	case "alias.example.":
		record("CNAME mail.example.")
	case "text.example.":
		record(`TXT "v=spf1 -all" "More"`)
	case "key.example.":
		record("DNSKEY 257 3 8 AwEAAaz/tAm8yTn4Mfeh5eyI96WSVexTBAvkMgJzkKTOiW1vkIbzxeF3")
	case "odd.example.":
		record(`TYPE65280 \# 3 0a0b0c`)
	case "long.example.":
		reply.Truncated = udp
		if !udp {
			record("A 192.0.2.9")
		}
	case "cut.example.":
		reply.Truncated = true
	case "bad.example.":
		reply.Rcode = dns.RcodeBadVers
		reply.SetEdns0(1232, false)
	case "empty.example.":
	default:
		reply.Rcode = dns.RcodeNameError
	}
	if !query.RecursionDesired || query.IsEdns0() == nil {
		t.Errorf("asked without RD or EDNS: %v", query)
	}
	_ = w.WriteMsg(reply)
}

// nameServer starts one on loopback, over UDP and TCP on one port.
func nameServer(t *testing.T) netip.AddrPort {
	t.Helper()
	handler := dns.HandlerFunc(func(w dns.ResponseWriter, query *dns.Msg) { zone(t, w, query) })
	packets, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", packets.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []*dns.Server{{PacketConn: packets, Handler: handler}, {Listener: listener, Handler: handler}} {
		ended, started := make(chan error, 1), make(chan struct{})
		s.NotifyStartedFunc = func() { close(started) }
		go func() { ended <- s.ActivateAndServe() }()
		<-started
		t.Cleanup(func() {
			_ = s.Shutdown()
			<-ended
		})
	}
	return packets.LocalAddr().(*net.UDPAddr).AddrPort()
}

func TestDNS(t *testing.T) {
	server := nameServer(t)
	for name, test := range map[string]struct {
		kind   DNS
		code   Code
		reason string
	}{
		"root":              {DNS{Query: "SOA"}, L7OK, "NOERROR, a.root-servers.net. nstld.verisign-grs.com. 2026010100"},
		"two records":       {DNS{Name: "mail.example", Query: "A"}, L7OK, "NOERROR, 2 records"},
		"case of the name":  {DNS{Name: "MAIL.Example.", Query: "a"}, L7OK, "NOERROR, 2 records"},
		"over TCP":          {DNS{Name: "mail.example", Query: "A", TCP: true}, L7OK, "NOERROR, 2 records"},
		"second record":     {DNS{Name: "mail.example", Query: "A", Answer: "192.0.2.8"}, L7OK, "NOERROR, 192.0.2.8"},
		"no such record":    {DNS{Name: "mail.example", Query: "A", Answer: "192.0.2.9"}, L7STS, "reply: no record is 192.0.2.9: NOERROR, 2 records"},
		"name in a record":  {DNS{Name: "mx.example", Query: "MX", Answer: "10 mail.example"}, L7OK, "NOERROR, 10 Mail.Example."},
		"other preference":  {DNS{Name: "mx.example", Query: "MX", Answer: "20 mail.example."}, L7STS, "reply: no record is 20 mail.example.: NOERROR, 10 Mail.Example."},
		"CNAME":             {DNS{Name: "alias.example", Query: "CNAME", Answer: "mail.example."}, L7OK, "NOERROR, mail.example."},
		"text":              {DNS{Name: "text.example", Query: "TXT", Answer: `"v=spf1 -all" "More"`}, L7OK, `NOERROR, "v=spf1 -all" "More"`},
		"text's case":       {DNS{Name: "text.example", Query: "TXT", Answer: `"v=spf1 -all" "more"`}, L7STS, "reply: no record is"},
		"key with spaces":   {DNS{Name: "key.example", Query: "DNSKEY", Answer: "257 3 8 AwEAAaz/tAm8yTn4Mfeh5eyI96WS VexTBAvkMgJzkKTOiW1vkIbzxeF3"}, L7OK, "NOERROR, 257 3 8 AwE"},
		"type by number":    {DNS{Name: "odd.example", Query: "TYPE65280", Answer: `\# 3 0A0B0C`}, L7OK, `NOERROR, \# 3 0a0b0c`},
		"type 1":            {DNS{Name: "mail.example", Query: "TYPE1", Answer: "192.0.2.7"}, L7OK, "NOERROR, 192.0.2.7"},
		"cut short":         {DNS{Name: "long.example", Query: "A", Answer: "192.0.2.9"}, L7OK, "NOERROR, 192.0.2.9"},
		"cut short twice":   {DNS{Name: "cut.example", Query: "A"}, L7RSP, "reply: cut short over TCP"},
		"no such name":      {DNS{Name: "none.example", Query: "A"}, L7STS, "reply: NXDOMAIN"},
		"no such name, so":  {DNS{Name: "none.example", Query: "A", Rcode: ListOf("NOERROR", "nxdomain")}, L7OK, "NXDOMAIN, 0 records"},
		"not that rcode":    {DNS{Name: "mail.example", Query: "A", Rcode: ListOf("NXDOMAIN")}, L7STS, "reply: NOERROR"},
		"extended rcode":    {DNS{Name: "bad.example", Query: "A"}, L7STS, "reply: BADVERS"},
		"no record":         {DNS{Name: "empty.example", Query: "AAAA"}, L7OK, "NOERROR, 0 records"},
		"no record but one": {DNS{Name: "empty.example", Query: "AAAA", Answer: "2001:db8::1"}, L7STS, "reply: no record is 2001:db8::1: NOERROR, 0 records"},
	} {
		t.Run(name, func(t *testing.T) {
			request := of(test.kind, server)
			if err := request.Validate(); err != nil {
				t.Fatal(err)
			}
			expectResult(t, request.Ask(t.Context()), test.code, test.reason)
		})
	}
}

func TestDNSTranscript(t *testing.T) {
	r := of(DNS{Name: "long.example", Query: "A"}, nameServer(t)).Ask(t.Context())
	for _, line := range []string{
		"> long.example. IN A, id ", "* cut short: again over TCP\n",
		"< status: NOERROR, id: ", ", flags: qr rd; ANSWER: 1, AUTHORITY: 0\n",
		"< long.example.?60?IN?A?192.0.2.9\n",
	} {
		if !strings.Contains(r.Transcript, line) {
			t.Errorf("transcript has no %q:\n%s", line, r.Transcript)
		}
	}
}

func TestDNSNobodyThere(t *testing.T) {
	expectResult(t, of(DNS{Query: "SOA"}, closedUDP(t)).Ask(t.Context()), L4CON, "reply: ICMP port unreachable from 127.0.0.1")
	expectResult(t, of(DNS{Query: "SOA", TCP: true}, servertest.Refusing(t)).Ask(t.Context()), L4CON, "connect: connection refused")
}

// What is not the reply is passed over, so that nobody who guesses takes a
// server down or holds it up; what is the reply but wrong is a failure.
func TestDNSStrangeReplies(t *testing.T) {
	good := func(query *dns.Msg) *dns.Msg { return new(dns.Msg).SetReply(query) }
	pack := func(m *dns.Msg) []byte {
		packet, err := m.Pack()
		if err != nil {
			t.Fatal(err)
		}
		return packet
	}
	for name, test := range map[string]struct {
		replies func(query *dns.Msg) [][]byte
		code    Code
		reason  string
	}{
		"id of another": {func(q *dns.Msg) [][]byte {
			other := good(q)
			other.Id++
			other.Rcode = dns.RcodeServerFailure
			return [][]byte{pack(other), pack(good(q))}
		}, L7OK, "NOERROR"},
		"question of another": {func(q *dns.Msg) [][]byte {
			other := good(q)
			other.Question = []dns.Question{{Name: "other.example.", Qtype: dns.TypeSOA, Qclass: dns.ClassINET}}
			other.Rcode = dns.RcodeServerFailure
			return [][]byte{pack(other), pack(good(q))}
		}, L7OK, "NOERROR"},
		"type of another": {func(q *dns.Msg) [][]byte {
			other := good(q)
			other.Question = []dns.Question{{Name: ".", Qtype: dns.TypeNS, Qclass: dns.ClassINET}}
			return [][]byte{pack(other)}
		}, L7TOUT, "reply: timed out"},
		"too short":       {func(q *dns.Msg) [][]byte { return [][]byte{pack(good(q))[:11], pack(good(q))} }, L7OK, "NOERROR"},
		"strange only":    {func(q *dns.Msg) [][]byte { return [][]byte{[]byte("220 mx ESMTP\r\n")} }, L7TOUT, "reply: timed out"},
		"the query again": {func(q *dns.Msg) [][]byte { return [][]byte{pack(q)} }, L7RSP, "reply: a query"},
		"cut off": {func(q *dns.Msg) [][]byte {
			m := good(q)
			m.Answer = []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeA, Class: 1}, A: net.IPv4(192, 0, 2, 1)}}
			return [][]byte{pack(m)[:20]}
		}, L7RSP, "reply: dns: "},
		"refused without question": {func(q *dns.Msg) [][]byte {
			m := good(q)
			m.Rcode, m.Question = dns.RcodeFormatError, nil
			return [][]byte{pack(m)}
		}, L7STS, "reply: FORMERR"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				d := piped(t, func(conn net.Conn) {
					query := readQuery(t, conn)
					for _, packet := range test.replies(query) {
						_, _ = conn.Write(packet)
					}
					servertest.Silent(conn)
				})
				expectResult(t, asked(t, d, DNS{Query: "SOA"}), test.code, test.reason)
			})
		})
	}
}

// A TCP connection has no spoofed replies.
func TestDNSStrangeReplyOverTCP(t *testing.T) {
	bubble(t, func(t *testing.T) {
		d := piped(t, func(conn net.Conn) {
			_, _ = io.CopyN(io.Discard, conn, 2)
			m := new(dns.Msg).SetReply(readQuery(t, conn))
			m.Id++
			packet, _ := m.Pack()
			_, _ = conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(packet))), packet...))
		})
		expectResult(t, asked(t, d, DNS{Query: "SOA", TCP: true}), L7RSP, "reply: not a reply to the query: id ")
	})
}

func readQuery(t *testing.T, conn net.Conn) *dns.Msg {
	buffer := make([]byte, 1500)
	n, err := conn.Read(buffer)
	pause()
	query := new(dns.Msg)
	if err := query.Unpack(buffer[:n]); err != nil {
		t.Errorf("query: %v", err)
	}
	if err != nil {
		t.Errorf("query: %v", err)
	}
	return query
}

func TestDNSValidate(t *testing.T) {
	for _, test := range []struct {
		kind DNS
		want string // part of the error; empty is valid
	}{
		{DNS{Query: "SOA"}, ""},
		{DNS{Query: "any", Name: "."}, ""},
		{DNS{Query: "TXT", Answer: "v=spf1 -all"}, ""},
		{DNS{Query: "CAA", Answer: `0 issue "ca.example"`}, ""},
		{DNS{Query: "SRV", Answer: "0 5 5060 sip.example"}, ""},
		{DNS{Query: "PTR", Answer: "a.example"}, ""},
		{DNS{Query: "NS", Answer: "a.example"}, ""},
		{DNS{}, "no record type"},
		{DNS{Query: "SAO"}, `"SAO" is not a record type such as A or SOA`},
		{DNS{Query: "TYPE65536"}, `"TYPE65536" is not a record type`},
		{DNS{Query: "AXFR"}, `"AXFR" is not the type of records a name has`},
		{DNS{Query: "TYPE41"}, `"TYPE41" is not the type of records`},
		{DNS{Query: "A", Name: "a..b"}, `"a..b" is not a domain name`},
		{DNS{Query: "A", Name: "почта.example"}, "is not a domain name in ASCII"},
		{DNS{Query: "A", Rcode: ListOf("NOPE")}, `"NOPE" is not a return code such as`},
		{DNS{Query: "A", Answer: "192.0.2"}, `answer "192.0.2" is not a record of type A`},
		{DNS{Query: "A", Answer: "mail.example."}, "is not a record of type A"},
		{DNS{Query: "ANY", Answer: "192.0.2.1"}, "is not a record of type ANY"},
		{DNS{Query: "A", Answer: "192.0.2.1\n$INCLUDE /etc/passwd"}, "is not a record of type A"},
	} {
		err := test.kind.Validate()
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%+v: error %v, want %q", test.kind, err, test.want)
		}
	}
}

// FuzzDNSReply judges datagrams as they come, with the id of the query put in
// so that they are looked at.
func FuzzDNSReply(f *testing.F) {
	k := DNS{Name: "mx.example", Query: "MX", Answer: "10 mail.example."}
	query, err := k.query()
	if err != nil {
		f.Fatal(err)
	}
	reply := new(dns.Msg).SetReply(query)
	record, err := dns.NewRR("mx.example. 60 IN MX 10 mail.example.")
	if err != nil {
		f.Fatal(err)
	}
	reply.Answer = append(reply.Answer, record)
	packet, err := reply.Pack()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(packet)
	f.Add(packet[:12])
	f.Add([]byte("220 mx ESMTP"))
	f.Fuzz(func(t *testing.T, packet []byte) {
		if len(packet) >= 2 {
			binary.BigEndian.PutUint16(packet, query.Id)
		}
		reply, err := readDNSReply(query, packet)
		if err != nil {
			return
		}
		said := &transcript{}
		said.receivedDNS(reply)
		found, err := k.judge(reply)
		if err == nil && !strings.EqualFold(found.seen, "NOERROR, 10 mail.example.") {
			t.Errorf("accepted %v: %s", reply, found.seen)
		}
		if len(said.String()) > maxTranscript+len("* more was said\n") {
			t.Errorf("a transcript of %d bytes", len(said.String()))
		}
	})
}

// asked is what the dialer's server answers within a minute.
func asked(t *testing.T, d dialer, k Kind) Result {
	begun := time.Now()
	r := d.ask(t.Context(), of(k, anywhere))
	if took := time.Since(begun); took > time.Minute {
		t.Errorf("took %v", took)
	}
	return r
}

// Whatever a name server does, the probe is over at its timeout.
func TestDNSEndsAtItsTimeout(t *testing.T) {
	truncated := func(conn net.Conn) {
		reply := new(dns.Msg).SetReply(readQuery(t, conn))
		reply.Truncated = true
		packet, _ := reply.Pack()
		_, _ = conn.Write(packet)
		servertest.Silent(conn)
	}
	drips := func(text string) func(net.Conn) {
		return func(conn net.Conn) {
			_, _ = conn.Read(make([]byte, 1500))
			drip(text, time.Second)(conn)
		}
	}
	overTCP := DNS{Query: "SOA", TCP: true}
	for name, test := range map[string]struct {
		kind    DNS
		servers []func(net.Conn) // of each connection
		reason  string
	}{
		"silent":               {DNS{Query: "SOA"}, []func(net.Conn){servertest.Silent}, "reply: timed out"},
		"garbage":              {DNS{Query: "SOA"}, []func(net.Conn){drips("\xff\x00garbage")}, "reply: timed out"},
		"not read":             {DNS{Query: "SOA"}, []func(net.Conn){func(net.Conn) { <-time.After(time.Hour) }}, "query: timed out"},
		"cut short, then hung": {DNS{Query: "SOA"}, []func(net.Conn){truncated, servertest.Silent}, "reply: timed out"},
		"cut short, then drip": {DNS{Query: "SOA"}, []func(net.Conn){truncated, drips("\xff\xff" + strings.Repeat("x", 1000))}, "reply: timed out"},
		"TCP silent":           {overTCP, []func(net.Conn){servertest.Silent}, "reply: timed out"},
		"TCP half a length":    {overTCP, []func(net.Conn){drips("\x00")}, "reply: timed out"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				made := 0
				d := piped(t, nil)
				d.connect = func(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
					made++
					return piped(t, test.servers[made-1]).connect(ctx, to)
				}
				request := of(test.kind, anywhere)
				request.Timeout = 30 * time.Second
				r := d.ask(t.Context(), request)
				expectResult(t, r, L7TOUT, test.reason)
				if r.Duration != request.Timeout || made != len(test.servers) {
					t.Errorf("took %v and %d connections, want %v and %d", r.Duration, made, request.Timeout, len(test.servers))
				}
			})
		})
	}
}
