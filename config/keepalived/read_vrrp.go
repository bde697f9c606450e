package keepalived

import (
	"net/netip"
	"strconv"
	"strings"
	"time"
)

func readInstance(r *reading, s *Statement, c *Configuration) {
	i := &Instance{origin: origin{head: s}, Name: r.text(s), AdvertInterval: time.Second}
	readAll(r, s.Block, instanceVocabulary(), i)
	if r.names[i.Name] {
		r.broken(s, "vrrp_instance %s: there is one of this name already; keepalived ignores the second", i.Name)
		return
	}
	r.names[i.Name] = true
	c.Instances = append(c.Instances, i)
}

func instanceVocabulary() vocabulary[Instance] {
	v := vocabulary[Instance]{
		"state":             {read: readState},
		"interface":         textOf(func(i *Instance) *string { return &i.Interface }),
		"virtual_router_id": numberOf(func(i *Instance) *int { return &i.VRID }, 1, 255),
		"priority":          numberOf(func(i *Instance) *int { return &i.Priority }, 1, 255),
		"version":           numberOf(func(i *Instance) *int { return &i.Version }, 2, 3),
		"advert_int":        timeWithin(func(i *Instance) *time.Duration { return &i.AdvertInterval }, 10*time.Millisecond, 255*time.Second),
		"authentication": {words: -1, read: func(r *reading, s *Statement, i *Instance) {
			readAll(r, s.Block, authVocabulary(), i)
		}},
		"auth_hmac":                  {words: -1, read: readHMAC},
		"virtual_ipaddress":          {words: -1, again: adds, read: func(r *reading, s *Statement, i *Instance) { i.VIPs = append(i.VIPs, readAddresses(r, s)...) }},
		"virtual_ipaddress_excluded": {words: -1, again: adds, read: func(r *reading, s *Statement, i *Instance) { i.Excluded = append(i.Excluded, readAddresses(r, s)...) }},
		"virtual_routes":             {words: -1, again: adds, read: readRoutes},
		"virtual_rules":              {words: -1, again: adds, read: readRules},
		"nopreempt":                  {words: -1, read: func(_ *reading, _ *Statement, i *Instance) { i.NoPreempt = true }},
		"preempt":                    {words: -1, read: func(_ *reading, _ *Statement, i *Instance) { i.NoPreempt = false }},
		"preempt_delay":              timeWithin(func(i *Instance) *time.Duration { return &i.PreemptDelay }, 0, 1000*time.Second),
		"mcast_src_ip":               addressOf(func(i *Instance) *netip.Addr { return &i.Source }),
		"unicast_src_ip":             addressOf(func(i *Instance) *netip.Addr { return &i.Source }),
		"mcast_dst_ip":               addressOf(func(i *Instance) *netip.Addr { return &i.Multicast }),
		"unicast_peer":               {words: -1, again: adds, read: readPeers},
		"check_unicast_src":          optionalTruth(func(i *Instance) **bool { return &i.CheckSource }),
		"v3_checksum_as_v2":          optionalTruth(func(i *Instance) **bool { return &i.Checksum2 }),
		"strict_mode":                {read: readStrict[Instance]},
		"garp_master_delay":          optionalTime(func(i *Instance) **time.Duration { return &i.GARP.Delay }),
		"garp_master_refresh":        optionalTime(func(i *Instance) **time.Duration { return &i.GARP.Refresh }),
		"garp_master_repeat":         repeats(func(i *Instance) **int { return &i.GARP.Repeat }),
		"smtp_alert":                 optionalTruth(func(i *Instance) **bool { return &i.MailAlert }),
		"lvs_sync_daemon_interface":  {words: 1, read: readSyncInterface},
	}
	for word, kind := range trackBlocks {
		v[word] = entry[Instance]{words: -1, again: adds, read: func(r *reading, s *Statement, i *Instance) { i.Track = append(i.Track, readTrack(r, s, kind)...) }}
	}
	instanceNotify(v)
	instanceWithoutCounterpart(v)
	return v
}

