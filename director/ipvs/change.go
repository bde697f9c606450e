package ipvs

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
