package netif

import (
	"testing"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// FuzzParsePort reads any answer about a port of GUE.
func FuzzParsePort(f *testing.F) {
	attributes := []*nl.RtAttr{
		nl.NewRtAttr(fouPort, []byte{0x17, 0xc0}), nl.NewRtAttr(fouFamily, []byte{unix.AF_INET6}), nl.NewRtAttr(fouType, []byte{fouGUE}),
	}
	var whole []byte
	for _, a := range attributes {
		whole = append(whole, a.Serialize()...)
		f.Add(a.Serialize())
	}
	f.Add(whole)
	f.Add([]byte{1, 0, 0, 0})
	f.Fuzz(func(t *testing.T, answer []byte) {
		port, gue, err := parsePort(answer)
		if err != nil && (gue || port != guePort{}) {
			t.Errorf("%x: %v, %v and %v", answer, port, gue, err)
		}
	})
}
