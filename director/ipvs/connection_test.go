package ipvs

import (
	"errors"
	"io"
	"net/netip"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

const connectionTable = `Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Expires PEName PEData
TCP C0000263 D2F0 C0000201 0019 C000020B 0019 ESTABLISHED     899
UDP C0000263 13C4 C0000201 13C4 C000020C 13C4 UDP             299 sip 7f 3@host
IP  C0000263 0000 00000007 0000 C000020B 0000 NONE             59
TCP 2001:0db8:0000:0000:0000:0000:0000:0063 8235 2001:0db8:0000:0000:0000:0000:0000:0001 0050 2001:0db8:0000:0000:0000:0000:0000:000b 0050 FIN_WAIT        119
`

func TestConnections(t *testing.T) {
	want := []Connection{
		{
			Protocol: TCP, Client: netip.MustParseAddrPort("192.0.2.99:54000"),
			Virtual: netip.MustParseAddrPort("192.0.2.1:25"), Destination: netip.MustParseAddrPort("192.0.2.11:25"),
			State: "ESTABLISHED", Expires: 899 * time.Second,
		},
		{
			Protocol: UDP, Client: netip.MustParseAddrPort("192.0.2.99:5060"),
			Virtual: netip.MustParseAddrPort("192.0.2.1:5060"), Destination: netip.MustParseAddrPort("192.0.2.12:5060"),
			State: "UDP", Expires: 299 * time.Second, Engine: "sip", EngineData: "7f 3@host",
		},
		{
			Client: netip.MustParseAddrPort("192.0.2.99:0"), Virtual: netip.MustParseAddrPort("0.0.0.7:0"),
			Destination: netip.MustParseAddrPort("192.0.2.11:0"), State: "NONE", Expires: 59 * time.Second,
		},
		{
			Protocol: TCP, Client: netip.MustParseAddrPort("[2001:db8::63]:33333"),
			Virtual: netip.MustParseAddrPort("[2001:db8::1]:80"), Destination: netip.MustParseAddrPort("[2001:db8::b]:80"),
			State: "FIN_WAIT", Expires: 119 * time.Second,
		},
	}
	var got []Connection
	for c, err := range Connections(strings.NewReader(connectionTable)) {
		fatal(t, err)
		got = append(got, c)
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.AddrPort{})); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// TestConnectionsStreams stops after the first entry of a table without end.
func TestConnectionsStreams(t *testing.T) {
	header, rest, _ := strings.Cut(connectionTable, "\n")
	read := 0
	endless := readerFunc(func(b []byte) (int, error) {
		read++
		return copy(b, rest), nil
	})
	for _, err := range Connections(io.MultiReader(strings.NewReader(header+"\n"), endless)) {
		fatal(t, err)
		break
	}
	if read > 1 {
		t.Errorf("read %d times for one entry", read)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }

func TestConnectionsFaults(t *testing.T) {
	const good = "TCP C0000263 D2F0 C0000201 0019 C000020B 0019 ESTABLISHED     899"
	for want, line := range map[string]string{
		`line 2: 2 columns`:           "TCP C0000263",
		`line 2: protocol "TCQ"`:      strings.Replace(good, "TCP", "TCQ", 1),
		`line 2: protocol "IP_256"`:   strings.Replace(good, "TCP", "IP_256", 1),
		`line 2: address "C00002"`:    strings.Replace(good, "C0000263", "C00002", 1),
		`line 2: address "C000026:"`:  strings.Replace(good, "C0000263", "C000026:", 1),
		`line 2: port "D2F0F"`:        strings.Replace(good, "D2F0", "D2F0F", 1),
		`line 2: expiry "8m"`:         strings.Replace(good, "899", "8m", 1),
		`line 2: expiry "4294967296"`: strings.Replace(good, "899", "4294967296", 1),
	} {
		n := 0
		for c, err := range Connections(strings.NewReader("Pro\n" + line + "\n" + good)) {
			n++
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%q: %v, error %v, want %q", line, c, err, want)
			}
		}
		if n != 1 {
			t.Errorf("%q: %d results, want one error", line, n)
		}
	}
}

func TestConnectionsReadError(t *testing.T) {
	broken := errors.New("broken")
	for _, err := range Connections(iotest.ErrReader(broken)) {
		if !errors.Is(err, broken) {
			t.Errorf("error %v, want %v", err, broken)
		}
	}
}

// FuzzConnections looks for a table that makes the parser panic or give an entry
// with a missing part.
func FuzzConnections(f *testing.F) {
	f.Add(connectionTable)
	f.Add("\n\n")
	f.Add("Pro\nTCP C0000263 D2F0 C0000201 0019 C000020B")
	f.Fuzz(func(t *testing.T, table string) {
		for c, err := range Connections(strings.NewReader(table)) {
			if err != nil {
				continue
			}
			if !c.Client.IsValid() || !c.Virtual.IsValid() || !c.Destination.IsValid() || c.State == "" || c.Expires < 0 {
				t.Errorf("incomplete entry %+v", c)
			}
		}
	})
}
