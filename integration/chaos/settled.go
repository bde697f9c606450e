package main

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
)

// Settled is nil when everything is as desired: a is the one MASTER and alone has
// the VIP, the client's neighbour table says so, the IPVS tables, rules and
// addresses of every node are what the configuration wants, and every server is up.
func (s *Site) Settled() error {
	for i, n := range s.Nodes {
		want := roleBackup
		if i == 0 {
			want = roleMaster
		}
		if err := s.nodeSettled(n, want); err != nil {
			return fmt.Errorf("%s: %w", n.Name, err)
		}
	}
	if err := s.clientSees(s.Nodes[0].Host); err != nil {
		return err
	}
	for _, n := range s.Nodes {
		if err := s.ruled(n); err != nil {
			return fmt.Errorf("%s: %w", n.Name, err)
		}
	}
	return nil
}

func (s *Site) nodeSettled(n *Node, want string) error {
	if role := n.Role(); role != want {
		return fmt.Errorf("is %q, want %s", role, want)
	}
	if said := n.lastRole(); said != want && said != "" {
		return fmt.Errorf("its log says %q, want %s", said, want)
	}
	if holds := s.watch.holds(n.index); holds != (want == roleMaster) {
		return fmt.Errorf("has the VIP: %v", holds)
	}
	if err := s.Contestant.Settled(n); err != nil {
		return err
	}
	have, err := n.balanced()
	if err != nil {
		return err
	}
	if want := s.Config.services(s); !slices.Equal(have, want) {
		return fmt.Errorf("its IPVS table has %v, want %v", have, want)
	}
	return nil
}

// ruled is an error unless a BACKUP of a relay has the rule, once, and nobody else.
func (s *Site) ruled(n *Node) error {
	if s.Config.Topology != Relay {
		return nil
	}
	want := 1
	if n.index == 0 {
		want = 0
	}
	out, err := n.Try("iptables", "-t", "nat", "-S", "PREROUTING")
	if err != nil {
		return err
	}
	have := 0
	for line := range strings.Lines(out) {
		if strings.Contains(line, "-j REDIRECT") && strings.Contains(line, fmt.Sprintf("--dport %d ", servicePort)) {
			have++
		}
	}
	if have != want {
		return fmt.Errorf("has %d rules, want %d:\n%s", have, want, out)
	}
	return nil
}

// services is what every node's IPVS table is to have, a line for each service and
// each real server, in order.
func (c Config) services(s *Site) []string {
	lines := []string{fmt.Sprintf("TCP %s rr", s.Service)}
	for _, server := range s.serverAddresses() {
		lines = append(lines, fmt.Sprintf("TCP %s -> %s 1", s.Service, server))
	}
	idle := netip.AddrPortFrom(s.Service.Addr(), idlePort)
	lines = append(lines, fmt.Sprintf("TCP %s rr", idle))
	for _, server := range idleServers(c.Servers) {
		lines = append(lines, fmt.Sprintf("TCP %s -> %s 1", idle, server))
	}
	slices.Sort(lines)
	return lines
}

// balanced is what the node's IPVS table has, in the same form. The kernel tells it
// without a process.
func (n *Node) balanced() ([]string, error) {
	text, err := n.readProc("ip_vs")
	if err != nil {
		return nil, err
	}
	return parseTable(text)
}

// readProc reads a file of the node's network in /proc.
func (n *Node) readProc(name string) (text string, err error) {
	err = n.Do(func() error {
		b, err := os.ReadFile("/proc/thread-self/net/" + name)
		text = string(b)
		return err
	})
	return text, err
}

// parseTable reads /proc/net/ip_vs.
func parseTable(text string) ([]string, error) {
	var lines []string
	service := ""
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		switch {
		case len(fields) >= 3 && (fields[0] == "TCP" || fields[0] == "UDP"):
			address, err := hexAddress(fields[1])
			if err != nil {
				return nil, err
			}
			service = fmt.Sprintf("%s %s", fields[0], address)
			lines = append(lines, service+" "+fields[2])
		case len(fields) >= 4 && fields[0] == "->" && service != "":
			address, err := hexAddress(fields[1])
			if err != nil {
				return nil, err
			}
			lines = append(lines, fmt.Sprintf("%s -> %s %s", service, address, fields[3]))
		}
	}
	slices.Sort(lines)
	return lines, nil
}

// hexAddress reads "0A630064:0050".
func hexAddress(text string) (netip.AddrPort, error) {
	address, port, found := strings.Cut(text, ":")
	a, err := strconv.ParseUint(address, 16, 32)
	p, portErr := strconv.ParseUint(port, 16, 16)
	if !found {
		err = errors.New("it has no port")
	}
	if err := errors.Join(err, portErr); err != nil {
		return netip.AddrPort{}, fmt.Errorf("IPVS table: %q: %w", text, err)
	}
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{byte(a >> 24), byte(a >> 16), byte(a >> 8), byte(a)}), uint16(p)), nil
}

// knows is an error unless the node's IPVS has the held connections.
func (n *Node) knows(ports []uint16) error {
	text, err := n.readProc("ip_vs_conn")
	if err != nil {
		return err
	}
	for _, port := range ports {
		if !strings.Contains(text, fmt.Sprintf(" %04X ", port)) {
			return fmt.Errorf("%s does not know the connection from port %d", n.Name, port)
		}
	}
	return nil
}
