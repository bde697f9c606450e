package keepalived

import (
	"net/netip"
	"time"
)

// readConfiguration reads what stands outside every block.
func readConfiguration(tree []*Statement, n *notebook, o Options) *Configuration {
	c := &Configuration{Delays: map[string]Delays{}}
	c.Global.Version, c.Global.DefaultInterface = 2, "eth0"
	r := &reading{notebook: n, options: o, c: c, names: map[string]bool{}}
	// Later blocks take defaults from global_defs, wherever these stand.
	known := topVocabulary()
	for _, s := range tree {
		if s.Word() == "global_defs" {
			s.fate = Translated
			r.c.Global.head = s
			readAll(r, s.Block, globalVocabulary(), &c.Global)
			r.checkWords(s, -1)
		}
	}
	rest := make([]*Statement, 0, len(tree))
	for _, s := range tree {
		if s.Word() != "global_defs" {
			rest = append(rest, s)
		}
	}
	for _, s := range rest {
		if _, ok := known[s.Word()]; !ok && belongsElsewhere(s.Word()) {
			r.broken(s, "%s stands outside the block it belongs to: a } above is too many; keepalived ignores it with all that is in it", s.Word())
			s.settle(Reported)
		}
	}
	kept := rest[:0:0]
	for _, s := range rest {
		if s.fate == unread {
			kept = append(kept, s)
		}
	}
	readAll(r, kept, known, c)
	return c
}

// belongsElsewhere tells of keywords that a } too many leaves outside.
func belongsElsewhere(word string) bool {
	if _, ok := serverVocabulary()[word]; ok {
		return true
	}
	if _, ok := serviceVocabulary()[word]; ok {
		return true
	}
	_, ok := instanceVocabulary()[word]
	return ok
}

func topVocabulary() vocabulary[Configuration] {
	return vocabulary[Configuration]{
		"vrrp_instance":        {read: readInstance},
		"vrrp_sync_group":      {read: readSyncGroup},
		"vrrp_script":          {read: readTrackScript},
		"vrrp_track_process":   {read: readTrackProcess},
		"track_process":        {read: readTrackProcess},
		"track_file":           {read: readTrackFile},
		"vrrp_track_file":      {read: readTrackFile},
		"virtual_server_group": {read: readServerGroup},
		"virtual_server":       {read: readVirtualServer, words: 2},
		"bfd_instance":         {read: readBFD},
		"static_ipaddress":     {words: -1, read: readStatic},
		"static_addresses":     {words: -1, read: readStatic},
		"interface_up_down_delays": {words: -1, read: func(r *reading, s *Statement, c *Configuration) {
			for _, l := range s.Block {
				l.fate = Translated
				down, ok := r.secondsAt(l, 1)
				if !ok {
					continue
				}
				up := down
				if l.word(2) != "" {
					up, _ = r.secondsAt(l, 2)
				}
				c.Delays[l.Word()] = Delays{at: l, Down: down, Up: up}
				r.checkWords(l, 2)
			}
		}},
		"static_routes": lost[Configuration]("lvsd sets up no routes that stay; leave them to the network configuration of the host"),
		"static_rules":  lost[Configuration]("lvsd sets up no rules that stay; leave them to the network configuration of the host"),
		"track_group":   lost[Configuration]("lvsd watches no static addresses, routes and rules"),
		"garp_group":    lost[Configuration]("lvsd does not slow gratuitous ARP down by interface; garp.count says how many are sent"),
		"SSL":           lost[Configuration]("checks have tls_ca, tls_certificate and tls_key of their own"),
		"net_namespace": lost[Configuration]("start lvsd in the namespace: NetworkNamespacePath= of its unit"),
		"net_namespace_ipvs": lost[Configuration](
			"lvsd programs IPVS in its own network namespace, where its checks run too"),
		"namespace_with_ipsets": none[Configuration]("lvsd uses no ipsets"),
		"instance":              lost[Configuration]("a second lvsd on a host has --run-directory and --state-directory of its own"),
		"use_pid_dir":           none[Configuration]("lvsd has one process"),
		"linkbeat_use_polling":  none[Configuration]("lvsd is told by the kernel"),
		"linkbeat_interfaces":   none[Configuration]("lvsd is told by the kernel"),
		"child_wait_time":       none[Configuration]("lvsd has one process"),
		"random_seed":           none[Configuration]("lvsd chooses nothing at random here"),
		"include_check":         none[Configuration]("the import reports every include without a file"),
	}
}

