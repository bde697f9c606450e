package director

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/lvsd/lvsd/director/ipvs"
	"github.com/lvsd/lvsd/director/netif"
)

// ChangeKind is which part of the kernel a Change is about.
type ChangeKind string

// The kinds.
const (
	ChangeIPVS     ChangeKind = "ipvs"
	ChangeAddress  ChangeKind = "address"
	ChangeRoute    ChangeKind = "route"
	ChangeRule     ChangeKind = "rule" // a routing rule
	ChangeFirewall ChangeKind = "firewall"
	ChangeSysctl   ChangeKind = "sysctl"
	ChangeSync     ChangeKind = "sync"
	ChangeTunnel   ChangeKind = "tunnel"
)

// ChangeAction is what becomes of the object of a Change.
type ChangeAction string

// The actions. What always has a value is set; of the rest, Edit keeps what it
// is not about.
const (
	ActionAdd    ChangeAction = "add"
	ActionEdit   ChangeAction = "edit"
	ActionDelete ChangeAction = "delete"
	ActionSet    ChangeAction = "set"
)

// Change describes an operation for people and programs.
type Change struct {
	Kind   ChangeKind   `json:"kind"`
	Action ChangeAction `json:"action"`
	// Object is what is changed: "tcp 192.0.2.1:25 > 192.0.2.11:25".
	Object string `json:"object"`
	// Before is what the kernel has, After what it will have; either is empty
	// where there is nothing.
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`
	// Command is that by which a person would make the change.
	Command string `json:"command"`
}

// Describe describes an operation on a kernel that is as have.
func Describe(op Op, have State) Change {
	c := describe(op, have)
	c.Command = op.String()
	return c
}

func describe(op Op, have State) Change {
	switch op := op.(type) {
	case AddService, EditService, DeleteService, AddRealServer, EditRealServer, DeleteRealServer, SetTimeout:
		return describeIPVS(op, have)
	case AddVIP:
		return Change{ChangeAddress, ActionAdd, addressArguments(op.VIP.Address), "", vipArguments(op.VIP), ""}
	case EditVIP:
		return Change{
			ChangeAddress, ActionEdit, addressArguments(op.VIP.Address), vipArguments(op.Old), vipArguments(op.VIP), "",
		}
	case DeleteVIP:
		return Change{ChangeAddress, ActionDelete, addressArguments(op.VIP.Address), vipArguments(op.VIP), "", ""}
	case AddRoute:
		return Change{ChangeRoute, ActionAdd, routeObject(op.Route), "", routeArguments(op.Route), ""}
	case DeleteRoute:
		return Change{ChangeRoute, ActionDelete, routeObject(op.Route), routeArguments(op.Route), "", ""}
	case AddRule:
		return Change{ChangeRule, ActionAdd, ruleObject(op.Rule), "", ruleArguments(op.Rule), ""}
	case DeleteRule:
		return Change{ChangeRule, ActionDelete, ruleObject(op.Rule), ruleArguments(op.Rule), "", ""}
	case SetSysctl:
		return Change{ChangeSysctl, ActionSet, op.Name, have.Sysctls[op.Name], op.Value, ""}
	case StartDaemon:
		return describeDaemon(ActionAdd, op.Daemon)
	case StopDaemon:
		return describeDaemon(ActionDelete, op.Daemon)
	case AddDecapsulation:
		return describeTunnel(ActionAdd, op.Tunnel)
	case DeleteDecapsulation:
		return describeTunnel(ActionDelete, op.Tunnel)
	default:
		return describeFirewall(op)
	}
}

func describeIPVS(op Op, have State) Change {
	service := func(k ipvs.ServiceKey) string { return serviceText(have.Services[k].Service) }
	server := func(k ipvs.ServiceKey, a netip.AddrPort) string {
		destination, _ := have.Services[k].realServer(a)
		return serverText(destination)
	}
	c := Change{Kind: ChangeIPVS}
	switch op := op.(type) {
	case AddService:
		c.Action, c.Object, c.After = ActionAdd, op.Service.ServiceKey.String(), serviceText(op.Service)
	case EditService:
		c.Action, c.Object = ActionEdit, op.Service.ServiceKey.String()
		c.Before, c.After = service(op.Service.ServiceKey), serviceText(op.Service)
	case DeleteService:
		c.Action, c.Object, c.Before = ActionDelete, op.Key.String(), service(op.Key)
	case AddRealServer:
		c.Action, c.Object, c.After = ActionAdd, serverObject(op.Key, op.Server.Address), serverText(op.Server)
	case EditRealServer:
		c.Action, c.Object = ActionEdit, serverObject(op.Key, op.Server.Address)
		c.Before, c.After = server(op.Key, op.Server.Address), serverText(op.Server)
	case DeleteRealServer:
		c.Action, c.Object, c.Before = ActionDelete, serverObject(op.Key, op.Server), server(op.Key, op.Server)
	case SetTimeout:
		c.Action, c.Object, c.After = ActionSet, "timeout "+string(op.Name), op.Value.String()
		if value, known := have.Timeouts[op.Name]; known {
			c.Before = value.String()
		}
	}
	return c
}

func serverObject(k ipvs.ServiceKey, a netip.AddrPort) string { return fmt.Sprintf("%s > %s", k, a) }

// serviceText is what may be changed of a service: "wlc persistent 300".
func serviceText(s ipvs.Service) string {
	return strings.TrimPrefix(s.String(), s.ServiceKey.String()+" ")
}

// serverText is what may be changed of a real server: "Route weight 1".
func serverText(d ipvs.Destination) string {
	return strings.TrimPrefix(d.String(), d.Address.String()+" ")
}

// describeFirewall describes a rule, which is its own object: it is there or not.
func describeFirewall(op Op) Change {
	action, table, rule := ActionAdd, "nat PREROUTING", ""
	switch op := op.(type) {
	case AddRedirect:
		rule = redirectArguments(op.Rule)
	case DeleteRedirect:
		action, rule = ActionDelete, redirectArguments(op.Rule)
	case AddMark:
		table, rule = "mangle PREROUTING", markArguments(op.Rule)
	case DeleteMark:
		action, table, rule = ActionDelete, "mangle PREROUTING", markArguments(op.Rule)
	case AddSNAT:
		table, rule = "nat POSTROUTING", snatArguments(op.Rule)
	case DeleteSNAT:
		action, table, rule = ActionDelete, "nat POSTROUTING", snatArguments(op.Rule)
	case AddMute:
		table, rule = "mangle OUTPUT", muteArguments(op.Rule)
	case DeleteMute:
		action, table, rule = ActionDelete, "mangle OUTPUT", muteArguments(op.Rule)
	case HoldConntrack:
		table, rule = "mangle FORWARD", holdArguments
	case ReleaseConntrack:
		action, table, rule = ActionDelete, "mangle FORWARD", holdArguments
	case DeleteStray:
		return Change{Kind: ChangeFirewall, Action: ActionDelete, Object: "a rule that lvsd would not write", Before: op.Rule}
	}
	c := Change{Kind: ChangeFirewall, Action: action, Object: table + " " + rule}
	if action == ActionAdd {
		c.After = rule
	} else {
		c.Before = rule
	}
	return c
}

func describeDaemon(action ChangeAction, d ipvs.Daemon) Change {
	return whole(ChangeSync, action, daemonState(d.State), daemonArguments(d))
}

func describeTunnel(action ChangeAction, d netif.Decapsulation) Change {
	text := string(d.Encapsulation) + " at " + d.Device()
	if d.Port != 0 {
		text += fmt.Sprintf(" port %d", d.Port)
	}
	return whole(ChangeTunnel, action, d.Device(), text)
}

// whole is the change of something that is there or not.
func whole(kind ChangeKind, action ChangeAction, object, text string) Change {
	c := Change{Kind: kind, Action: action, Object: object, After: text}
	if action == ActionDelete {
		c.Before, c.After = text, ""
	}
	return c
}

func routeObject(r netif.Route) string {
	object := destinationName(r.Destination)
	if r.Table != mainTable {
		object += fmt.Sprintf(" table %d", r.Table)
	}
	return object
}

func ruleObject(r netif.Rule) string { return fmt.Sprintf("priority %d", r.Priority) }
