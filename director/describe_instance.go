package director

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/vrrp"
)

func (s State) instance(c config.VRRP, r vrrp.Status) InstanceStatus {
	status := InstanceStatus{
		Name:           c.Router.Name,
		VRID:           int(r.VRID),
		Version:        int(r.Version),
		Interface:      c.Interface,
		State:          strings.ToLower(r.Role.String()),
		Since:          r.Since,
		Reason:         r.Why(),
		Priority:       int(r.Priority),
		Interval:       c.Router.Interval,
		MasterPriority: int(r.MasterPriority),
		VIPs:           []VIPStatus{},
		Sent:           r.Sent,
		Received:       r.Received,
		Discarded:      map[string]uint64{},
		Held:           r.Held,
		Yielded:        r.Yielded,
		Settling:       r.Settling,
		Group:          r.Group,
		Peers:          []PeerStatus{},
		Notices:        []NoticeStatus{},
		NoticeCounts:   map[string]uint64{},
		FaultCounts:    r.FaultCauses,

		Transitions: r.Transitions, MasterTransitions: r.MasterTransitions,
	}
	if r.Master.IsValid() {
		status.Master = r.Master.String()
	}
	for _, vip := range c.VIPs {
		status.VIPs = append(status.VIPs, VIPStatus{
			Address:    vip.Addr.String(),
			Held:       s.VIPs.Has(vip.VIP),
			Redirected: s.redirected(vip.Addr),
		})
	}
	for _, cause := range slices.Sorted(maps.Keys(r.Faults)) {
		status.Faults = append(status.Faults, cause+": "+r.Faults[cause])
	}
	for reason, count := range r.Discarded {
		status.Discarded[reason.String()] = count
	}
	for kind, count := range r.Counters.Notices {
		status.NoticeCounts[kind.String()] = count
	}
	for _, peer := range r.Peers {
		status.Peers = append(status.Peers, describePeer(peer))
	}
	for _, notice := range r.Notices {
		status.Notices = append(status.Notices, describeNotice(notice))
	}
	return status
}

// weighed fills in how the priority comes about.
func (s *InstanceStatus) weighed(f fitness) {
	s.BasePriority, s.Explanation = f.Base.Priority, f.Explanation
	if f.Waiting != "" && s.State == strings.ToLower(vrrp.Initialize.String()) {
		s.Waiting = "tracker " + f.Waiting
	}
	s.Contributions = []ContributionStatus{}
	for _, c := range f.Contributions {
		s.Contributions = append(s.Contributions, ContributionStatus{
			Tracker: c.Tracker,
			Group:   c.Group,
			Weight:  c.Weight,
			Applied: c.Applied,
			Reverse: c.Reverse,
			Fault:   c.Fault != "",
			State:   c.State.String(),
			Since:   c.Since,
			Reason:  c.Reason,
		})
	}
}

func describePeer(p vrrp.Peer) PeerStatus {
	status := PeerStatus{
		Address:  p.Address.String(),
		Version:  int(p.Version),
		Priority: int(p.Priority),
		Interval: p.Interval,
		Auth:     "none",
		VIPs:     []string{},
		Master:   p.Master,
		Last:     p.Last,
		Adverts:  p.Adverts,
	}
	switch {
	case p.KeyID != 0:
		status.Auth = fmt.Sprint("hmac ", p.KeyID)
	case p.Auth == vrrp.AuthPassword:
		status.Auth = "password"
	case p.Auth != vrrp.AuthNone:
		status.Auth = fmt.Sprint("type ", uint8(p.Auth))
	}
	for _, vip := range p.VIPs {
		status.VIPs = append(status.VIPs, vip.String())
	}
	if p.Discard != vrrp.Accepted {
		status.Discard = p.Discard.String()
	}
	return status
}

func describeNotice(n vrrp.Notice) NoticeStatus {
	return NoticeStatus{
		Kind:   n.Kind.String(),
		Peer:   n.Peer.String(),
		Detail: n.Detail,
		First:  n.First,
		Last:   n.Last,
		Count:  n.Count,
	}
}
