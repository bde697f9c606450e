package config

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
)

// Load reads the file at path as it applies to the node, see Parse. A file that
// cannot be read is an error that wraps the operating system's; one that it
// names is a problem.
func Load(path, node string) (*Config, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("configuration file: %w", err)
	}
	return Parse(path, data, node)
}

// Parse reads the file's text as it applies to the node, a host name. Name is
// what problems call the file. The overrides of all nodes are checked, not only
// this one's, so a file that is valid for one node is valid for each that it
// names. The key files that it names are read too, but only this node's.
//
// The error is Problems: everything that is wrong, or the one thing that keeps
// the text from being TOML at all.
func Parse(name string, data []byte, node string) (*Config, error) {
	doc, err := decode(name, data)
	if err != nil {
		return nil, err
	}
	return doc.config(node)
}

// config is the document as it applies to the node, or its problems.
func (d *document) config(node string) (*Config, error) {
	cfg, problems, _ := d.read(node)
	if len(problems) > 0 {
		return nil, problems
	}
	return cfg, nil
}

// document is a file that is TOML.
type document struct {
	file      string
	root      map[string]any
	positions *positions
	// readFile reads a file that the document names.
	readFile func(path string) ([]byte, error)
}

func decode(name string, data []byte) (*document, error) {
	src := strings.TrimPrefix(string(data), "\ufeff")
	doc := &document{file: name, positions: scanPositions(src), readFile: readSmallFile}
	_, err := toml.Decode(src, &doc.root)
	if err == nil {
		return doc, nil
	}
	problem := Problem{File: name, Line: 1, Column: 1, Message: err.Error()}
	if syntax := (toml.ParseError{}); errors.As(err, &syntax) {
		problem.Line, problem.Column = doc.positions.place(syntax.Position.Start)
		problem.Message = "not TOML: " + strings.TrimSuffix(syntax.Message, ".")
	}
	return nil, Problems{problem}
}

// read reads the document for the node, and for each node it names only to
// find their problems. It also returns what each key accepts.
func (d *document) read(node string) (*Config, Problems, map[string]keySpec) {
	found := new(report)
	r := &reader{
		document: d, node: node, loading: node, scope: everyNode, report: found,
		keys: make(map[string]keySpec),
	}
	top := readTop(&table{reader: r, layers: []layer{{values: d.root}}})
	cfg := &Config{Sysctl: readSysctl(top.sysctl)}
	services := readServices(top.services)
	for _, s := range services {
		cfg.Services = append(cfg.Services, s.VirtualService)
	}
	nodes := nodeNames(node, slices.Concat(top.instances, top.groups, top.trackers, []*table{top.global}))
	found.nodes = len(nodes)
	for _, n := range nodes {
		here := top.forNode(n, services)
		if n == node {
			cfg.Global, cfg.VRRP, cfg.Groups, cfg.Trackers = here.Global, here.VRRP, here.Groups, here.Trackers
		}
	}
	if len(top.instances) == 0 && len(top.services) == 0 && len(found.found) == 0 {
		r.add(path{}, 0, "neither [[vrrp]] nor [[virtual_service]], expected at least one")
	}
	return cfg, found.problems(), r.keys
}

// top are the tables at the top of a document.
type top struct {
	global, sysctl                        *table
	instances, groups, trackers, services []*table
}

func readTop(root *table) top {
	defer root.close()
	return top{
		global:    root.subOrEmpty("global"),
		sysctl:    root.subOrEmpty("sysctl"),
		instances: root.list("vrrp"),
		groups:    root.list("sync_group"),
		trackers:  root.list("tracker"),
		services:  root.list("virtual_service"),
	}
}

// forNode reads what may differ between nodes, for one of them.
func (t top) forNode(node string, services []service) Config {
	c := Config{Global: readGlobal(t.global.as(node))}
	trackers := readTrackers(t.trackers, node, services)
	instances := readInstances(t.instances, node, trackers)
	checkServices(services, instances)
	for _, i := range instances {
		c.VRRP = append(c.VRRP, i.VRRP)
	}
	for _, tr := range trackers {
		c.Trackers = append(c.Trackers, tr.Tracker)
	}
	for _, g := range readGroups(t.groups, node, instances, trackers) {
		c.Groups = append(c.Groups, g.SyncGroup)
	}
	return c
}
