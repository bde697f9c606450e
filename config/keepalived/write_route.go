package keepalived

import (
	"cmp"
	"fmt"
)

func (w *writing) routes(t *table, i *Instance) {
	for _, r := range i.Routes {
		if r.Unusable {
			continue
		}
		s := t.sub("[[route]]", r.at)
		s.set("destination", r.Destination.String(), nil)
		if r.Type != "unicast" {
			s.set("type", r.Type, nil)
		}
		if r.Gateway.IsValid() {
			s.set("gateway", r.Gateway.String(), nil)
		}
		if r.Interface != "" && r.Type == "unicast" {
			s.set("interface", r.Interface, nil)
		}
		if r.Source.IsValid() {
			s.set("source", r.Source.String(), nil)
		}
		if r.Scope != "" && !r.Destination.Addr().Is6() {
			s.set("scope", r.Scope, nil)
		}
		w.setTable(s, r.Table)
		if n, ok := number(r.Metric); ok {
			s.set("metric", n, nil)
		}
		if r.OnLink {
			s.set("on_link", true, nil)
		}
	}
	for _, r := range i.Rules {
		w.rule(t, r, i)
	}
}

func (w *writing) setTable(t *table, name string) {
	switch n, ok := number(name); {
	case ok:
		t.set("table", n, nil)
	case name != "":
		t.set("table", name, nil)
	}
}

func (w *writing) rule(t *table, r Rule, i *Instance) {
	s := t.sub("[[rule]]", r.at)
	if n, ok := number(r.Priority); ok {
		s.set("priority", n, nil)
	} else {
		s.set("priority", 16384-w.rules, nil).explain("keepalived counts down from 16384 where none is written; choose it yourself")
		w.rules++
	}
	w.setTable(s, cmp.Or(r.Table, "main"))
	if r.From.IsValid() {
		s.set("from", r.From.String(), nil)
	}
	if r.To.IsValid() {
		s.set("to", r.To.String(), nil)
	}
	if !r.From.IsValid() && !r.To.IsValid() {
		s.set("family", map[bool]string{false: "ipv4", true: "ipv6"}[r.IPv6 || i.ipv6()], nil)
	}
	if r.Incoming != "" {
		s.set("incoming", r.Incoming, nil)
	}
	if r.Outgoing != "" {
		s.set("outgoing", r.Outgoing, nil)
	}
	if r.Mark != "" {
		s.set("mark", r.Mark, nil)
		if n, ok := number(r.Mark); ok {
			s.get("mark").value = fmt.Sprint(n)
		}
	}
}
