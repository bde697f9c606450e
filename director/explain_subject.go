package director

import (
	"fmt"
	"slices"
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
func (d *Director) ExplainInstance(name string) (InstanceExplanation, error) {
	status := d.Status()
	n := slices.IndexFunc(status.Instances, func(i InstanceStatus) bool { return i.Name == name })
	if n < 0 {
		var names []string
		for _, i := range status.Instances {
			names = append(names, i.Name)
		}
		return InstanceExplanation{}, fmt.Errorf("%w: %q%s", ErrUnknownInstance, name, NearestName(name, names))
	}
	e := InstanceExplanation{
		Schema: "lvsd.explain-instance/1", At: time.Now(), Instance: status.Instances[n], Trackers: []TrackerStatus{},
	}
	for i := range status.Groups {
		if slices.Contains(status.Groups[i].Instances, name) {
			e.Group = &status.Groups[i]
		}
	}
	trackers := Set[string]{}
	for _, t := range status.Trackers {
		if slices.Contains(t.Instances, name) {
			e.Trackers = append(e.Trackers, t)
			trackers.Add(t.Name)
		}
	}
	e.Events = lastEvents(d.Events(0), func(event Event) bool {
		return event.Instance == name || trackers.Has(event.Tracker) || e.Group != nil && event.Group == e.Group.Name
	})
	return e, nil
}

// ExplainService says why the virtual service stands as it does. The error is
// ErrUnknownService, with the nearest.
func (d *Director) ExplainService(name string) (ServiceExplanation, error) {
	e := ServiceExplanation{
		Schema: "lvsd.explain-service/1", At: time.Now(), Services: []ServiceStatus{}, Servers: []ServerExplanation{},
	}
	var names []string
	for _, s := range d.Status().Services {
		if s.Name == name {
			e.Services = append(e.Services, s)
		}
		if !slices.Contains(names, s.Name) {
			names = append(names, s.Name)
		}
	}
	if len(e.Services) == 0 {
		return ServiceExplanation{}, fmt.Errorf("%w: %q%s", ErrUnknownService, name, NearestName(name, names))
	}
	c := d.currentConfig()
	d.seen.RLock()
	e.Servers = append(e.Servers, d.scene(c).service(name)...)
	d.seen.RUnlock()
	e.Events = lastEvents(d.Events(0), func(event Event) bool { return event.Service == name })
	return e, nil
}

// explainedEvents is how many events an explanation has at most.
const explainedEvents = 20

// lastEvents are the last ones that are about the subject, the oldest first.
func lastEvents(all []Event, about func(Event) bool) []Event {
	all = slices.DeleteFunc(all, func(e Event) bool { return !about(e) })
	return append([]Event{}, all[max(len(all)-explainedEvents, 0):]...)
}