func readBFD(r *reading, s *Statement, _ *Configuration) {
	r.lost(s, "bfd_instance %s: lvsd speaks no BFD; what depends on it can track a check with interval = \"100ms\", or a script that asks the BFD daemon", s.word(1))
	s.settle(Reported)
}

func readStatic(r *reading, s *Statement, c *Configuration) {
	for _, a := range readAddresses(r, s) {
		r.lost(a.at, "static address %s: lvsd sets up no addresses that stay; leave it to the network configuration of the host", a.Prefix)
		c.Static = append(c.Static, a)
	}
}

func globalVocabulary() vocabulary[Global] {
	v := vocabulary[Global]{
		"router_id":                textOf(func(g *Global) *string { return &g.RouterID }),
		"default_interface":        textOf(func(g *Global) *string { return &g.DefaultInterface }),
		"vrrp_version":             numberOf(func(g *Global) *int { return &g.Version }, 2, 3),
		"vrrp_mcast_group4":        addressOf(func(g *Global) *netip.Addr { return &g.Multicast4 }),
		"vrrp_mcast_group6":        addressOf(func(g *Global) *netip.Addr { return &g.Multicast6 }),
		"vrrp_garp_master_delay":   optionalTime(func(g *Global) **time.Duration { return &g.GARP.Delay }),
		"vrrp_garp_master_refresh": optionalTime(func(g *Global) **time.Duration { return &g.GARP.Refresh }),
		"vrrp_garp_master_repeat":  repeats(func(g *Global) **int { return &g.GARP.Repeat }),
		"vrrp_min_garp":            truthOf(func(g *Global) *bool { return &g.GARP.Minimal }),
		"vrrp_check_unicast_src":   truthOf(func(g *Global) *bool { return &g.CheckUnicastSource }),
		"vrrp_startup_delay":       timeWithin(func(g *Global) *time.Duration { return &g.StartupDelay }, time.Millisecond, longest),
		"v3_checksum_as_v2":        truthOf(func(g *Global) *bool { return &g.Checksum2 }),
		"vrrp_strict":              {read: readStrict[Global]},
		"lvs_sync_daemon":          {words: anyWords, read: readSyncDaemon},
		"lvs_timeouts":             {words: anyWords, read: readTimeouts},
		"notification_email":       {words: -1, again: adds, read: readRecipients},
		"notification_email_from":  textOf(func(g *Global) *string { return &g.Sender }),
		"smtp_server":              {words: 2, read: readMailServer},
		"smtp_alert":               optionalTruth(func(g *Global) **bool { return &g.MailAlert }),
		"smtp_alert_vrrp":          optionalTruth(func(g *Global) **bool { return &g.MailAlertVRRP }),
		"smtp_alert_checker":       optionalTruth(func(g *Global) **bool { return &g.MailAlertChecker }),
		"no_email_faults":          lost[Global]("instance.state among the events of [[alerts.mail]] tells of every role, FAULT too"),
		"script_user":              {words: 2, read: readScriptUser},
		"notify_fifo":              {words: 3, again: firstCounts, read: readFIFO},
		"vrrp_notify_fifo":         {words: 3, again: firstCounts, read: readFIFO},
		"lvs_notify_fifo":          {words: 3, again: firstCounts, read: readFIFO},
	}
	globalWithoutCounterpart(v)
	return v
}

