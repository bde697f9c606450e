package main

import (
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/lvsd/lvsd/integration/vm/protocol"
)

// TestPublish: the program is told to listen where qemu forwards to.
func TestPublish(t *testing.T) {
	o, program, err := parse([]string{"-publish", "9477", "--", "true"})
	if err != nil {
		t.Fatal(err)
	}
	req, err := o.request(kernel{}, program)
	if err != nil {
		t.Fatal(err)
	}
	const listen = "10.0.2.15:9477"
	if req.Address != netip.MustParsePrefix("10.0.2.15/24") || !slices.Contains(req.Env, protocol.ListenVariable+"="+listen) {
		t.Errorf("address %s, environment %q", req.Address, req.Env)
	}
	arguments := strings.Join(machine{publish: o.publish}.arguments(), " ")
	if want := "restrict=on,hostfwd=tcp:127.0.0.1:9477-" + listen; !strings.Contains(arguments, want) {
		t.Errorf("%q lacks %q", arguments, want)
	}
	if arguments := strings.Join(machine{}.arguments(), " "); strings.Contains(arguments, "net") {
		t.Errorf("a network card that nobody asked for: %q", arguments)
	}
}

func TestPortTaken(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := port(l.Addr().(*net.TCPAddr).Port)
	if err := p.free(); err == nil {
		t.Error("a port that is listened on is free")
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := p.free(); err != nil {
		t.Error(err)
	}
}
