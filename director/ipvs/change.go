package ipvs

import "fmt"

// Command is what a Change does.
type Command uint8

// The commands. A service is added without destinations; deleted, it takes its
// destinations along.
const (
	AddService Command = iota + 1
	UpdateService
	DeleteService
	AddDestination
	UpdateDestination
	DeleteDestination
)

// String is what the command does: "add service".
func (c Command) String() string {
	switch c {
	case AddService:
		return opAddService
	case UpdateService:
		return opUpdateService
	case DeleteService:
		return opDeleteService
	case AddDestination:
		return opAddDestination
	case UpdateDestination:
		return opUpdateDestination
	case DeleteDestination:
		return opDeleteDestination
	default:
		return fmt.Sprintf("command %d", uint8(c))
	}
}

// Change is one change of the table, to be made with others in one go.
type Change struct {
	Command Command
	// Service is the whole service for AddService and UpdateService; of every
	// other command only its key counts.
	Service Service
	// Destination is the whole destination for AddDestination and
	// UpdateDestination; for DeleteDestination only its address counts.
	Destination Destination
}

// append appends the attributes of the request for the change.
func (c *Change) append(b []byte) []byte {
	switch c.Command {
	case AddService, UpdateService:
		return appendService(b, c.Service)
	case AddDestination, UpdateDestination:
		return appendDestination(appendServiceKey(b, c.Service.ServiceKey), c.Destination)
	case DeleteDestination:
		return appendDestinationKey(appendServiceKey(b, c.Service.ServiceKey), c.Destination.Address)
	default:
		return appendServiceKey(b, c.Service.ServiceKey)
	}
}

// number is the command as the kernel numbers it.
func (c Command) number() uint8 {
	return [...]uint8{
		AddService:        commandNewService,
		UpdateService:     commandUpdateService,
		DeleteService:     commandDeleteService,
		AddDestination:    commandNewDestination,
		UpdateDestination: commandUpdateDestination,
		DeleteDestination: commandDeleteDestination,
	}[c]
}
