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
	director.ServerReport
	// HereState and HereWeight are what this node thinks.
	HereState  string `json:"here_state"`
	HereWeight int    `json:"here_weight"`
}

func nodeMessage(status director.Status) message {
	news := nodeNews{status, map[string]differences{}}
	news.Nodes = make([]director.NodeStatus, len(status.Nodes))
	here := serversHere(status.Services)
	for i, node := range status.Nodes {
		if found := compare(here, node.Servers); node.Reachable && found.Count > 0 {
			news.Differences[node.Name] = found
		}
		node.Servers = nil
		news.Nodes[i] = node
	}
	news.Services = nil
	return newMessage("node", news)
}

// serverName is a server of a service by name.
type serverName struct{ service, address string }

func serversHere(services []director.ServiceStatus) map[serverName]*director.RealServerStatus {
	here := map[serverName]*director.RealServerStatus{}
	for i := range services {
		for j := range services[i].RealServers {
			server := &services[i].RealServers[j]
			here[serverName{services[i].Name, server.Address}] = server
		}
	}
	return here
}

// compare finds what another node sees differently: whether a server is up, or its
// weight where both have it in the kernel.
func compare(here map[serverName]*director.RealServerStatus, there []director.ServerReport) differences {
	found := differences{Servers: []difference{}}
	for _, other := range there {
		own := here[serverName{other.Service, other.Address}]
		if own == nil {
			continue
		}
		sameWeight := other.Weight == own.KernelWeight || other.Weight < 0 || own.KernelWeight < 0
		if own.State == other.State && sameWeight {
			continue
		}
		if found.Count++; len(found.Servers) < differencesShown {
			found.Servers = append(found.Servers, difference{other, own.State, own.KernelWeight})
		}
	}
	return found
}

// keyOf is the key of a service among all.
func keyOf(name, protocol, address string, mark uint32, family string) string {
	return strings.Join([]string{name, protocol, address, strconv.FormatUint(uint64(mark), 10), family}, "|")
}
