package config

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

var broadcastAll = netip.AddrFrom4([4]byte{255, 255, 255, 255})

// address is an IP address of one host.
func address() kind[netip.Addr] { return addressAs(parseAddress) }

// addressAs is an IP address that parse accepts.
func addressAs(parse func(text string) (netip.Addr, error)) kind[netip.Addr] {
	k := kind[netip.Addr]{name: "address", plural: "addresses"}
	k.expected = `an address in quotes, such as "192.0.2.1"`
	k.parse = func(raw any) (netip.Addr, error) {
		text, ok := raw.(string)
		if !ok {
			return netip.Addr{}, k.wrongType(raw)
		}
		return parse(text)
	}
	return k
}

func parseAddress(text string) (netip.Addr, error) {
	addr, err := parseIP(text)
	switch {
	case err != nil:
		return netip.Addr{}, err
	case addr.IsUnspecified(), addr.IsMulticast(), addr == broadcastAll:
		return netip.Addr{}, fmt.Errorf("%q is not the address of a host, expected a unicast address", text)
	}
	return addr, nil
}

// parseMulticast is a group's address.
func parseMulticast(text string) (netip.Addr, error) {
	addr, err := parseIP(text)
	if err == nil && !addr.IsMulticast() {
		return netip.Addr{}, fmt.Errorf("%q is not a multicast address, expected 224.0.0.0/4 or ff00::/8", text)
	}
	return addr, err
}

// parseIP is an address alone, whatever it means.
func parseIP(text string) (netip.Addr, error) {
	addr, err := netip.ParseAddr(text)
	if err == nil {
		return addr, checkForm(addr)
	}
	if prefix, err := netip.ParsePrefix(text); err == nil {
		return netip.Addr{}, fmt.Errorf("%q has a prefix length, expected the address alone, %q", text, prefix.Addr())
	}
	return netip.Addr{}, fmt.Errorf(`%q is not an IP address, expected one such as "192.0.2.1"`, text)
}

// checkForm reports the forms of an IPv6 address that stand for something else.
func checkForm(addr netip.Addr) error {
	switch {
	case addr.Zone() != "":
		return fmt.Errorf("%q has a zone, expected the address alone, %q: the interface is known", addr, addr.WithZone(""))
	case addr.Is4In6():
		return fmt.Errorf("%q is an IPv4 address in IPv6, expected %q", addr, addr.Unmap())
	}
	return nil
}

// hostPrefix is ADDRESS or ADDRESS/LENGTH of one host; without a length it is
// the address's whole.
func hostPrefix() kind[netip.Prefix] {
	k := kind[netip.Prefix]{name: "address", allowed: "ADDRESS or ADDRESS/LENGTH", expected: `an address in quotes, such as "192.0.2.1"`}
	k.parse = func(raw any) (netip.Prefix, error) {
		text, ok := raw.(string)
		if !ok {
			return netip.Prefix{}, k.wrongType(raw)
		}
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			addr, err := parseAddress(text)
			if err != nil {
				return netip.Prefix{}, err
			}
			return netip.PrefixFrom(addr, addr.BitLen()), nil
		}
		if _, err := parseAddress(prefix.Addr().String()); err != nil {
			return netip.Prefix{}, err
		}
		if prefix.Bits() == 0 || prefix.Bits() < prefix.Addr().BitLen()-1 && prefix == prefix.Masked() {
			return netip.Prefix{}, fmt.Errorf("%q is a network, expected the address of a host in it", text)
		}
		return prefix, nil
	}
	return k
}

// network is ADDRESS/LENGTH without bits beyond the length. Where word is set,
// it stands for the zero prefix.
func network(word string) kind[netip.Prefix] {
	k := kind[netip.Prefix]{name: "network", plural: "networks", allowed: "ADDRESS/LENGTH", expected: `a network in quotes, such as "192.0.2.0/24"`}
	if word != "" {
		k.allowed, k.expected = fmt.Sprintf("%s or %s", k.allowed, word), fmt.Sprintf("%s, or %q", k.expected, word)
	}
	k.parse = func(raw any) (netip.Prefix, error) {
		text, ok := raw.(string)
		if !ok {
			return netip.Prefix{}, k.wrongType(raw)
		}
		if text == word {
			return netip.Prefix{}, nil
		}
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			return netip.Prefix{}, notNetwork(text, k.expected)
		}
		if err := checkForm(prefix.Addr()); err != nil {
			return netip.Prefix{}, err
		}
		if prefix != prefix.Masked() {
			return netip.Prefix{}, fmt.Errorf("%q has bits beyond its length, expected %q", text, prefix.Masked())
		}
		return prefix, nil
	}
	return k
}

