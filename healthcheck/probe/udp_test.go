package probe

import (
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lvsd/lvsd/healthcheck/servertest"
)

// bubble runs f in a time of its own.
func bubble(t *testing.T, f func(*testing.T)) { synctest.Test(t, f) }

// answerUDP answers each datagram with what reply makes of it; nil is silence.
func answerUDP(t *testing.T, reply func([]byte) []byte) netip.AddrPort {
	t.Helper()
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		buffer := make([]byte, 1<<16)
		for {
			n, from, err := conn.ReadFromUDPAddrPort(buffer)
			if err != nil {
				return
			}
			if answer := reply(buffer[:n]); answer != nil {
				_, _ = conn.WriteToUDPAddrPort(answer, from)
			}
		}
	}()
	t.Cleanup(func() {
		conn.Close()
		<-done
	})
	return conn.LocalAddr().(*net.UDPAddr).AddrPort()
}

// closedUDP is an address where nobody listens.
func closedUDP(t *testing.T) netip.AddrPort {
	t.Helper()
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return conn.LocalAddr().(*net.UDPAddr).AddrPort()
}

func TestUDP(t *testing.T) {
	echo := answerUDP(t, func(b []byte) []byte { return b })
	for name, test := range map[string]struct {
		kind   UDP
		target netip.AddrPort
		code   Code
		reason string
	}{
		"any reply":          {UDP{Payload: "ping", Required: true}, echo, L7OK, "reply: 4 bytes"},
		"empty reply":        {UDP{Required: true}, echo, L7OK, "reply: 0 bytes"},
		"reply as expected":  {UDP{Payload: "\x01\x02\xff", Reply: "01 0X fX"}, echo, L7OK, "reply: 3 bytes"},
		"reply begins so":    {UDP{Payload: "\x01\x02\xff", Reply: "01"}, echo, L7OK, "reply: 3 bytes"},
		"reply is another":   {UDP{Payload: "\x01\x02", Reply: "02"}, echo, L7RSP, "reply: 2 bytes, which do not begin with 02: 0102"},
		"reply too short":    {UDP{Payload: "\x01", Reply: "01XX"}, echo, L7RSP, "reply: 1 bytes, which do not begin"},
		"fewer":              {UDP{Payload: "abc", MinLength: 4}, echo, L7RSP, "reply: 3 bytes, fewer than 4"},
		"as few as it may":   {UDP{Payload: "abc", MinLength: 3, MaxLength: 3}, echo, L7OK, "reply: 3 bytes"},
		"more":               {UDP{Payload: "abc", MaxLength: 2}, echo, L7RSP, "reply: 3 bytes or more, more than 2"},
		"much more":          {UDP{Payload: strings.Repeat("x", 9000), MaxLength: 2}, echo, L7RSP, "reply: 66 bytes or more, more than 2"},
		"port unreachable":   {UDP{Payload: "ping"}, closedUDP(t), L4CON, "reply: ICMP port unreachable from 127.0.0.1"},
		"unreachable, asked": {UDP{Required: true}, closedUDP(t), L4CON, "reply: ICMP port unreachable from 127.0.0.1"},
	} {
		t.Run(name, func(t *testing.T) {
			request := of(test.kind, test.target)
			if err := request.Validate(); err != nil {
				t.Fatal(err)
			}
			expectResult(t, request.Ask(t.Context()), test.code, test.reason)
		})
	}
}

// Silence is up just before the timeout, or down at it.
func TestUDPSilence(t *testing.T) {
	for name, test := range map[string]struct {
		kind   UDP
		code   Code
		reason string
		took   time.Duration
	}{
		"up":   {UDP{Payload: "ping", Reply: "00"}, L4OK, "nothing against it in 54s", 54 * time.Second},
		"down": {UDP{Payload: "ping", Required: true}, L7TOUT, "reply: timed out", time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				r := asked(t, piped(t, servertest.Silent), test.kind)
				expectResult(t, r, test.code, test.reason)
				if r.Duration != test.took {
					t.Errorf("took %v, want %v", r.Duration, test.took)
				}
			})
		})
	}
	silence := answerUDP(t, func([]byte) []byte { return nil })
	request := of(UDP{Payload: "ping"}, silence)
	request.Timeout = 50 * time.Millisecond
	expectResult(t, request.Ask(t.Context()), L4OK, "nothing against it in ")
}

