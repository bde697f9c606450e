package config

import (
	"maps"
	"net/netip"
	"slices"
	"time"
)

// Of nodes in a cluster.
const (
	minNodes = 2
	maxNodes = 16
)

// clusterPort is the TCP port of the channel unless the file says otherwise.
const clusterPort = 9468

// readCluster reads [cluster], which is the same on all nodes but for whose name is
// Self.
func readCluster(t *table) (*Cluster, listener) {
	defer t.close()
	c := &Cluster{
		Port:     uint16(read(t, "port", integer(1, 65535)).or(clusterPort)),
		Key:      readClusterKey(t),
		Interval: read(t, "interval", duration(100*time.Millisecond, time.Minute, 1)).or(2 * time.Second),
	}
	nodes := t.sub("nodes")
	t.describe("nodes", "table of addresses", "host names, 2..16", "required")
	if nodes == nil {
		if !t.has("nodes") {
			t.missing("nodes", "the table [cluster.nodes] with the address of each node")
		}
		return c, listener{}
	}
	c.readNodes(nodes)
	at := nodes.path()
	if c.Self != "" {
		at = nodes.at(c.Self)
	}
	return c, listener{nodes, "[cluster]", at, netip.AddrPortFrom(c.Nodes[c.Self], c.Port)}
}

// readNodes reads [cluster.nodes].
func (c *Cluster) readNodes(t *table) {
	values := t.layers[0].values
	names := slices.Sorted(maps.Keys(values))
	c.Nodes = make(map[string]netip.Addr, len(names))
	addresses := make(seen[netip.Addr])
	for _, name := range names {
		if !isWord(name) {
			t.failKey(t.at(name), "%q is not a host name, expected one without spaces", name)
		}
		addr, err := address().parse(values[name])
		if err != nil {
			t.fail(t.at(name), "%s", err)
		}
		addresses.again(t, addr, t.at(name), "%s is already the address of a node", addr)
		c.Nodes[name] = addr
	}
	if len(names) < minNodes || len(names) > maxNodes {
		t.failKey(t.path(), "has %d nodes, expected %d..%d", len(names), minNodes, maxNodes)
	}
	c.checkReachable(t, names)
	c.readSelf(t, names)
}

// checkReachable reports loopback addresses, unless there are no others: that is
// how several nodes are tried on one host.
func (c *Cluster) checkReachable(t *table, names []string) {
	others := func(name string) bool { return c.Nodes[name].IsValid() && !c.Nodes[name].IsLoopback() }
	for _, name := range names {
		if c.Nodes[name].IsLoopback() && slices.ContainsFunc(names, others) {
			t.fail(t.at(name), "%s is a loopback address, expected one that the other nodes can reach", c.Nodes[name])
		}
	}
}

// readSelf finds the node among the others, as overrides find theirs.
func (c *Cluster) readSelf(t *table, names []string) {
	switch matches := matching(t.node, names); len(matches) {
	case 0:
		t.failKey(t.path(), "has no node %q, which reads this file, expected it among %s", t.node, quotedList(names))
	case 1:
		c.Self = matches[0]
	default:
		t.failKey(t.at(matches[1]), "names this host as %q does, expected full host names where short ones are ambiguous", matches[0])
	}
}

// readClusterKey reads the key, from the file or from one of its own.
func readClusterKey(t *table) Secret {
	inline := read(t, "key", secret())
	file := read(t, "key_file", filePath())
	key := inline.orElse(nil, "required, or key_file")
	switch path := file.orElse("", "required, or key"); {
	case inline.set && file.set:
		t.failKey(t.at("key_file"), "there is a key too, expected either key or key_file")
	case path != "" && t.node == t.loading:
		key = readKeyFile(t, "key_file", path)
	case !inline.set && !file.set:
		t.missing("key", inline.kind.expected+", or key_file")
	}
	return Secret(key)
}