// notNetwork says what a text is that is no prefix.
func notNetwork(text, expected string) error {
	if addr, err := netip.ParseAddr(text); err == nil && addr.Zone() == "" {
		return fmt.Errorf("%q has no prefix length, expected %q for this address alone", text, netip.PrefixFrom(addr, addr.BitLen()))
	}
	return fmt.Errorf("%q is not a network, expected %s", text, expected)
}

// target is an address or host name, with a port or without.
type target struct {
	addr    netip.Addr
	host    string
	port    uint16
	hasPort bool
}

// with is the target's address with the port that is meant where it has none.
func (t target) with(port uint16) netip.AddrPort {
	if t.hasPort {
		port = t.port
	}
	return netip.AddrPortFrom(t.addr, port)
}

// endpoint is ADDRESS or ADDRESS:PORT of a virtual service or sorry server.
func endpoint() kind[target] {
	k := kind[target]{name: "address", allowed: "ADDRESS or ADDRESS:PORT", expected: `an address in quotes, such as "192.0.2.1"`}
	k.parse = func(raw any) (target, error) {
		text, ok := raw.(string)
		if !ok {
			return target{}, k.wrongType(raw)
		}
		host, port, hasPort := cutPort(text)
		addr, err := parseAddress(host)
		if err != nil {
			return target{}, err
		}
		return target{addr: addr}.at(text, port, hasPort)
	}
	return k
}

// serverAddress is an endpoint, or NAME or NAME:PORT.
func serverAddress() kind[target] {
	k := endpoint()
	k.allowed = "ADDRESS, ADDRESS:PORT, NAME or NAME:PORT"
	parse := k.parse
	k.parse = func(raw any) (target, error) {
		text, ok := raw.(string)
		if !ok {
			return parse(raw)
		}
		host, port, hasPort := cutPort(text)
		if isHostName(host) {
			return target{host: strings.ToLower(strings.Clone(host))}.at(text, port, hasPort)
		}
		t, err := parse(raw)
		if err != nil && !hasIP(host) {
			err = fmt.Errorf(`%q is neither an IP address nor a host name, expected one such as "192.0.2.1" or "web.example.org"`, host)
		}
		return t, err
	}
	return k
}

// hasIP reports whether the text is an address, maybe with a prefix length.
func hasIP(text string) bool {
	address, _, _ := strings.Cut(text, "/")
	_, err := netip.ParseAddr(address)
	return err == nil
}

// at is the target with the port of the text, if it has one.
func (t target) at(text, port string, hasPort bool) (target, error) {
	if !hasPort {
		return t, nil
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return target{}, fmt.Errorf("%q has no valid port, expected ADDRESS:PORT with a port 0..65535", text)
	}
	t.port, t.hasPort = uint16(number), true
	return t, nil
}

// isHostName reports whether the text is a name of DNS and cannot be meant for
// an address (RFC 1123 section 2.1).
func isHostName(text string) bool {
	name := strings.TrimSuffix(text, ".")
	if name == "" || len(name) > 253 {
		return false
	}
	var label string
	for label = range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' ||
			strings.ContainsFunc(label, func(r rune) bool { return !isBareRune(r) || r == '_' }) {
			return false
		}
	}
	return strings.ContainsFunc(label, func(r rune) bool { return r < '0' || r > '9' })
}

// cutPort splits 192.0.2.1:25 and [2001:db8::1]:25; 2001:db8::1 has no port.
func cutPort(text string) (host, port string, hasPort bool) {
	if inner, ok := strings.CutPrefix(text, "["); ok {
		host, port, _ = strings.Cut(inner, "]")
		port, hasPort = strings.CutPrefix(port, ":")
		return host, port, hasPort
	}
	if strings.Count(text, ":") != 1 {
		return text, "", false
	}
	return strings.Cut(text, ":")
}
