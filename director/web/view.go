package web

import (
	"bytes"
	"reflect"
	"slices"
	"time"

	"github.com/lvsd/lvsd/director"
)

const (
	// quietEvery is in how many rounds a server is told whose check has answered
	// as before.
	quietEvery = 10
	// trafficEvery is how often counters are told, trafficSeldom where there are
	// more than manyServers.
	trafficEvery  = 2 * time.Second
	trafficSeldom = 5 * time.Second
	manyServers   = 2000
	// servicesAtOnce bounds a message.
	servicesAtOnce = 100
)

// view is what browsers have been told, so that they need to be told only what is
// different.
type view struct {
	round    int
	node     message
	order    []string
	services map[string]*serviceView
	// traffic is by the same keys; trafficAt is when it was told.
	traffic   map[string]director.ServiceTraffic
	trafficAt time.Time
	failed    string
}

// serviceView is one virtual service.
type serviceView struct {
	head    director.ServiceStatus // without its servers
	order   []string
	servers map[string]director.RealServerStatus
}

func newView() *view {
	return &view{services: map[string]*serviceView{}, traffic: map[string]director.ServiceTraffic{}}
}

// update takes in how everything is and returns what is new.
func (v *view) update(status director.Status, traffic director.Traffic, failed error, now time.Time) []message {
	v.round++
	var news []message
	if node := nodeMessage(status); !bytes.Equal(node, v.node) {
		v.node = node
		news = append(news, node)
	}
	news = append(news, v.updateServices(status.Services)...)
	if m := v.updateTraffic(traffic, failed, now); m != nil {
		news = append(news, m)
	}
	return news
}

// serviceNews is what a browser is told of services.
type serviceNews struct {
	// All tells to forget what was told before.
	All bool `json:"all,omitempty"`
	// Order are the keys of all services; nil if they are as before.
	Order   []string        `json:"order,omitzero"`
	Changed []serviceChange `json:"changed"`
}

// serviceChange is what is new of a service.
type serviceChange struct {
	Key string `json:"key"`
	// Service is nil if nothing but servers changed. It comes without servers.
	Service *director.ServiceStatus `json:"service,omitempty"`
	// Addresses are those of all its servers; nil if they are as before.
	Addresses []string                    `json:"addresses,omitzero"`
	Servers   []director.RealServerStatus `json:"servers,omitempty"`
}

func (v *view) updateServices(services []director.ServiceStatus) []message {
	order := make([]string, 0, len(services))
	kept := make(map[string]*serviceView, len(services))
	var changed []serviceChange
	for i := range services {
		s := &services[i]
		key := keyOf(s.Name, s.Protocol, s.Address, s.Mark, s.Family)
		known := v.services[key]
		if known == nil {
			known = &serviceView{servers: map[string]director.RealServerStatus{}}
		}
		order, kept[key] = append(order, key), known
		if change, any := known.update(s, v.round+i); any {
			change.Key = key
			changed = append(changed, change)
		}
	}
	v.services = kept
	if slices.Equal(order, v.order) {
		order = nil
	} else {
		v.order = order
	}
	if order == nil && len(changed) == 0 {
		return nil
	}
	return serviceMessages(serviceNews{Order: order, Changed: changed})
}

// serviceMessages are the news in messages of a moderate size.
func serviceMessages(news serviceNews) []message {
	var all []message
	changed := news.Changed
	for first := true; first || len(changed) > 0; first = false {
		n := min(len(changed), servicesAtOnce)
		news.Changed = changed[:n]
		changed = changed[n:]
		all = append(all, newMessage("services", news))
		news.All, news.Order = false, nil
	}
	return all
}

// update takes in how the service is, and reports what is new, if anything. The
// round is one in quietEvery in which small things count too.
func (v *serviceView) update(s *director.ServiceStatus, round int) (serviceChange, bool) {
	var change serviceChange
	head := *s
	head.RealServers = nil
	if !reflect.DeepEqual(head, v.head) {
		v.head = head
		change.Service = &head
	}
	order := addressesOf(s)
	if !slices.Equal(order, v.order) {
		v.order, change.Addresses = order, order
		stays := make(map[string]director.RealServerStatus, len(order))
		for _, address := range order {
			if known, there := v.servers[address]; there {
				stays[address] = known
			}
		}
		v.servers = stays
	}
	for i := range s.RealServers {
		server := s.RealServers[i]
		server.Active, server.Inactive = 0, 0 // these are traffic's
		known, there := v.servers[server.Address]
		if there && sameServer(known, server, (round+i)%quietEvery == 0) {
			continue
		}
		v.servers[server.Address] = server
		change.Servers = append(change.Servers, server)
	}
	return change, change.Service != nil || change.Addresses != nil || len(change.Servers) > 0
}

func addressesOf(s *director.ServiceStatus) []string {
	addresses := make([]string, len(s.RealServers))
	for i := range s.RealServers {
		addresses[i] = s.RealServers[i].Address
	}
	return addresses
}

// sameServer reports whether a and b are the same; exactly, or but for when its
// checks answered and how long that took.
func sameServer(a, b director.RealServerStatus, exactly bool) bool {
	if !exactly {
		a, b = withoutTimes(a), withoutTimes(b)
	}
	return reflect.DeepEqual(a, b)
}

func withoutTimes(s director.RealServerStatus) director.RealServerStatus {
	s.Checks = slices.Clone(s.Checks)
	for i := range s.Checks {
		forgetTimes(&s.Checks[i])
	}
	s.WeightChecks = slices.Clone(s.WeightChecks)
	for i := range s.WeightChecks {
		forgetTimes(&s.WeightChecks[i].CheckStatus)
	}
	return s
}

func forgetTimes(c *director.CheckStatus) {
	c.At, c.Duration, c.FlapScore = time.Time{}, 0, 0
}

// all are the messages for a browser that knows nothing.
func (v *view) all() []message {
	news := serviceNews{All: true, Order: v.order}
	for _, key := range v.order {
		s := v.services[key]
		change := serviceChange{Key: key, Service: &s.head, Addresses: s.order}
		for _, address := range s.order {
			change.Servers = append(change.Servers, s.servers[address])
		}
		news.Changed = append(news.Changed, change)
	}
	return append(append([]message{v.node}, serviceMessages(news)...), v.allTraffic())
}
