package director

import (
	"errors"
	"fmt"

	"github.com/lvsd/lvsd/director/ipvs"
)

// changeTable changes the IPVS table. What was made or removed by somebody else
// since it was read is made to fit, or let be.
func (h *Host) changeTable(ops []Op) []error {
	if h.table == nil {
		errs := make([]error, len(ops))
		for i := range errs {
			errs[i] = fmt.Errorf("IPVS: %w", errNotPrepared)
		}
		return errs
	}
	changes := make([]ipvs.Change, len(ops))
	for i, op := range ops {
		changes[i] = tableChange(op)
	}
	errs := h.table.Change(changes)
	for i, err := range errs {
		if err != nil {
			errs[i] = h.changeAgain(changes[i], err)
		}
	}
	return errs
}

// tableChange is the operation in the words of the table.
func tableChange(op Op) ipvs.Change {
	of := func(k ipvs.ServiceKey) ipvs.Service { return ipvs.Service{ServiceKey: k} }
	switch op := op.(type) {
	case AddService:
		return ipvs.Change{Command: ipvs.AddService, Service: op.Service}
	case EditService:
		return ipvs.Change{Command: ipvs.UpdateService, Service: op.Service}
	case DeleteService:
		return ipvs.Change{Command: ipvs.DeleteService, Service: of(op.Key)}
	case AddRealServer:
		return ipvs.Change{Command: ipvs.AddDestination, Service: of(op.Key), Destination: op.Server}
	case EditRealServer:
		return ipvs.Change{Command: ipvs.UpdateDestination, Service: of(op.Key), Destination: op.Server}
	case DeleteRealServer:
		return ipvs.Change{
			Command: ipvs.DeleteDestination, Service: of(op.Key), Destination: ipvs.Destination{Address: op.Server},
		}
	}
	return ipvs.Change{}
}

// changeAgain makes a change that failed fit what somebody else has done
// meanwhile.
func (h *Host) changeAgain(c ipvs.Change, err error) error {
	switch {
	case c.Command == ipvs.AddService && errors.Is(err, ipvs.ErrExists):
		c.Command = ipvs.UpdateService
	case c.Command == ipvs.AddDestination && errors.Is(err, ipvs.ErrExists):
		c.Command = ipvs.UpdateDestination
	case errors.Is(err, ipvs.ErrNotExist) && (c.Command == ipvs.DeleteService || c.Command == ipvs.DeleteDestination):
		return nil
	default:
		return err
	}
	return h.table.Change([]ipvs.Change{c})[0]
}