func globalWithoutCounterpart(v vocabulary[Global]) {
	for what, names := range map[string][]string{
		"lvsd waits 30 s for a mail relay and tries again":       {"smtp_connect_timeout"},
		"lvsd says its host name":                                {"smtp_helo_name"},
		"lvsd always logs a change of a verdict with its reason": {"checker_log_all_failures", "no_checker_emails"},
		"lvsd always accepts such adverts, or logs them":         {"vrrp_skip_check_adv_addr", "log_unknown_vrids"},
		"lvsd answers as RFC 9568 says": {
			"vrrp_lower_prio_no_advert", "vrrp_higher_prio_send_advert", "vrrp_owner_ignore_adverts",
		},
		"lvsd always tolerates interfaces that come and go": {"dynamic_interfaces"},
		"lvsd repairs the table when it starts":             {"lvs_flush"},
		"lvsd is one process with one socket for each purpose": {
			"lvs_netlink_cmd_rcv_bufs", "lvs_netlink_cmd_rcv_bufs_force", "lvs_netlink_monitor_rcv_bufs", "lvs_netlink_monitor_rcv_bufs_force",
			"vrrp_netlink_cmd_rcv_bufs", "vrrp_netlink_cmd_rcv_bufs_force", "vrrp_netlink_monitor_rcv_bufs", "vrrp_netlink_monitor_rcv_bufs_force",
			"process_monitor_rcv_bufs", "process_monitor_rcv_bufs_force", "vrrp_rx_bufs_policy", "vrrp_rx_bufs_multiplier",
			"process_names", "process_name", "vrrp_process_name", "checker_process_name", "bfd_process_name",
			"data_use_instance", "state_dump_file", "stats_dump_file", "json_dump_file", "json_version",
			"tmp_config_directory", "config_save_dir", "umask", "random_seed", "iproute_usr_dir", "iproute_etc_dir", "include_check",
		},
		"the unit says how a service is scheduled: Nice=, CPUAffinity=, CPUSchedulingPolicy=": {
			"vrrp_priority", "checker_priority", "bfd_priority", "vrrp_rt_priority", "checker_rt_priority", "bfd_rt_priority",
			"vrrp_rlimit_rttime", "checker_rlimit_rttime", "bfd_rlimit_rttime", "vrrp_rlimit_rtime", "checker_rlimit_rtime", "bfd_rlimit_rtime",
			"vrrp_no_swap", "checker_no_swap", "bfd_no_swap", "vrrp_cpu_affinity", "checker_cpu_affinity", "bfd_cpu_affinity",
			"max_auto_priority", "min_auto_priority_delay",
		},
		"lvsd validates every file before it takes effect": {"reload_check_config", "reload_file"},
		"lvsd needs no firewall for what it does with VIPs": {
			"vrrp_iptables", "vrrp_ipsets", "nftables", "nftables_priority", "nftables_counters", "nftables_ifindex", "disable_local_igmp",
		},
		"VIPs never are on interfaces of their own": {"vmac_prefix", "vmac_addr_prefix"},
		"hooks need an absolute path, and no shell is involved": {
			"enable_script_security", "use_symlink_paths", "set_supplementary_groups",
		},
	} {
		v.all(none[Global](what), names...)
	}
	for what, names := range map[string][]string{
		"lvsd has Prometheus metrics in place of SNMP: [metrics]": {
			"snmp_socket", "enable_snmp_vrrp", "enable_snmp_checker", "enable_snmp_rfc", "enable_snmp_rfcv2", "enable_snmp_rfcv3",
			"enable_snmp_keepalived", "enable_traps", "snmp_vs_stats_update_interval", "snmp_rs_stats_update_interval",
		},
		"programs ask lvsd by its HTTP API on the control socket": {"enable_dbus", "dbus_service_name", "dbus_no_interface_name"},
		"ExecStartPre= and ExecStopPost= of the unit run commands": {
			"startup_script", "startup_script_timeout", "shutdown_script", "shutdown_script_timeout",
		},
		"let the program read the FIFO by itself, as a unit of its own": {"notify_fifo_script", "vrrp_notify_fifo_script", "lvs_notify_fifo_script"},
		"lvsd sends one burst when it becomes MASTER, one garp.delay later, and then one every garp.refresh": {
			"vrrp_garp_lower_prio_delay", "vrrp_garp_lower_prio_repeat", "vrrp_garp_master_refresh_repeat",
			"vrrp_garp_interval", "vrrp_gna_interval", "vrrp_garp_extra_if",
		},
		"a BACKUP takes over after three intervals, as the RFC says":                     {"vrrp_down_timer_adverts"},
		"use settle of the instances, which begins with the daemon":                      {"vrrp_delay_after_boot"},
		"virtual services stay in the kernel when lvsd stops, so that nothing is cut":    {"lvs_flush_on_stop", "lvs_flush_onstop"},
		"a group becomes a virtual service for each address; mark_traffic marks packets": {"nftables_ipvs", "nftables_ipvs_priority", "nftables_ipvs_start_fwmark"},
		"lvsd events and the FIFO tell of states when they change, not at a reload":      {"fifo_write_vrrp_states_on_reload", "rs_init_notifies"},
		"lvsd status and metrics have the priority":                                      {"vrrp_notify_priority_changes"},
		"reload on every node by hand, or let lvsd watch the file: watch in [reload]":    {"reload_time_file", "reload_repeat"},
	} {
		v.all(lost[Global](what), names...)
	}
}

