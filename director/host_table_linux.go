package director

import (
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/director/ipvs"
)

// table is the IPVS of a Host. Nothing is opened while no configuration has
// needed it.
type table struct {
	client *ipvs.Client
	// known is the last reading, from which the next one takes what does not
	// change by itself; nil makes that a complete one. told is what was changed
	// since.
	known []ipvs.ServiceEntry
	told  []outcome
	// synced tells to look for synchronisation daemons: the configuration has
	// some, or a predecessor may have left some. timed tells to look at timeouts.
	synced, timed bool
	// needed is what the kernel was found to have.
	needed ipvs.Needs
}

// prepare opens IPVS if c needs it and makes sure that it has what c needs.
func (t *table) prepare(c *config.Config) error {
	if len(c.Services) == 0 && c.Sync == nil {
		return nil
	}
	if t.client == nil {
		client, err := ipvs.Open()
		if err != nil {
			return err
		}
		t.client, t.synced = client, true
	}
	if err := t.has(needsOf(c)); err != nil {
		return err
	}
	t.timed = c.IPVS.Timeouts != ipvs.Timeouts{}
	t.synced = t.synced || c.Sync != nil
	return nil
}

// has makes sure that the kernel has what is needed, unless that was needed
// before. What cannot be tried without doing it shows when it is done.
func (t *table) has(n ipvs.Needs) error {
	if reflect.DeepEqual(n, t.needed) {
		return nil
	}
	missing, _ := ipvs.Missing(n)
	if len(missing) > 0 {
		return errors.Join(missing...)
	}
	t.needed = n
	return nil
}

func (t *table) close() error {
	if t.client == nil {
		return nil
	}
	return t.client.Close()
}

// fill reads the table. After a failure everything is read anew: the table may
// be another one.
func (t *table) fill(s *Snapshot) error {
	if t.client == nil {
		return nil
	}
	err := t.read(s)
	t.known, t.told = nil, nil
	if err != nil {
		return err
	}
	if t.known = s.Services; t.known == nil {
		t.known = []ipvs.ServiceEntry{} // that there is nothing is known
	}
	return nil
}

func (t *table) read(s *Snapshot) error {
	var err error
	if t.known == nil {
		s.Services, err = t.client.Services()
	} else {
		s.Services, err = t.client.Refresh(taught(t.known, t.told))
	}
	if err != nil {
		return err
	}
	if t.timed {
		timeouts, err := t.client.Timeouts()
		if err != nil {
			return err
		}
		s.Timeouts = map[Timeout]time.Duration{
			TimeoutTCP: timeouts.TCP, TimeoutTCPFin: timeouts.TCPFin, TimeoutUDP: timeouts.UDP,
		}
	}
	if t.synced {
		if s.Daemons, err = t.client.Daemons(); err != nil {
			return err
		}
	}
	return nil
}

// change makes changes of the table. What was made or removed by somebody else
// since it was read is made to fit, or let be.
func (t *table) change(ops []Op) []error {
	if t.client == nil {
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
	errs := t.client.Change(changes)
	for i, err := range errs {
		if err != nil {
			errs[i] = t.changeAgain(changes[i], err)
		}
		t.told = append(t.told, outcome{ops[i], errs[i] == nil})
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
func (t *table) changeAgain(c ipvs.Change, err error) error {
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
	return t.client.Change([]ipvs.Change{c})[0]
}

// do carries out what is no change of services.
func (t *table) do(op Op) error {
	if t.client == nil {
		return fmt.Errorf("IPVS: %w", errNotPrepared)
	}
	switch op := op.(type) {
	case SetTimeout:
		return t.client.SetTimeouts(timeoutsOf(op))
	case StartDaemon:
		return ignore(ipvs.ErrExists, t.client.StartDaemon(op.Daemon))
	case StopDaemon:
		return ignore(ipvs.ErrNotExist, t.client.StopDaemon(op.Daemon.State))
	}
	return fmt.Errorf("%T: %w", op, errors.ErrUnsupported)
}

// timeoutsOf has zeros, which change nothing, for the other timeouts.
func timeoutsOf(op SetTimeout) ipvs.Timeouts {
	var t ipvs.Timeouts
	switch op.Name {
	case TimeoutTCP:
		t.TCP = op.Value
	case TimeoutTCPFin:
		t.TCPFin = op.Value
	case TimeoutUDP:
		t.UDP = op.Value
	}
	return t
}

// ignore is err unless it is what is no error here.
func ignore(harmless, err error) error {
	if errors.Is(err, harmless) {
		return nil
	}
	return err
}
