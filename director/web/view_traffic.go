package web

import (
	"slices"
	"time"

	"github.com/lvsd/lvsd/director"
)

// trafficNews is what a browser is told of counters.
type trafficNews struct {
	// All tells to forget what was told before.
	All bool      `json:"all,omitempty"`
	At  time.Time `json:"at"`
	// Error is why there are none.
	Error   string          `json:"error,omitempty"`
	Changed []trafficChange `json:"changed"`
	// Gone are the keys of services that the kernel has no more.
	Gone []string `json:"gone,omitempty"`
}

// trafficChange is a service whose counters changed, with those of its servers that
// did; all of them with Whole.
type trafficChange struct {
	Key   string `json:"key"`
	Whole bool   `json:"whole,omitempty"`
	director.ServiceTraffic
}

// updateTraffic takes in the counters; nil if it is too soon to tell them. The
// message comes even if nothing has changed: for the graphs it is time that passes.
func (v *view) updateTraffic(traffic director.Traffic, failed error, now time.Time) message {
	every := trafficEvery
	servers := 0
	for _, s := range v.services {
		servers += len(s.order)
	}
	if servers > manyServers {
		every = trafficSeldom
	}
	if now.Sub(v.trafficAt) < every-soon {
		return nil
	}
	v.trafficAt = now
	news := trafficNews{At: now, Changed: []trafficChange{}}
	v.failed = ""
	if failed != nil {
		v.failed, traffic.Services = failed.Error(), nil
	}
	news.Error = v.failed
	kept := make(map[string]director.ServiceTraffic, len(traffic.Services))
	for _, s := range traffic.Services {
		key := keyOf(s.Name, s.Protocol, s.Address, s.Mark, s.Family)
		before, there := v.traffic[key]
		kept[key] = s
		if change, any := trafficDifference(before, s, !there); any {
			change.Key = key
			news.Changed = append(news.Changed, change)
		}
	}
	for key := range v.traffic {
		if _, stays := kept[key]; !stays {
			news.Gone = append(news.Gone, key)
		}
	}
	slices.Sort(news.Gone)
	v.traffic = kept
	return newMessage("traffic", news)
}

// trafficDifference is what changed of a service, if anything.
func trafficDifference(before, after director.ServiceTraffic, whole bool) (trafficChange, bool) {
	change := trafficChange{Whole: whole, ServiceTraffic: after}
	sameServers := slices.EqualFunc(before.Servers, after.Servers, func(a, b director.ServerTraffic) bool {
		return a.Address == b.Address
	})
	if whole || !sameServers {
		change.Whole = true
		return change, true
	}
	change.Servers = []director.ServerTraffic{}
	for i, server := range after.Servers {
		if server != before.Servers[i] {
			change.Servers = append(change.Servers, server)
		}
	}
	return change, len(change.Servers) > 0 || before.TrafficCounters != after.TrafficCounters
}

// allTraffic is the message for a browser that knows nothing.
func (v *view) allTraffic() message {
	news := trafficNews{All: true, At: v.trafficAt, Error: v.failed, Changed: []trafficChange{}}
	for _, key := range v.order {
		if s, there := v.traffic[key]; there {
			news.Changed = append(news.Changed, trafficChange{Key: key, Whole: true, ServiceTraffic: s})
		}
	}
	return newMessage("traffic", news)
}
