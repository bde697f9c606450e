package director

// Disagreement is a real server that another node has in another state than this
// one.
type Disagreement struct {
	Service string `json:"service"`
	Address string `json:"address"`
	// State is this node's, Others are the nodes that have another one, by name.
	State  string    `json:"state"`
	Others []Opinion `json:"others"`
}

// Opinion is what another node thinks of a real server.
type Opinion struct {
	Node  string `json:"node"`
	State string `json:"state"`
	// Reason is that node's; empty if it is up.
	Reason string `json:"reason,omitempty"`
}

// Disagreements are the real servers of own, in its order, that nodes have in
// another state. Only up and down are opinions: a node that has not checked yet has
// none, nor has one that cannot be reached, nor one of a server that it does not
// have. Own tells of all servers, as Status.ServerReports does. ConfigHash is this
// node's: of a node with another one that leaves out servers that are up, it is not
// known which it has.
func Disagreements(own []ServerReport, configHash string, nodes []NodeStatus) []Disagreement {
	type subject struct{ service, address string }
	others := make([]map[subject]ServerReport, len(nodes))
	for i, node := range nodes {
		if node.Reachable {
			others[i] = make(map[subject]ServerReport, len(node.Servers))
			for _, server := range node.Servers {
				others[i][subject{server.Service, server.Address}] = server
			}
		}
	}
	all := []Disagreement{}
	for _, server := range own {
		one := Disagreement{Service: server.Service, Address: server.Address, State: server.State}
		for i, node := range nodes {
			other, told := others[i][subject{server.Service, server.Address}]
			if !told && node.Reachable && node.UpOmitted && node.ConfigHash == configHash {
				other.State = stateUp
			}
			if opposed(server.State, other.State) {
				one.Others = append(one.Others, Opinion{node.Name, other.State, other.Reason})
			}
		}
		if len(one.Others) > 0 {
			all = append(all, one)
		}
	}
	return all
}

// Disagreements are those of the other nodes of the cluster with this one.
func (s Status) Disagreements() []Disagreement {
	return Disagreements(s.ServerReports(), s.ConfigHash, s.Nodes)
}

// opposed reports whether one is up and the other down.
func opposed(a, b string) bool {
	return a == stateUp && b == stateDown || a == stateDown && b == stateUp
}

// ServerReports are all real servers of the status, without bounds. Reasons are those
// of the first check that fails.
func (s Status) ServerReports() []ServerReport {
	var all []ServerReport
	for i := range s.Services {
		service := &s.Services[i]
		for j := range service.RealServers {
			server := &service.RealServers[j]
			all = append(all, ServerReport{
				Service: service.Name, Address: server.Address, State: server.State,
				Reason: server.firstFailure(), Weight: server.KernelWeight, Active: server.Active,
			})
		}
	}
	return all
}

func (s *RealServerStatus) firstFailure() string {
	for _, check := range s.Checks {
		if check.State == stateDown {
			return check.Reason
		}
	}
	return ""
}
