package director

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/director/ipvs"
	"github.com/lvsd/lvsd/director/netif"
)

// object is what an operation changes, whatever it does to it: two operations
// on one thing have equal objects.
func object(op Op) any {
	type sysctl string
	switch op := op.(type) {
	case AddService:
		return op.Service.ServiceKey
	case EditService:
		return op.Service.ServiceKey
	case DeleteService:
		return op.Key
	case AddRealServer:
		return ServerKey{op.Key, op.Server.Address}
	case EditRealServer:
		return ServerKey{op.Key, op.Server.Address}
	case DeleteRealServer:
		return ServerKey{op.Key, op.Server}
	case SetSysctl:
		return sysctl(op.Name)
	case SetTimeout:
		return op.Name
	case StartDaemon:
		return op.Daemon.State
	case StopDaemon:
		return op.Daemon.State
	}
	return networkObject(op)
}

// networkObject is object for what is not IPVS's.
func networkObject(op Op) any {
	type spot netif.Address
	type stray string
	switch op := op.(type) {
	case AddVIP:
		return spot{Addr: op.VIP.Addr, Interface: op.VIP.Interface}
	case EditVIP:
		return spot{Addr: op.VIP.Addr, Interface: op.VIP.Interface}
	case DeleteVIP:
		return spot{Addr: op.VIP.Addr, Interface: op.VIP.Interface}
	case AddRoute:
		return op.Route
	case DeleteRoute:
		return op.Route
	case AddRule:
		return op.Rule
	case DeleteRule:
		return op.Rule
	case AddRedirect:
		return op.Rule
	case DeleteRedirect:
		return op.Rule
	case AddMark:
		return op.Rule
	case DeleteMark:
		return op.Rule
	case AddSNAT:
		return op.Rule
	case DeleteSNAT:
		return op.Rule
	case AddMute:
		return op.Rule
	case DeleteMute:
		return op.Rule
	case AddDecapsulation:
		return op.Tunnel
	case DeleteDecapsulation:
		return op.Tunnel
	case HoldConntrack:
		return op.Rule
	case ReleaseConntrack:
		return op.Rule
	case DeleteStray:
		return stray(op.Rule)
	}
	return op
}

// split tells lvsd's own changes from those that undo what somebody else did:
// own are the operations on what differs between how lvsd left the kernel and
// what it wants now.
func split(ops []Op, expected, want State) (own, drift []Op) {
	if len(ops) == 0 {
		return nil, nil
	}
	touched := Set[any]{}
	for _, op := range Diff(expected, want) {
		touched.Add(object(op))
	}
	// A service that somebody deleted takes its real servers along: they can
	// come back only with it.
	absent := Set[ipvs.ServiceKey]{}
	for _, op := range ops {
		mine := touched.Has(object(op))
		if add, ok := op.(AddService); ok && !mine {
			absent.Add(add.Service.ServiceKey)
		}
		if key, ok := serviceKeyOf(op); ok && absent.Has(key) {
			mine = false
		}
		if mine {
			own = append(own, op)
		} else {
			drift = append(drift, op)
		}
	}
	return own, drift
}

// servicesOf are the services that the operations change.
func servicesOf(ops []Op) Set[ipvs.ServiceKey] {
	keys := Set[ipvs.ServiceKey]{}
	for _, op := range ops {
		if key, ok := serviceKeyOf(op); ok {
			keys.Add(key)
		}
	}
	return keys
}

// found says in what way the kernel differs where op would change it.
func found(have State, op Op) string {
	switch op := op.(type) {
	case EditService:
		return strings.TrimPrefix(AddService{have.Services[op.Service.ServiceKey].Service}.String(), "ipvsadm -A ")
	case EditRealServer:
		server, _ := have.Services[op.Key].realServer(op.Server.Address)
		return differences(server, op.Server)
	case EditVIP:
		return vipArguments(op.Old)
	case SetSysctl:
		return have.Sysctls[op.Name]
	case SetTimeout:
		return have.Timeouts[op.Name].String()
	case StartDaemon:
		if daemon, ok := have.Daemons[op.Daemon.State]; ok {
			return daemonArguments(daemon)
		}
	case DeleteService, DeleteRealServer, DeleteVIP, DeleteRoute, DeleteRule, DeleteRedirect, DeleteMark,
		DeleteSNAT, DeleteMute, DeleteDecapsulation, ReleaseConntrack, StopDaemon, DeleteStray:
		return "present"
	}
	return "absent"
}

// differences are the fields of a real server that are not as wanted.
func differences(have, want ipvs.Destination) string {
	var w words
	w.addIf(have.Weight != want.Weight, "weight", have.Weight)
	w.addIf(have.Forwarding != want.Forwarding, "forwarding", have.Forwarding)
	w.addIf(have.Upper != want.Upper, "upper", have.Upper)
	w.addIf(have.Lower != want.Lower, "lower", have.Lower)
	w.addIf(have.Tunnel != want.Tunnel, "tunnel", fmt.Sprint(have.Tunnel))
	return w.String()
}

// describeDrift is what is reported of changes that lvsd leaves alone. What was
// there before keeps its time.
func describeDrift(old []DriftStatus, have State, drift []Op, now time.Time) []DriftStatus {
	var all []DriftStatus
	for _, op := range drift {
		status := DriftStatus{Found: found(have, op), Op: op.String(), Since: now}
		if i := slices.IndexFunc(old, status.same); i >= 0 {
			status.Since = old[i].Since
		}
		all = append(all, status)
	}
	return all
}

func (s DriftStatus) same(other DriftStatus) bool { return s.Found == other.Found && s.Op == other.Op }

// reportDrift reports what somebody else changed, each once.
func (d *Director) reportDrift(drift []Op, have State) []DriftStatus {
	d.mu.Lock()
	old := d.status.drift
	d.mu.Unlock()
	now := describeDrift(old, have, drift, time.Now())
	for _, drift := range now {
		if !slices.ContainsFunc(old, drift.same) {
			d.happened(slog.LevelWarn, "somebody else changed the kernel, left alone", driftEvent(drift, false),
				"found", drift.Found, "would_repair", drift.Op)
		}
	}
	for _, drift := range old {
		if !slices.ContainsFunc(now, drift.same) {
			d.happened(slog.LevelInfo, "no longer otherwise than left", driftEvent(drift, true),
				"was", drift.Found, "would_have_repaired", drift.Op)
		}
	}
	return now
}

// reportsDrift tells that what somebody else changed is not to be touched.
func reportsDrift(c *config.Config) bool { return c.Global.OnDrift == config.Report }
