package probe

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"net"
	"net/netip"
	"path/filepath"
	"reflect"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/lvsd/lvsd/healthcheck/servertest"

	"github.com/miekg/dns"
)

// talker is a kind of check and a server that gives it what it wants.
type talker struct {
	kind   Kind
	polite func(net.Conn)
	// datagrams reports that each write is a message of its own.
	datagrams bool
	// secure reports that the server's first write is of a TLS handshake.
	secure bool
	// spare is how many of the server's last writes decide nothing.
	spare int
	// mute reports that silence is no failure.
	mute bool
}

// talkers lists every kind that talks to a server, and each way it does.
func talkers(t *testing.T) map[string]talker {
	secure := func(protocols []string, then func(net.Conn)) func(net.Conn) {
		return overTLSWith(t, protocols, then)
	}
	page := afterRequest(func(conn net.Conn) {
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
	})
	page2 := inTurns(afterHTTP2Request, settings(), head(false, ":status", "200"), data(true, "ok"))
	healthy := inTurns(afterGRPCRequest, settings(), head(false, ":status", "200", "content-type", "application/grpc"),
		data(false, "\x00\x00\x00\x00\x02\x08\x01"), head(true, "grpc-status", "0"))
	h2 := anyWeb
	h2.Version = "2"
	h2c := web
	h2c.Version = "2"
	banner := Banner{Steps: ListOf(Step{Expect: `^\+OK`}, Step{Send: "PING\r\n", Expect: `\+PONG\r\n`})}
	return map[string]talker{
		"smtp":               {kind: mail, spare: 1, polite: conversation("220 mx", "250 mx", "221 bye")},
		"http":               {kind: web, polite: page},
		"https":              {kind: anyWeb, secure: true, polite: secure(nil, page), spare: 1},
		"h2c":                {kind: h2c, polite: page2},
		"h2":                 {kind: h2, secure: true, polite: secure([]string{"h2"}, page2)},
		"grpc":               {kind: GRPC{}, polite: healthy},
		"banner":             {kind: banner, polite: conversation("+OK ready", "+PONG")},
		"dns":                {kind: DNS{Query: "SOA"}, datagrams: true, polite: politeDNS(t, false)},
		"dns over tcp":       {kind: DNS{Query: "SOA", TCP: true}, polite: politeDNS(t, true)},
		"udp":                {kind: UDP{Payload: "ping", Reply: "70 6f 6e 67", Required: true}, datagrams: true, polite: replying("pong")},
		"udp, silence is up": {kind: UDP{Payload: "ping", Reply: "70 6f 6e 67"}, datagrams: true, mute: true, polite: replying("pong")},
		"ping": {kind: Ping{Size: 8}, datagrams: true, polite: func(conn net.Conn) {
			_, _ = conn.Write(readEcho(conn).reply(nil))
		}},
	}
}

// notTalking are the kinds without a dialogue, which has no misbehaviours.
var notTalking = []Kind{TCP{}, Script{}, File{}}

func replying(text string) func(net.Conn) {
	return func(conn net.Conn) {
		_, _ = conn.Read(make([]byte, 1500))
		_, _ = io.WriteString(conn, text)
	}
}

func politeDNS(t *testing.T, tcp bool) func(net.Conn) {
	return func(conn net.Conn) {
		if tcp {
			_, _ = io.CopyN(io.Discard, conn, 2)
		}
		buffer := make([]byte, 1500)
		n, err := conn.Read(buffer)
		query := new(dns.Msg)
		if err != nil || query.Unpack(buffer[:n]) != nil {
			return
		}
		packet, err := new(dns.Msg).SetReply(query).Pack()
		if err != nil {
			t.Error(err)
		}
		if tcp {
			packet = append(binary.BigEndian.AppendUint16(nil, uint16(len(packet))), packet...)
		}
		_, _ = conn.Write(packet)
	}
}

// inTurns is a server that, after the request, writes each text in a turn.
func inTurns(after func(func(net.Conn)) func(net.Conn), texts ...string) func(net.Conn) {
	return after(func(conn net.Conn) {
		go servertest.Silent(conn)
		for _, text := range texts {
			if _, err := io.WriteString(conn, text); err != nil {
				return
			}
		}
	})
}

// conversation is a server that says its lines in turns with those of the
// client, whatever they are.
func conversation(lines ...string) func(net.Conn) {
	return func(conn net.Conn) {
		client := bufio.NewReader(conn)
		for _, line := range lines {
			if _, err := io.WriteString(conn, line+"\r\n"); err != nil {
				return
			}
			if _, err := client.ReadString('\n'); err != nil {
				return
			}
		}
	}
}

// Each kind has a row.
func TestHostileKnowsEveryKind(t *testing.T) {
	known := map[string]bool{}
	for _, k := range notTalking {
		known[reflect.TypeOf(k).Name()] = true
	}
	for _, k := range talkers(t) {
		known[reflect.TypeOf(k.kind).Name()] = true
	}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, declared := range file.Decls {
			f, ok := declared.(*ast.FuncDecl)
			if !ok || f.Recv == nil || f.Name.Name != "ask" {
				continue
			}
			if kind, ok := f.Recv.List[0].Type.(*ast.Ident); ok && kind.Name != "dialer" {
				found++
				if !known[kind.Name] {
					t.Errorf("%s has no row", kind.Name)
				}
			}
		}
	}
	if found < len(known) {
		t.Errorf("found %d kinds in the source, want at least %d", found, len(known))
	}
}

// hostileConn is the server's end of a connection to a server that is polite
// until it has written turn times, and then misbehaves.
type hostileConn struct {
	net.Conn
	writes    *atomic.Int32
	turn      int32
	misbehave func(net.Conn, []byte)
}