func instanceNotify(v vocabulary[Instance]) {
	v["notify_master"] = hookOf(func(i *Instance) **Script { return &i.Notify.Master })
	v["notify_backup"] = hookOf(func(i *Instance) **Script { return &i.Notify.Backup })
	v["notify_fault"] = hookOf(func(i *Instance) **Script { return &i.Notify.Fault })
	v["notify_stop"] = hookOf(func(i *Instance) **Script { return &i.Notify.Stop })
	v["notify"] = hookOf(func(i *Instance) **Script { return &i.Notify.Any })
	v["notify_deleted"] = lost[Instance]("an instance that is removed by a reload runs notify.stop")
	v["notify_master_rx_lower_pri"] = lost[Instance]("lvsd logs such adverts; lvsd events tells of them")
}

func instanceWithoutCounterpart(v vocabulary[Instance]) {
	v.all(none[Instance]("lvsd does so by itself"),
		"native_ipv6", "accept", "debug", "linkbeat_use_polling", "kernel_rx_buf_size", "no_virtual_ipaddress",
		"skip_check_adv_addr", "lower_prio_no_advert", "higher_prio_send_advert", "owner_ignore_adverts",
		"notify_priority_changes", "track_src_ip", "unicast_fault_no_peer", "promote_secondaries")
	for word, what := range map[string]string{
		"use_vmac":                   "VIPs have the MAC address of their interface, and gratuitous ARP tells of it; hosts that want the virtual MAC address need another way",
		"use_vmac_addr":              "VIPs have the MAC address of their interface",
		"vmac_xmit_base":             "VIPs have the MAC address of their interface",
		"use_ipvlan":                 "VIPs stand on the interface itself",
		"no_accept":                  "a MASTER accepts packets to its VIPs; drop them by a rule of the firewall",
		"dont_track_primary":         "an instance is in FAULT while its interface is down",
		"vrf":                        "name the interface of the VRF as interface",
		"unicast_ttl":                "lvsd sends adverts with TTL 255",
		"old_unicast_checksum":       "lvsd sends the checksum of the RFCs; upgrade such peers first",
		"down_timer_adverts":         "a BACKUP takes over after three intervals, as the RFC says",
		"garp_lower_prio_delay":      "lvsd sends no burst for adverts of lower priority; garp.refresh corrects neighbours",
		"garp_lower_prio_repeat":     "lvsd sends no burst for adverts of lower priority; garp.refresh corrects neighbours",
		"garp_master_refresh_repeat": "garp.refresh sends one at a time",
		"garp_extra_if":              "each VIP is announced on its own interface",
		"timer_expired_backup":       "lvsd keeps to its role after a stall until it hears an advert",
		"thread_timer_expired":       "lvsd keeps to its role after a stall until it hears an advert",
	} {
		v[word] = lost[Instance](what)
	}
}

func readState(r *reading, s *Statement, i *Instance) {
	switch i.State = s.word(1); i.State {
	case "MASTER", "BACKUP":
	default:
		r.broken(s, "state %q is unknown, expected MASTER or BACKUP; the priority decides", i.State)
		i.State = ""
	}
}

func readSyncInterface(r *reading, s *Statement, i *Instance) {
	i.SyncInterface = r.text(s)
}

func authVocabulary() vocabulary[Instance] {
	return vocabulary[Instance]{
		"auth_type": textOf(func(i *Instance) *string { return &i.AuthType }),
		"auth_pass": textOf(func(i *Instance) *string { return &i.AuthPass }),
	}
}

func readHMAC(r *reading, s *Statement, i *Instance) {
	i.HMAC = &HMAC{origin: origin{head: s}}
	readAll(r, s.Block, vocabulary[HMAC]{
		"key": {words: 2, again: adds, read: func(r *reading, s *Statement, h *HMAC) {
			if id, ok := r.integer(s, 1, 255); ok {
				h.Keys = append(h.Keys, HMACKey{ID: id, Secret: s.word(2)})
			}
		}},
		"active_key":  numberOf(func(h *HMAC) *int { return &h.Active }, 0, 255),
		"time_window": timeOf(func(h *HMAC) *time.Duration { return &h.Window }),
		"mode":        textOf(func(h *HMAC) *string { return &h.Mode }),
		"anti_replay": lost[HMAC]("window says how lvsd compares clocks; \"0s\" does not"),
	}, i.HMAC)
}

