package config

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// nowhere is what a file says for no listener at all.
const nowhere = "off"

// listenAddress is where to listen: ADDRESS:PORT, or nowhere, which is the zero
// value.
func listenAddress() kind[netip.AddrPort] {
	k := kind[netip.AddrPort]{
		name: "address", allowed: "ADDRESS:PORT or " + nowhere,
		expected: fmt.Sprintf(`an address with its port in quotes, such as "127.0.0.1:9466", or %q`, nowhere),
	}
	k.show = func(at netip.AddrPort) string { return strconv.Quote(at.String()) }
	k.parse = func(raw any) (netip.AddrPort, error) {
		text, ok := raw.(string)
		switch {
		case !ok:
			return netip.AddrPort{}, k.wrongType(raw)
		case text == nowhere || text == "":
			return netip.AddrPort{}, nil
		}
		return parseListen(text)
	}
	return k
}

func parseListen(text string) (netip.AddrPort, error) {
	host, port, hasPort := cutPort(text)
	number, err := strconv.ParseUint(port, 10, 16)
	switch {
	case !hasPort || err != nil || number == 0:
		return netip.AddrPort{}, fmt.Errorf("%q has no valid port, expected ADDRESS:PORT with a port 1..65535, or %q", text, nowhere)
	case host == "":
		return netip.AddrPort{}, fmt.Errorf(`%q has no address, expected one, such as "127.0.0.1:%s", or "[::]:%s" for all of this node`, text, port, port)
	}
	addr, err := parseIP(host)
	if err == nil && (addr.IsMulticast() || addr == broadcastAll) {
		err = fmt.Errorf("%q is not the address of a host, expected one of this node", host)
	}
	return netip.AddrPortFrom(addr, uint16(number)), err
}

// readAllow reads which clients a listener answers.
func readAllow(t *table) []netip.Prefix {
	allowed, whole := readList(t, "allow", network(""), "everybody who can reach it")
	wantElements(t, "allow", allowed, whole)
	checkDistinct(t, allowed)
	return plain(allowed)
}

// listener is a key that makes this node listen on a TCP port.
type listener struct {
	*table
	what string
	at   path
	on   netip.AddrPort
}

// checkListeners reports addresses that this node cannot listen on, or not twice.
func checkListeners(all []listener, instances []instance) {
	held := holders(instances)
	for n, l := range all {
		if i := held[l.on.Addr()]; i != nil {
			l.fail(l.at, "%s is a VIP of instance %q (line %d), expected an address that stays on this node", l.on.Addr(), i.Router.Name, i.line(i.at("vips")))
		}
		for _, other := range all[:n] {
			if l.on.IsValid() && l.on.Port() == other.on.Port() && meet(l.on.Addr(), other.on.Addr()) {
				l.fail(l.at, "port %d is taken by %s (line %d), expected another", l.on.Port(), other.what, other.line(other.at))
			}
		}
	}
}

// meet reports whether one socket keeps another from the same port.
func meet(a, b netip.Addr) bool {
	return a == b || a.IsUnspecified() && (a.Is6() || b.Is4()) || b.IsUnspecified() && (b.Is6() || a.Is4())
}

// hostPort is HOST or HOST:PORT of somebody else's server, by address or name. The
// port is 0 where there is none.
func hostPort() kind[target] {
	k := serverAddress()
	k.name, k.allowed = "string", "HOST or HOST:PORT"
	k.expected = `a host in quotes, such as "mail.example.org:587"`
	parse := k.parse
	k.parse = func(raw any) (target, error) {
		t, err := parse(raw)
		if err == nil && t.hasPort && t.port == 0 {
			err = fmt.Errorf("%q has no valid port, expected HOST:PORT with a port 1..65535", raw)
		}
		return t, err
	}
	return k
}

// text is the target as dialers take it, with the port that is meant where it has
// none; empty for the zero target.
func (t target) text(port uint16) string {
	host := t.host
	switch {
	case t.addr.IsValid():
		host = t.addr.String()
	case host == "":
		return ""
	}
	if t.hasPort {
		port = t.port
	}
	return net.JoinHostPort(strings.TrimSuffix(host, "."), strconv.Itoa(int(port)))
}
