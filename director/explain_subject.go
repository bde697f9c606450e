package director

import (
	"errors"
	"time"
)

// InstanceExplanation says why a VRRP instance stands as it does. As JSON its fields
// are only ever added to.
type InstanceExplanation struct {
	// Schema is "lvsd.explain-instance/1".
	Schema   string         `json:"schema"`
	At       time.Time      `json:"at"`
	Instance InstanceStatus `json:"instance"`
	// Group is its sync group's, nil if it has none; Trackers are those that it
	// depends on.
	Group    *GroupStatus    `json:"group,omitempty"`
	Trackers []TrackerStatus `json:"trackers"`
	// Events are the last ones of it, of its group and of its trackers.
	Events []Event `json:"events"`
}

// ServiceExplanation says why a virtual service stands as it does. As JSON its fields
// are only ever added to.
type ServiceExplanation struct {
	// Schema is "lvsd.explain-service/1".
	Schema string    `json:"schema"`
	At     time.Time `json:"at"`
	// Services are those of the name: one for each address and port.
	Services []ServiceStatus `json:"services"`
	// Servers are explained one by one.
	Servers []ServerExplanation `json:"servers"`
	// Events are the last ones of it and of its servers.
	Events []Event `json:"events"`
}

// ExplainInstance says why the instance stands as it does. The error is
// ErrUnknownInstance, with the nearest.
func (d *Director) ExplainInstance(_ string) (InstanceExplanation, error) {
	return InstanceExplanation{}, errors.ErrUnsupported
}

// ExplainService says why the virtual service stands as it does. The error is
// ErrUnknownService, with the nearest.
func (d *Director) ExplainService(_ string) (ServiceExplanation, error) {
	return ServiceExplanation{}, errors.ErrUnsupported
}