// readStrict is vrrp_strict, and strict_mode of an instance.
func readStrict[T any](r *reading, s *Statement, _ *T) {
	if r.truth(s) {
		r.lost(s, "%s: lvsd has no such mode; it always keeps to the protocol, and accepts packets to the VIPs, which strict mode drops unless the priority is 255", s.Word())
	}
}

func readScriptUser(r *reading, s *Statement, g *Global) {
	g.ScriptUser = r.text(s)
	if s.word(2) != "" {
		r.differs(s, "script_user: lvsd takes the group %q from the user", s.word(2))
	}
}

func readRecipients(r *reading, s *Statement, g *Global) {
	for _, l := range s.Block {
		l.fate = Translated
		g.Recipients = append(g.Recipients, l.Words...)
	}
	g.mailAt = s
}

func readMailServer(r *reading, s *Statement, g *Global) {
	g.MailServer = r.text(s)
	if s.word(2) != "" {
		g.MailServer += ":" + s.word(2)
	}
}

func readFIFO(r *reading, s *Statement, g *Global) {
	switch {
	case g.FIFO == "" || g.FIFO == s.word(1):
		g.FIFO, g.FIFOFor, g.fifo = r.text(s), s.Word(), s
	default:
		r.lost(s, "%s: lvsd has one FIFO, which gets what %s does and this one too", s.text, g.FIFOFor)
	}
	if s.word(2) != "" {
		r.differs(s, "%s: lvsd makes the FIFO for its own user; give it to %q by a rule of tmpfiles.d", s.Word(), s.word(2))
	}
}

func readTimeouts(r *reading, s *Statement, g *Global) {
	for at := 1; at < len(s.Words); at += 2 {
		value, ok := r.secondsAt(s, at+1)
		if !ok {
			return
		}
		switch s.word(at) {
		case "tcp":
			g.TCPTimeout = value
		case "tcpfin":
			g.TCPFinTimeout = value
		case "udp":
			g.UDPTimeout = value
		default:
			r.broken(s, "lvs_timeouts: %q is not tcp, tcpfin or udp", s.word(at))
		}
	}
}

func readSyncDaemon(r *reading, s *Statement, g *Global) {
	d := &SyncDaemon{at: s, Interface: r.text(s)}
	g.Sync = d
	for at := 2; at < len(s.Words); at++ {
		var ok bool
		var n int
		switch word := s.word(at); word {
		case "inst":
			at++
			d.Instance = s.word(at)
		case "id":
			at++
			if n, ok = r.integerAt(s, at, 0, 255); ok {
				d.ID = &n
			}
		case "maxlen":
			at++
			d.MaxLength, _ = r.integerAt(s, at, 1, 65507)
		case "port":
			at++
			d.Port, _ = r.integerAt(s, at, 1, 65535)
		case "ttl":
			at++
			d.TTL, _ = r.integerAt(s, at, 1, 255)
		case "group":
			at++
			d.Group = r.address(s, s.word(at))
		default:
			if at > 2 {
				r.broken(s, "lvs_sync_daemon: %q is not inst, id, maxlen, port, ttl or group", word)
				continue
			}
			d.Instance = word
		}
	}
}
