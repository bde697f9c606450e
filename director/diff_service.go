package director

import (
	"slices"

	"github.com/lvsd/lvsd/director/ipvs"
)

// diffServices returns the operations that add and edit, and those that delete.
// What is equal costs a comparison and no more.
func diffServices(have, want map[ipvs.ServiceKey]Service) (added, deleted []Op) {
	var changed, gone []ipvs.ServiceKey
	count := 0
	for key, wanted := range want {
		if present, ok := have[key]; !ok || !present.equal(wanted) {
			changed = append(changed, key)
			count += 1 + len(wanted.RealServers)
		}
	}
	for key := range have {
		if _, ok := want[key]; !ok {
			gone = append(gone, key)
		}
	}
	slices.SortFunc(changed, compareKeys)
	added = make([]Op, 0, count)
	for _, key := range changed {
		added = appendAdded(added, have[key], want[key])
		deleted = appendDeleted(deleted, have[key], want[key])
	}
	slices.SortFunc(gone, compareKeys)
	for _, key := range gone {
		deleted = append(deleted, DeleteService{key})
	}
	return added, deleted
}

// diffService returns the operations that make of one service, which may be the
// zero Service, another of the same key.
func diffService(have, want Service) []Op {
	return appendDeleted(appendAdded(nil, have, want), have, want)
}

// appendAdded appends what adds and edits. The real servers of both are in one
// order, so that one pass compares them.
func appendAdded(ops []Op, have, want Service) []Op {
	switch {
	case have.ServiceKey != want.ServiceKey:
		ops = append(ops, AddService{want.Service})
	case have.Service != want.Service:
		ops = append(ops, EditService{want.Service})
	}
	present := have.RealServers
	for i := range want.RealServers {
		wanted := &want.RealServers[i]
		for len(present) > 0 && present[0].Address.Compare(wanted.Address) < 0 {
			present = present[1:]
		}
		switch {
		case len(present) == 0 || present[0].Address != wanted.Address:
			ops = append(ops, AddRealServer{want.ServiceKey, *wanted})
		case present[0] != *wanted:
			ops = append(ops, EditRealServer{want.ServiceKey, *wanted})
		}
	}
	return ops
}

// appendDeleted appends what deletes real servers.
func appendDeleted(ops []Op, have, want Service) []Op {
	wanted := want.RealServers
	for i := range have.RealServers {
		address := have.RealServers[i].Address
		for len(wanted) > 0 && wanted[0].Address.Compare(address) < 0 {
			wanted = wanted[1:]
		}
		if len(wanted) == 0 || wanted[0].Address != address {
			ops = append(ops, DeleteRealServer{want.ServiceKey, address})
		}
	}
	return ops
}
