package integration

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/lvsd/lvsd/director"
	"github.com/lvsd/lvsd/integration/lab"
	"github.com/lvsd/lvsd/integration/relay"
)

// lvsd runs a command of the node's lvsd that asks the daemon.
func (n *node) lvsd(arguments ...string) (string, error) {
	return n.Try(relay.Binary(n.segment), append(arguments, "--run-dir", n.run)...)
}

// all are the instances by name.
func (n *node) all() (map[string]director.InstanceStatus, error) {
	status, err := n.status()
	instances := map[string]director.InstanceStatus{}
	for _, i := range status.Instances {
		instances[i.Name] = i
	}
	return instances, err
}

// says is an error unless lvsd says that the node's only instance is in the
// state. The kernel is not looked at, see inState.
func (n *node) says(state string) error {
	i, err := n.instance()
	if err == nil && i.State != state {
		err = fmt.Errorf("is %s because %s, faults %q, want %s", i.State, i.Reason, i.Faults, state)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", n.Name, err)
	}
	return nil
}

// wait waits until the node's only instance is what the condition wants.
func (n *node) wait(what string, condition func(director.InstanceStatus) bool) {
	n.segment.Helper()
	n.segment.lab.WaitFor(n.Name+": "+what, func() error {
		i, err := n.instance()
		if err == nil && !condition(i) {
			err = fmt.Errorf("%+v", i)
		}
		return err
	})
}

// logged counts the lines of lvsd's log that contain all of the words.
func (n *node) logged(words ...string) int {
	count := 0
	for line := range strings.Lines(n.daemon.Output()) {
		if !slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(line, word) }) {
			count++
		}
	}
	return count
}

// loggedOnce waits until lvsd's log has a line with all of the words, which status
// may know before, and checks that it has no other.
func (n *node) loggedOnce(words ...string) {
	n.segment.Helper()
	n.segment.lab.WaitFor(fmt.Sprintf("%s: a line with %q", n.Name, words), func() error {
		if n.logged(words...) == 0 {
			return errors.New("there is none")
		}
		return nil
	})
	if lines := n.logged(words...); lines != 1 {
		n.segment.Fatalf("%s: %d lines with %q", n.Name, lines, words)
	}
}

// ipAddress is an address as "ip -json address" prints it.
type ipAddress struct {
	Local     string `json:"local"`
	Length    int    `json:"prefixlen"`
	Scope     string `json:"scope"`
	Label     string `json:"label"`
	Broadcast string `json:"broadcast"`
	Tentative bool   `json:"tentative"`
	DADFailed bool   `json:"dadfailed"`
}

// ipAddresses are those of a host's interface, by address and length.
func ipAddresses(h *lab.Host, link string) (map[string]ipAddress, error) {
	out, err := h.Try("ip", "-json", "address", "show", "dev", link)
	if err != nil {
		return nil, err
	}
	var links []struct {
		Addresses []ipAddress `json:"addr_info"`
	}
	if err := json.Unmarshal([]byte(out), &links); err != nil {
		return nil, fmt.Errorf("ip address: %w in %s", err, out)
	}
	all := map[string]ipAddress{}
	for _, l := range links {
		for _, a := range l.Addresses {
			all[fmt.Sprintf("%s/%d", a.Local, a.Length)] = a
		}
	}
	return all, nil
}

// hasAddresses is an error unless the interface has all of the addresses, or
// none, each with its length. None may be in doubt.
func hasAddresses(h *lab.Host, link string, all bool, addresses ...string) error {
	have, err := ipAddresses(h, link)
	for _, address := range addresses {
		a, found := have[address]
		if found != all || a.Tentative || a.DADFailed {
			err = errors.Join(err, fmt.Errorf("%s: %s has %s: %v, want %v: %+v", h.Name, link, address, found, all, a))
		}
	}
	return err
}

// calls are the arguments of the script's runs so far.
func (r *record) calls() (calls []string) {
	text, err := os.ReadFile(r.file)
	if err != nil {
		return nil
	}
	for line := range strings.Lines(string(text)) {
		arguments, _, _ := strings.Cut(line, " | ")
		calls = append(calls, arguments)
	}
	return calls
}
