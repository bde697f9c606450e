package web

import (
	"strconv"
	"strings"

	"github.com/lvsd/lvsd/director"
)

// differencesShown bounds what is told of a node that sees servers differently.
const differencesShown = 50

// nodeNews is the status without the services, which are told by themselves, and with
// what other nodes see differently in place of all that they see.
type nodeNews struct {
	director.Status
	Differences map[string]differences `json:"differences"`
}

// differences are the servers that another node sees differently.
type differences struct {
	Count   int          `json:"count"`
	Servers []difference `json:"servers"`
}

// difference is what another node thinks of a server.
type difference struct {
	Service string `json:"service"`
	Address string `json:"address"`
	State   string `json:"state"`
	Reason  string `json:"reason,omitempty"`
	// HereState is what this node thinks.
	HereState string `json:"here_state"`
}

func nodeMessage(status director.Status) message {
	news := nodeNews{status, differencesOf(status)}
	news.Nodes = make([]director.NodeStatus, len(status.Nodes))
	for i, node := range status.Nodes {
		node.Servers = nil
		news.Nodes[i] = node
	}
	news.Services = nil
	return newMessage("node", news)
}

// differencesOf are the director's disagreements, by the other node.
func differencesOf(status director.Status) map[string]differences {
	all := map[string]differences{}
	for _, d := range status.Disagreements() {
		for _, other := range d.Others {
			found := all[other.Node]
			if found.Count++; len(found.Servers) < differencesShown {
				found.Servers = append(found.Servers, difference{d.Service, d.Address, other.State, other.Reason, d.State})
			}
			all[other.Node] = found
		}
	}
	return all
}

// keyOf is the key of a service among all.
func keyOf(name, protocol, address string, mark uint32, family string) string {
	return strings.Join([]string{name, protocol, address, strconv.FormatUint(uint64(mark), 10), family}, "|")
}
