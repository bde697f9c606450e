package probe

import (
	"net"
	"net/netip"
	"testing"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

func TestPingValidate(t *testing.T) {
	for size, valid := range map[int]bool{-1: false, 0: true, 65507: true, 65508: false} {
		if err := (Ping{Size: size}).Validate(); (err == nil) != valid {
			t.Errorf("size %d: %v", size, err)
		}
	}
	if err := of(Ping{}, netip.MustParseAddrPort("192.0.2.1:0")).Validate(); err != nil {
		t.Errorf("without a port: %v", err)
	}
}

// reply is the reply to e, changed.
func (e echo) reply(change func(*icmp.Message, *icmp.Echo)) []byte {
	body := &icmp.Echo{ID: int(e.id), Seq: int(e.seq), Data: append([]byte(nil), e.data...)}
	m := &icmp.Message{Type: ipv4.ICMPTypeEchoReply, Body: body}
	if e.ipv6 {
		m.Type = ipv6.ICMPTypeEchoReply
	}
	if change != nil {
		change(m, body)
	}
	packet, err := m.Marshal(nil)
	if err != nil {
		panic(err)
	}
	return packet
}

func TestEchoAnsweredBy(t *testing.T) {
	for _, to := range []string{"192.0.2.1", "2001:db8::1"} {
		e := newEcho(netip.MustParseAddr(to), 8)
		for name, test := range map[string]struct {
			change func(*icmp.Message, *icmp.Echo)
			want   bool
		}{
			"reply":         {nil, true},
			"other id":      {func(_ *icmp.Message, b *icmp.Echo) { b.ID ^= 1 }, false},
			"other seq":     {func(_ *icmp.Message, b *icmp.Echo) { b.Seq ^= 1 }, false},
			"other payload": {func(_ *icmp.Message, b *icmp.Echo) { b.Data[7] ^= 1 }, false},
			"shorter":       {func(_ *icmp.Message, b *icmp.Echo) { b.Data = b.Data[:7] }, false},
			"longer":        {func(_ *icmp.Message, b *icmp.Echo) { b.Data = append(b.Data, 0) }, false},
			"other code":    {func(m *icmp.Message, _ *icmp.Echo) { m.Code = 1 }, false},
			"the request":   {func(m *icmp.Message, _ *icmp.Echo) { m.Type = ipv4.ICMPTypeEcho }, false},
		} {
			if got := e.answeredBy(e.reply(test.change)); got != test.want {
				t.Errorf("%s, %s: answered %v", to, name, got)
			}
		}
	}
}

// Replies to other requests are passed over.
func TestPingPassesOver(t *testing.T) {
	bubble(t, func(t *testing.T) {
		d := piped(t, func(conn net.Conn) {
			e := readEcho(conn)
			for range 3 {
				_, _ = conn.Write(e.reply(func(_ *icmp.Message, b *icmp.Echo) { b.Seq++ }))
			}
			_, _ = conn.Write([]byte("?"))
			_, _ = conn.Write(e.reply(nil))
		})
		expectResult(t, asked(t, d, Ping{Size: 8}), L4OK, "echo reply")
	})
}

// readEcho reads a request over IPv4.
func readEcho(conn net.Conn) echo {
	buffer := make([]byte, 1<<16)
	n, err := conn.Read(buffer)
	if err != nil {
		return echo{}
	}
	pause()
	m, err := icmp.ParseMessage(1, buffer[:n])
	if err != nil {
		panic(err)
	}
	body := m.Body.(*icmp.Echo)
	return echo{id: uint16(body.ID), seq: uint16(body.Seq), data: body.Data}
}

func TestWithoutIPv4Header(t *testing.T) {
	packet := func(first byte, length int) []byte {
		p := make([]byte, length)
		p[0] = first
		return p
	}
	for _, test := range []struct {
		packet []byte
		want   int // bytes left, -1 for none
	}{
		{packet(0x45, 28), 8},
		{packet(0x4f, 68), 8},
		{packet(0x45, 20), 0},
		{packet(0x4f, 59), -1},
		{packet(0x44, 28), -1},
		{packet(0x65, 28), -1},
		{packet(0x45, 19), -1},
		{nil, -1},
	} {
		got := withoutIPv4Header(test.packet)
		if len(got) != max(test.want, 0) || (got == nil) != (test.want < 0) {
			t.Errorf("%x: %d bytes, want %d", test.packet, len(got), test.want)
		}
	}
}

// FuzzICMP judges messages as they come from a raw socket: only the reply, byte
// for byte, is one.
func FuzzICMP(f *testing.F) {
	e := echo{id: 0x1234, seq: 0x5678, data: []byte("payload")}
	header := append([]byte{0x45}, make([]byte, 19)...)
	f.Add(append(header, e.reply(nil)...), false)
	f.Add(append(header, e.marshal()...), false)
	f.Add(e.reply(nil), false)
	e.ipv6 = true
	f.Add(e.reply(nil), true)
	f.Add([]byte{129}, true)
	f.Fuzz(func(t *testing.T, packet []byte, v6 bool) {
		e := e
		e.ipv6 = v6
		message := packet
		if !v6 {
			message = withoutIPv4Header(packet)
		}
		want := e.reply(nil)
		same := len(message) == len(want) && message[0] == want[0] && message[1] == want[1] && string(message[4:]) == string(want[4:])
		if got := e.answeredBy(message); got != same {
			t.Errorf("%x: answered %v, want %v", message, got, same)
		}
		e.quotedIn(message)
	})
}