func readPeers(r *reading, s *Statement, i *Instance) {
	for _, l := range s.Block {
		l.fate = Translated
		peer := Peer{Address: r.address(l, l.Word())}
		for at := 1; at < len(l.Words); at += 2 {
			switch l.word(at) {
			case "min_ttl":
				peer.MinTTL, _ = r.integerAt(l, at+1, 0, 255)
			case "max_ttl":
				r.lost(l, "max_ttl %s: lvsd has only a least TTL, min_ttl of the instance", l.word(at+1))
			default:
				r.broken(l, "unicast_peer: %q is not min_ttl or max_ttl", l.word(at))
			}
		}
		if peer.Address.IsValid() {
			i.Peers = append(i.Peers, peer)
		}
	}
}

// trackBlocks are the blocks that name trackers, and the kind of those.
var trackBlocks = map[string]string{
	"track_interface": "interface", "track_script": "script", "track_process": "process", "track_file": "file", "track_bfd": "bfd",
}

func readTrack(r *reading, s *Statement, kind string) []Tracked {
	var all []Tracked
	for _, l := range s.Block {
		l.fate = Translated
		t := Tracked{at: l, Kind: kind, Name: l.Word()}
		for at := 1; at < len(l.Words); at++ {
			switch word := l.word(at); word {
			case "weight":
				at++
				if n, ok := r.integerAt(l, at, -254, 254); ok {
					t.Weight = &n
				}
			case "reverse", "noreverse", "no_reverse":
				yes := word == "reverse"
				t.Reverse = &yes
			default:
				r.broken(l, "%s %s: keepalived ignores %q", s.Word(), t.Name, word)
			}
		}
		all = append(all, t)
	}
	return all
}

func readSyncGroup(r *reading, s *Statement, c *Configuration) {
	g := &SyncGroup{origin: origin{head: s}, Name: r.text(s)}
	v := vocabulary[SyncGroup]{
		"group": {words: -1, again: firstCounts, read: func(_ *reading, s *Statement, g *SyncGroup) {
			for _, l := range s.Block {
				l.fate = Translated
				g.Members = append(g.Members, l.Words...)
			}
		}},
		"notify_master":              hookOf(func(g *SyncGroup) **Script { return &g.Notify.Master }),
		"notify_backup":              hookOf(func(g *SyncGroup) **Script { return &g.Notify.Backup }),
		"notify_fault":               hookOf(func(g *SyncGroup) **Script { return &g.Notify.Fault }),
		"notify_stop":                hookOf(func(g *SyncGroup) **Script { return &g.Notify.Stop }),
		"notify":                     hookOf(func(g *SyncGroup) **Script { return &g.Notify.Any }),
		"smtp_alert":                 optionalTruth(func(g *SyncGroup) **bool { return &g.MailAlert }),
		"sync_group_tracking_weight": {words: -1, read: func(_ *reading, _ *Statement, g *SyncGroup) { g.TrackingWeight = true }},
		"global_tracking":            {words: -1, read: func(_ *reading, _ *Statement, g *SyncGroup) { g.TrackingWeight = true }},
		"notify_priority_changes":    none[SyncGroup]("lvsd status has the priority"),
		"notify_deleted":             lost[SyncGroup]("a group that is removed by a reload runs no command"),
	}
	for word, kind := range trackBlocks {
		v[word] = entry[SyncGroup]{words: -1, again: adds, read: func(r *reading, s *Statement, g *SyncGroup) { g.Track = append(g.Track, readTrack(r, s, kind)...) }}
	}
	readAll(r, s.Block, v, g)
	c.Groups = append(c.Groups, g)
}

func readWeight(r *reading, s *Statement, weight *int, reverse *bool) {
	if n, ok := r.integer(s, -2147483647, 2147483647); ok {
		*weight = n
	}
	switch s.word(2) {
	case "reverse":
		*reverse = true
	case "", "noreverse", "no_reverse":
	default:
		r.broken(s, "weight: keepalived ignores %q", s.word(2))
	}
}

