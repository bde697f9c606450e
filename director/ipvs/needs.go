package ipvs

import "errors"

// ErrCannotTell says that this process may not try what the kernel has.
var ErrCannotTell = errors.New("cannot tell")

// noScheduler is the kernel's name for scheduling nothing. Every kernel has it.
const noScheduler = "none"

// Needs is what a configuration takes of the kernel.
type Needs struct {
	// Schedulers and Engines are the kernel's names; an empty one is ignored.
	Schedulers, Engines []string
	Protocols           []Protocol
	Families            []Family
	Tunnels             []TunnelType
}
