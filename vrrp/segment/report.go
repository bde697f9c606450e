package segment

import (
	"net/netip"
	"time"
)

// Schema is the Report's, whose fields are only ever added to.
const Schema = "lvsd.adverts/1"

// Report is what a Table knows at one moment.
type Report struct {
	Schema string    `json:"schema"`
	At     time.Time `json:"at"`
	// Packets counts those that were heard, LeftOut those of them whose sender
	// had no room in the Table.
	Packets  uint64    `json:"packets"`
	LeftOut  uint64    `json:"packets_left_out"`
	Speakers []Speaker `json:"speakers"`
	Flags    []Flag    `json:"flags"`
}

// Speaker is one sender of adverts of one virtual router.
type Speaker struct {
	Router
	Source netip.Addr `json:"source"`
	// Destination is of the last packet: a group, or a peer.
	Destination netip.Addr `json:"destination"`
	TTL         uint8      `json:"ttl"`
	// ThisNode says that this host sent the last packet.
	ThisNode bool  `json:"this_node"`
	State    State `json:"state"`
	Version  int   `json:"version"`
	// Priority to VIPs are of the last valid advert. Interval is in
	// nanoseconds.
	Priority uint8         `json:"priority"`
	Interval time.Duration `json:"advert_interval_ns"`
	Auth     Auth          `json:"auth,omitempty"`
	// KeyID is the HMAC's.
	KeyID uint8 `json:"key_id,omitempty"`
	// Password is of version 2's adverts, and empty unless it was asked for.
	Password string       `json:"password,omitempty"`
	Checksum Checksum     `json:"checksum,omitempty"`
	VIPs     []netip.Addr `json:"vips"`
	// FirstSeen and LastSeen are of any packet.
	FirstSeen time.Time `json:"first_seen"`
	LastSeen  time.Time `json:"last_seen"`
	// Adverts counts the valid ones, Refused the packets that were none.
	Adverts uint64 `json:"adverts"`
	Refused uint64 `json:"refused"`
}

// Report tells what the Table knows, in the order of interface, VRID, family and
// address. Passwords are left out unless asked for.
func (t *Table) Report(now time.Time, passwords bool) Report {
	report := Report{
		Schema: Schema, At: now, Packets: t.heard, LeftOut: t.leftOut,
		Speakers: []Speaker{}, Flags: []Flag{},
	}
	for _, r := range t.sorted() {
		for _, s := range r.speakers {
			shown := s.show(r.id())
			if passwords {
				shown.Password = s.password
			}
			report.Speakers = append(report.Speakers, shown)
		}
		for _, key := range sortedKeys(r.flags) {
			report.Flags = append(report.Flags, r.flags[key])
		}
	}
	return report
}

// Packets counts those that were heard.
func (t *Table) Packets() uint64 { return t.heard }

func (s *speaker) show(id Router) Speaker {
	return Speaker{
		Router: id, Source: s.source, Destination: s.destination, TTL: s.ttl, ThisNode: s.outgoing,
		State: s.state, Version: s.version, Priority: s.priority, Interval: s.interval,
		Auth: s.auth, KeyID: s.keyID, Checksum: s.checksum, VIPs: append([]netip.Addr{}, s.vips...),
		FirstSeen: s.first, LastSeen: s.last, Adverts: s.adverts, Refused: s.refused,
	}
}