func readTrackScript(r *reading, s *Statement, c *Configuration) {
	t := &TrackScript{origin: origin{head: s}, Name: r.text(s), Interval: time.Second, Rise: 1, Fall: 1}
	readAll(r, s.Block, vocabulary[TrackScript]{
		"script":   scriptOf(func(t *TrackScript) **Script { return &t.Script }),
		"interval": wholeSeconds(func(t *TrackScript) *time.Duration { return &t.Interval }),
		"timeout":  wholeSeconds(func(t *TrackScript) *time.Duration { return &t.Timeout }),
		"weight":   {words: 2, read: func(r *reading, s *Statement, t *TrackScript) { readWeight(r, s, &t.Weight, &t.Reverse) }},
		"rise":     numberOf(func(t *TrackScript) *int { return &t.Rise }, 1, 1<<30),
		"fall":     numberOf(func(t *TrackScript) *int { return &t.Fall }, 1, 1<<30),
		"user": {words: 2, read: func(r *reading, s *Statement, t *TrackScript) {
			if t.User = r.text(s); s.word(2) != "" {
				r.differs(s, "user: lvsd takes the group %q from the user", s.word(2))
			}
		}},
		"init_fail": lost[TrackScript]("a tracker counts as neither up nor down until its first result; settle keeps the instance from becoming MASTER for that long"),
	}, t)
	c.Scripts = append(c.Scripts, t)
}

func readTrackProcess(r *reading, s *Statement, c *Configuration) {
	t := &TrackProcess{origin: origin{head: s}, Name: r.text(s), Quorum: 1}
	readAll(r, s.Block, vocabulary[TrackProcess]{
		"process": {words: anyWords, again: firstCounts, read: func(r *reading, s *Statement, t *TrackProcess) {
			words := s.escaped()
			if len(words) < 2 {
				r.broken(s, "process: expected the name of a process")
				return
			}
			if t.Process = words[1]; len(words) > 2 {
				r.differs(s, "process: lvsd looks at the name %q alone, not at the arguments %q", t.Process, words[2:])
			}
		}},
		"weight":          {words: 2, again: firstCounts, read: func(r *reading, s *Statement, t *TrackProcess) { readWeight(r, s, &t.Weight, &t.Reverse) }},
		"quorum":          numberOf(func(t *TrackProcess) *int { return &t.Quorum }, 1, 65535),
		"fork_delay":      timeWithin(func(t *TrackProcess) *time.Duration { return &t.UpDelay }, time.Microsecond, time.Hour),
		"terminate_delay": timeWithin(func(t *TrackProcess) *time.Duration { return &t.DownDelay }, time.Microsecond, time.Hour),
		"delay": {read: func(r *reading, s *Statement, t *TrackProcess) {
			if d, ok := r.secondsWithin(s, 1, time.Microsecond, time.Hour); ok {
				t.UpDelay, t.DownDelay = d, d
			}
		}},
		"quorum_max":   lost[TrackProcess]("lvsd has only a least number of processes; a script can count them"),
		"param_match":  lost[TrackProcess]("lvsd looks at the name of the process alone; a script can look at its arguments"),
		"full_command": lost[TrackProcess]("lvsd looks at the name of the process alone; a script can look at its arguments"),
	}, t)
	c.Processes = append(c.Processes, t)
}

func readTrackFile(r *reading, s *Statement, c *Configuration) {
	t := &TrackFile{origin: origin{head: s}, Name: r.text(s), Weight: 1}
	readAll(r, s.Block, vocabulary[TrackFile]{
		"file":      {words: 1, read: func(r *reading, s *Statement, t *TrackFile) { t.File = r.text(s) }},
		"weight":    {words: 2, read: func(r *reading, s *Statement, t *TrackFile) { readWeight(r, s, &t.Weight, &t.Reverse) }},
		"init_file": lost[TrackFile]("lvsd makes no file: one that is absent counts as 0"),
	}, t)
	c.Files = append(c.Files, t)
}

// number is a word as a number, decimal or with its base.
func number(word string) (int64, bool) {
	n, err := strconv.ParseInt(strings.TrimSpace(word), 0, 64)
	return n, err == nil
}