func (c hostileConn) Write(b []byte) (int, error) {
	pause()
	if n := c.writes.Add(1) - 1; c.misbehave != nil && n >= c.turn {
		if n == c.turn {
			c.misbehave(c.Conn, b)
		}
		c.Conn.Close()
		return 0, io.ErrClosedPipe
	}
	return c.Conn.Write(b)
}

// clientConn is the client's end: it counts, and has the server's way to end.
type clientConn struct {
	net.Conn
	read *atomic.Int64
	end  error
}

func (c clientConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.read.Add(int64(n))
	if err == io.EOF && c.end != nil {
		err = c.end
	}
	return n, err
}

// misbehaviours are what a server does in place of what it should write.
var misbehaviours = map[string]struct {
	do func(conn net.Conn, instead []byte)
	// end is what the client's kernel says when the server has closed.
	end error
	// stalls reports that the probe then lasts until its timeout.
	stalls bool
}{
	"never answers": {do: func(c net.Conn, _ []byte) { servertest.Silent(c) }, stalls: true},
	"does not read": {do: func(net.Conn, []byte) { <-time.After(time.Hour) }, stalls: true},
	"closes":        {do: func(net.Conn, []byte) {}},
	"resets":        {do: func(net.Conn, []byte) {}, end: syscall.ECONNRESET},
	"closes midway": {do: func(c net.Conn, b []byte) { _, _ = c.Write(b[:len(b)/2]) }},
	"drips":         {do: func(c net.Conn, b []byte) { drip(string(b[:len(b)-1]), 10*time.Second)(c) }, stalls: true},
	"drips garbage": {do: func(c net.Conn, _ []byte) { drip(strings.Repeat("\x00", 1000), time.Second)(c) }},
	"garbage":       {do: func(c net.Conn, _ []byte) { _, _ = c.Write([]byte("\xff\x00\x1b[2J garbage\r\n\r\n")) }},
	"endless garbage": {do: func(c net.Conn, _ []byte) {
		endless(c, []byte(strings.Repeat("\xfe", 1000)))
	}},
	"endless lines":  {do: func(c net.Conn, _ []byte) { endless(c, []byte("220-more\r\n")) }},
	"endless itself": {do: func(c net.Conn, b []byte) { endless(c, b) }},
	"answers of another protocol to come": {do: func(c net.Conn, _ []byte) {
		_, _ = io.WriteString(c, "HTTP/9.9 200 OK\r\n\r\n")
		servertest.Silent(c)
	}},
}

// hostileLimit is more than any kind may read.
const hostileLimit = 4 << 20

func endless(conn net.Conn, chunk []byte) {
	for sent := 0; sent < 2*hostileLimit; sent += len(chunk) {
		if _, err := conn.Write(chunk); err != nil {
			return
		}
	}
}

// hostileResult asks a server that misbehaves at its turn, and also counts what
// it wrote and what the client read.
func hostileResult(t *testing.T, row talker, turn int32, do func(net.Conn, []byte), end error) (r Result, writes int32, read int64) {
	var wrote atomic.Int32
	var got atomic.Int64
	d := piped(t, func(conn net.Conn) {
		row.polite(hostileConn{conn, &wrote, turn, do})
	})
	connect := d.connect
	d.connect = func(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
		conn, err := connect(ctx, to)
		return clientConn{conn, &got, end}, err
	}
	r = d.ask(t.Context(), of(row.kind, anywhere))
	return r, wrote.Load(), got.Load()
}

// Whatever a server does, at whichever of its turns, the probe of each kind ends
// by its timeout, has read a bounded number of bytes, and blames the layer. The
// bubble sees to it that nothing of the probe is left.
func TestHostile(t *testing.T) {
	for name, row := range talkers(t) {
		t.Run(name, func(t *testing.T) {
			turns := int32(0)
			bubble(t, func(t *testing.T) {
				var r Result
				if r, turns, _ = hostileResult(t, row, 0, nil, nil); !r.OK {
					t.Errorf("polite server: %s %s\n%s", r.Code, r.Reason, r.Transcript)
				}
			})
			for what, m := range misbehaviours {
				for turn := range turns {
					t.Run(fmt.Sprintf("%s at %d", what, turn), func(t *testing.T) {
						bubble(t, func(t *testing.T) {
							r, _, read := hostileResult(t, row, turn, m.do, m.end)
							needed := turn == 0 || int(turn) < int(turns)-row.spare
							row.check(t, what, turn, r, m.stalls && needed, needed)
							if read > hostileLimit {
								t.Errorf("read %d bytes", read)
							}
						})
					})
				}
			}
		})
	}
}

func (row talker) check(t *testing.T, name string, turn int32, r Result, stalls, needed bool) {
	t.Helper()
	codes := "L7RSP L7TOUT L7STS"
	switch {
	case row.secure && turn == 0:
		codes = "L6RSP L6TOUT"
	case row.datagrams: // and ICMP, or the end of what stands for the kernel
		codes += " L4CON L4TOUT"
	}
	repeated := strings.Contains(name, "itself") // begins with the right answer
	if r.OK && needed && !repeated && !row.mute || !r.OK && !strings.Contains(codes, string(r.Code)) {
		t.Errorf("%s at %d: %s %s, want one of %s", name, turn, r.Code, r.Reason, codes)
	}
	if r.Duration > time.Minute {
		t.Errorf("%s at %d: took %v", name, turn, r.Duration)
	}
	if stalls && !row.mute && !row.datagrams && r.Duration != time.Minute {
		t.Errorf("%s at %d: took %v, want the timeout: %s %s", name, turn, r.Duration, r.Code, r.Reason)
	}
	if len(r.Reason) > maxReason || sanitise(r.Reason) != r.Reason {
		t.Errorf("%s at %d: reason %q", name, turn, r.Reason)
	}
}
