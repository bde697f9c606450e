package config

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"sync"

	"github.com/BurntSushi/toml"
)

// Load reads the file at path as it applies to the node, see Parse. A file that
// cannot be read is an error that wraps the operating system's; one that it
// names is a problem. A file that everyone may write is refused.
func Load(path, node string) (*Config, error) { return new(Cache).Load(path, node) }

// Parse reads the file's text as it applies to the node, a host name. Name is
// what problems call the file. The overrides of all nodes are checked, not only
// this one's, so a file that is valid for one node is valid for each that it
// names. The key files that it names are read too, but only this node's.
//
// The error is Problems: everything that is wrong, or the one thing that keeps
// the text from being TOML at all.
func Parse(name string, data []byte, node string) (*Config, error) {
	return new(Cache).Parse(name, data, node)
}

// document is a file that is TOML, as far as it has been decoded.
type document struct {
	file string
	text []byte
	// root is what is decoded: all, or all but the services.
	root map[string]any
	// services are the texts of the virtual services, in pieces; nil if root
	// has them.
	services [][]byte
	// pieces are the services as far as they have been read, in the order of
	// their texts.
	pieces []piece
	// positions is where everything stands; it takes a walk over all the text,
	// and only a problem asks.
	positions func() *positions
	// readFile reads a file that the document names.
	readFile func(path string) ([]byte, error)
}

func newDocument(name string, data []byte) *document {
	text := bytes.TrimPrefix(data, []byte("\ufeff"))
	return &document{
		file: name, text: text, readFile: readSmallFile,
		positions: sync.OnceValue(func() *positions { return scanPositions(string(text)) }),
	}
}

func decode(name string, data []byte) (*document, error) {
	doc := newDocument(name, data)
	rest, services := split(doc.text)
	if root, err := decodeRest(rest); err == nil && len(services) > 0 {
		doc.root, doc.services = root, services
		return doc, nil
	}
	return doc, doc.decodeWhole()
}

// decodeWhole decodes the text at once.
func (d *document) decodeWhole() error {
	d.root, d.services, d.pieces = nil, nil, nil
	err := toml.Unmarshal(d.text, &d.root)
	if err == nil {
		return nil
	}
	problem := Problem{File: d.file, Line: 1, Column: 1, Message: err.Error()}
	if syntax := (toml.ParseError{}); errors.As(err, &syntax) {
		problem.Line, problem.Column = d.positions().place(syntax.Position.Start)
		problem.Message = "not TOML: " + strings.TrimSuffix(syntax.Message, ".")
	}
	return Problems{problem}
}

// config is the document as it applies to the node, or its problems.
func (d *document) config(node string) (*Config, error) {
	cfg, problems, err := d.read(node, nil)
	if err != nil {
		if err := d.decodeWhole(); err != nil {
			return nil, err
		}
		cfg, problems, _ = d.read(node, nil)
	}
	if len(problems) > 0 {
		return nil, problems
	}
	return cfg, nil
}

// read reads the document for the node, and for each node it names only to
// find their problems. It adds what each key accepts to keys, unless that is
// nil. The error is that of a service which cannot be decoded on its own.
func (d *document) read(node string, keys map[string]keySpec) (*Config, Problems, error) {
	found := new(report)
	r := &reader{
		document: d, node: node, loading: node, scope: everyNode, report: found,
		keys: keys,
	}
	top := readTop(&table{reader: r, layers: []layer{{values: d.root}}})
	cfg := &Config{Sysctl: readSysctl(top.sysctl), Checks: readLimits(top.checks)}
	vs := readIPVS(top.ipvs)
	cfg.IPVS = vs.IPVS
	services, err := r.readServices(top.services)
	if err != nil {
		return nil, nil, err
	}
	checkSNAT(services, vs)
	nodes := nodeNames(node, top.ofNodes())
	found.nodes = len(nodes)
	for _, n := range nodes {
		here := top.forNode(n, services, vs)
		if n == node {
			here.Sysctl, here.IPVS, here.Checks = cfg.Sysctl, cfg.IPVS, cfg.Checks
			cfg = &here
		}
	}
	if len(top.instances) == 0 && len(services) == 0 && len(top.accepts) == 0 && len(found.found) == 0 {
		r.add(path{}, 0, "neither [[vrrp]] nor [[virtual_service]] nor [[accept]], expected at least one")
	}
	if len(found.found) == 0 {
		cfg.Services = expandServices(services)
		cfg.withScriptUser()
		if slices.ContainsFunc(services, (*service).hasPaths) {
			cfg.Services = withPathMarks(cfg.Services)
		}
	}
	return cfg, found.problems(), nil
}