func TestUDPTranscript(t *testing.T) {
	target := answerUDP(t, func([]byte) []byte { return []byte("\x00ok") })
	r := of(UDP{Payload: "hello"}, target).Ask(t.Context())
	if want := "> 5 bytes: 68656c6c6f\n< 3 bytes: 006f6b\n"; r.Transcript != want {
		t.Errorf("transcript %q, want %q", r.Transcript, want)
	}
}

// Only the target's own datagrams count.
func TestUDPFromAnother(t *testing.T) {
	sent := make(chan []byte, 1)
	other, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	server, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	go func() {
		buffer := make([]byte, 16)
		n, from, _ := server.ReadFromUDPAddrPort(buffer)
		_, _ = other.WriteToUDPAddrPort([]byte("bad"), from)
		_, _ = server.WriteToUDPAddrPort([]byte("good"), from)
		sent <- buffer[:n]
	}()
	r := of(UDP{Payload: "x"}, server.LocalAddr().(*net.UDPAddr).AddrPort()).Ask(t.Context())
	expectResult(t, r, L7OK, "reply: 4 bytes")
	<-sent
}

func TestUDPValidate(t *testing.T) {
	for _, test := range []struct {
		kind UDP
		want string
	}{
		{UDP{}, ""},
		{UDP{Reply: "0X xF aB", MinLength: 3, MaxLength: 3}, ""},
		{UDP{Payload: strings.Repeat("x", 65508)}, "payload has 65508 bytes, a datagram at most 65507"},
		{UDP{Reply: "012"}, `reply pattern "012" is not pairs of digits`},
		{UDP{Reply: "0g"}, `reply pattern "0g" has "g", want hexadecimal digits`},
		{UDP{MinLength: -1}, "length of a reply must be 0 to 65507 bytes, got -1 and 0"},
		{UDP{MaxLength: 70000}, "got 0 and 70000"},
		{UDP{MinLength: 5, MaxLength: 4}, "no reply is 5 bytes or more and 4 or less"},
		{UDP{Reply: "0102", MaxLength: 1}, "no reply is 2 bytes or more and 1 or less"},
	} {
		err := test.kind.Validate()
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%+v: error %v, want %q", test.kind, err, test.want)
		}
	}
}

// FuzzUDPReply compares the judgement of a reply with a simpler one, which
// spells reply and pattern out.
func FuzzUDPReply(f *testing.F) {
	f.Add("01 Xf", []byte{1, 0x2f}, 0, 0)
	f.Add("", []byte{}, 1, 2)
	f.Add("xx", []byte{9}, 1, 1)
	f.Fuzz(func(t *testing.T, pattern string, reply []byte, least, most int) {
		k := UDP{Reply: pattern, MinLength: least, MaxLength: most}
		if k.Validate() != nil {
			return
		}
		text := inFullHex(reply)
		want := len(reply) >= least && (most == 0 || len(reply) <= most)
		for i, c := range strings.ToLower(strings.ReplaceAll(pattern, " ", "")) {
			want = want && i < len(text) && (c == 'x' || byte(c) == text[i])
		}
		if _, err := k.judge(reply); (err == nil) != want {
			t.Errorf("%+v of %q: %v, want success %v", k, text, err, want)
		}
	})
}

func inFullHex(b []byte) string {
	const digits = "0123456789abcdef"
	var text strings.Builder
	for _, c := range b {
		text.WriteByte(digits[c>>4])
		text.WriteByte(digits[c&15])
	}
	return text.String()
}
