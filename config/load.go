package config

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/BurntSushi/toml"
)

// Load reads the file at path as it applies to the node, see Parse. A file that
// cannot be read is an error that wraps the operating system's.
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
// names.
//
// The error is Problems: everything that is wrong, or the one thing that keeps
// the text from being TOML at all.
func Parse(name string, data []byte, node string) (*Config, error) {
	doc, err := decode(name, data)
	if err != nil {
		return nil, err
	}
	cfg, problems, _ := doc.read(node)
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
}

func decode(name string, data []byte) (*document, error) {
	src := strings.TrimPrefix(string(data), "\ufeff")
	doc := &document{file: name, positions: scanPositions(src)}
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
	keys := make(map[string]keySpec)
	r := &reader{document: d, node: node, scope: everyNode, report: found, keys: keys}
	root := &table{reader: r, layers: []layer{{values: d.root}}}
	global, sysctl := root.subOrEmpty("global"), root.subOrEmpty("sysctl")
	instances, services := root.list("vrrp"), root.list("virtual_service")
	root.close()

	cfg := &Config{Sysctl: readSysctl(sysctl)}
	read := readServices(services)
	for _, s := range read {
		cfg.Services = append(cfg.Services, s.VirtualService)
	}
	nodes := nodeNames(node, append(instances, global))
	found.nodes = len(nodes)
	for _, n := range nodes {
		g := readGlobal(global.as(n))
		vs := readInstances(instances, n)
		checkServices(read, vs)
		if n != node {
			continue
		}
		cfg.Global = g
		for _, v := range vs {
			cfg.VRRP = append(cfg.VRRP, v.VRRP)
		}
	}
	if len(instances) == 0 && len(services) == 0 && len(found.found) == 0 {
		r.add(path{}, 0, "neither [[vrrp]] nor [[virtual_service]], expected at least one")
	}
	return cfg, found.problems(), keys
}