// expandServices are the virtual services that the tables make.
func expandServices(tables []*service) []VirtualService {
	count := 0
	for _, s := range tables {
		count += len(s.keys)
	}
	if count == 0 {
		return nil
	}
	all := make([]VirtualService, 0, count)
	for _, s := range tables {
		all = s.expand(all)
	}
	return all
}

// top are the tables at the top of a document.
type top struct {
	global, sysctl, ipvs, checks *table
	metrics, web, alerts, reload *table
	sync, cluster                *table // nil where there is none

	instances, accepts, groups, trackers []*table
	// services are none where they are in pieces.
	services []*table
}

func readTop(root *table) top {
	defer root.close()
	return top{
		global:    root.subOrEmpty("global"),
		sysctl:    root.subOrEmpty("sysctl"),
		ipvs:      root.subOrEmpty("ipvs"),
		checks:    root.subOrEmpty("checks"),
		metrics:   root.subOrEmpty("metrics"),
		web:       root.subOrEmpty("web"),
		alerts:    root.subOrEmpty("alerts"),
		reload:    root.subOrEmpty("reload"),
		sync:      root.sub("sync"),
		cluster:   root.sub("cluster"),
		instances: root.list("vrrp"),
		accepts:   root.list("accept"),
		groups:    root.list("sync_group"),
		trackers:  root.list("tracker"),
		services:  root.list(serviceKey),
	}
}

// ofNodes are the tables that may differ between nodes.
func (t top) ofNodes() []*table {
	tables := slices.Concat(t.instances, t.accepts, t.groups, t.trackers, []*table{t.global, t.metrics, t.web, t.alerts, t.reload})
	if t.sync != nil {
		tables = append(tables, t.sync)
	}
	return tables
}

// forNode reads what may differ between nodes, for one of them.
func (t top) forNode(node string, services []*service, vs ipvsTable) Config {
	c := Config{
		Global: readGlobal(t.global.as(node)), Alerts: readAlerts(t.alerts.as(node)), Reload: readReload(t.reload.as(node)),
	}
	listeners := make([]listener, 2, 3)
	c.Metrics, listeners[0] = readMetrics(t.metrics.as(node))
	c.Web, listeners[1] = readWeb(t.web.as(node))
	if t.cluster != nil {
		cluster, on := readCluster(t.cluster.as(node))
		c.Cluster, listeners = cluster, append(listeners, on)
	}
	trackers := readTrackers(t.trackers, node, services)
	instances := readInstances(t.instances, node, trackers)
	checkListeners(listeners, instances)
	checkServices(services, instances, node)
	sync := readSync(t.sync, node, instances)
	sync.checkMixed(services)
	for _, i := range instances {
		i.checkKept(sync, vs)
		c.VRRP = append(c.VRRP, i.VRRP)
	}
	if sync != nil {
		c.Sync = &sync.Sync
	}
	for _, a := range readAccepts(t.accepts, node, instances) {
		c.Accept = append(c.Accept, a.Accept)
	}
	for _, tr := range trackers {
		c.Trackers = append(c.Trackers, tr.Tracker)
	}
	for _, g := range readGroups(t.groups, node, instances, trackers) {
		c.Groups = append(c.Groups, g.SyncGroup)
	}
	return c
}
