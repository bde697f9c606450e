package config

import "net/netip"

// longestSyncMessage is the most that fits an IPv4 packet with its UDP header,
// in bytes.
const longestSyncMessage = 65535 - 20 - 8

// syncTable is [sync] and where its keys are; without such a table it is nil.
type syncTable struct {
	Sync
	*table
}

// readSync reads [sync] for the node.
func readSync(main *table, node string, instances []instance) *syncTable {
	if main == nil {
		return nil
	}
	t := main.as(node).forNode()
	defer t.close()
	s := &syncTable{table: t}
	followed := s.readInstance(instances)
	s.Daemons = SyncDaemons(read(t, "daemons", choice(string(SyncBoth), string(SyncFollow))).or(string(SyncBoth)))
	s.Interface = read(t, "interface", interfaceName()).orElse(followed.Interface, "the instance's")
	s.ID = uint8(read(t, "id", integer(1, 255)).orElse(int(followed.Router.VRID), "the instance's vrid"))
	s.MaxLen = uint16(read(t, "max_length", integer(0, longestSyncMessage)).orElse(0, "what the MTU has room for"))
	s.Group = read(t, "group", addressAs(parseMulticast)).orElse(netip.Addr{}, "224.0.0.81")
	s.Port = uint16(read(t, "port", integer(1, 65535)).orElse(0, "8848"))
	s.TTL = uint8(read(t, "ttl", integer(1, 255)).orElse(0, "1"))
	return s
}

// readInstance reads which instance's role the daemons follow.
func (s *syncTable) readInstance(instances []instance) instance {
	s.Instance = read(s.table, "instance", label()).orElse("", "the only instance")
	var names []string
	for _, i := range instances {
		if i.Router.Name == s.Instance && s.Instance != "" {
			return i
		}
		names = append(names, i.Router.Name)
	}
	switch {
	case s.has("instance"):
		if s.Instance != "" {
			s.fail(s.at("instance"), "no [[vrrp]] is called %q%s", s.Instance, nearestName(s.Instance, names))
		}
	case len(instances) == 0:
		s.failKey(s.path(), "there is no [[vrrp]] whose role it could follow, expected one")
	case len(instances) > 1:
		s.missing("instance", "one of "+quotedList(names))
	default:
		s.Instance = instances[0].Router.Name
		return instances[0]
	}
	return instance{}
}

// checkMixed reports real servers of another family than their service's: the
// kernel has either them or synchronisation.
func (s *syncTable) checkMixed(services []*service) {
	if s == nil {
		return
	}
	for _, service := range services {
		for _, server := range service.mixed {
			s.fail(server.at, "%s is %s and the service is not, expected one family because of [sync] (line %d): the kernel has either synchronisation or services of two",
				server.value, familyOf(server.value), s.line(s.path()))
		}
	}
}

// checkKept reports what keep_connections does not work without.
func (i instance) checkKept(s *syncTable, vs ipvsTable) {
	if !i.KeepConnections {
		return
	}
	at := i.at("keep_connections")
	switch {
	case !i.ServeOnBackup:
		i.fail(at, "is for nodes that are real servers themselves, expected serve_on_backup = true too")
	case s == nil:
		i.fail(at, "another node must know the connections to go on with them, expected [sync] with daemons = %q", SyncBoth)
	case s.Instance != "" && s.Instance != i.Router.Name:
		i.fail(at, "[sync] follows instance %q (line %d), expected this one", s.Instance, s.line(s.at("instance")))
	case s.Daemons == SyncFollow:
		i.fail(at, "[sync] has daemons = %q (line %d), expected %q: backup_only works only where a receiver runs", SyncFollow, s.line(s.at("daemons")), SyncBoth)
	}
	if i.Redirect == RedirectAllTCP {
		i.fail(i.at("redirect"), "takes every packet of an established connection too, expected %q beside keep_connections (line %d)", RedirectServices, i.line(at))
	}
	if vs.is("backup_only", "0") {
		vs.fail(vs.at("backup_only"), "0 makes a BACKUP schedule packets that are its own, expected 1 or nothing because of keep_connections (line %d)", i.line(at))
	}
	if vs.is("sync_persist_mode", "1") {
		vs.fail(vs.at("sync_persist_mode"), "1 synchronises no connections, only persistence, expected 0 because of keep_connections (line %d)", i.line(at))
	}
}
