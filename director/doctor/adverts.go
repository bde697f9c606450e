package doctor

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/vrrp/segment"
)

// findAdverts tells of other speakers on the segments that do not fit the
// configuration. What a running daemon has noticed is findDaemon's.
func findAdverts(c *Case) []Finding {
	if c.Adverts == nil {
		return nil
	}
	var found []Finding
	for _, v := range c.Config.VRRP {
		for _, s := range speakersOf(c, v) {
			if kind, detail := misfit(v, s); kind != "" {
				found = append(found, vrrpFinding(kind, v.Router.Name, s.Source.String(), detail))
			}
		}
		for _, flag := range c.Adverts.Flags {
			if kind := flagKind(flag.Code); kind != "" && isRouter(v, flag.Router) {
				found = append(found, vrrpFinding(kind, v.Router.Name, source(flag.Source), flag.Detail))
			}
		}
	}
	return append(found, findStrangers(c)...)
}

func source(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

// speakersOf are the others that speak for the instance's virtual router.
func speakersOf(c *Case, v config.VRRP) []segment.Speaker {
	if c.Adverts == nil {
		return nil
	}
	var others []segment.Speaker
	for _, s := range c.Adverts.Speakers {
		if isRouter(v, s.Router) && !s.ThisNode && s.State != segment.Invalid {
			others = append(others, s)
		}
	}
	return others
}

func isRouter(v config.VRRP, r segment.Router) bool {
	family := "ipv4"
	if v.Router.Is6() {
		family = "ipv6"
	}
	return r.Interface == v.Interface && r.VRID == v.Router.VRID && r.Family == family
}

// misfit is how a speaker differs from the instance, the gravest first.
func misfit(v config.VRRP, s segment.Speaker) (kind, detail string) {
	theirs := slices.SortedFunc(slices.Values(s.VIPs), netip.Addr.Compare)
	ours := slices.SortedFunc(slices.Values(v.Router.VIPs), netip.Addr.Compare)
	shared := slices.ContainsFunc(theirs, func(a netip.Addr) bool { return slices.Contains(ours, a) })
	switch {
	case !shared:
		return "duplicate_vrid", fmt.Sprintf("it speaks for VRID %d and has other VIPs: %v", s.VRID, theirs)
	case s.Version != int(v.Router.Version):
		return "version", fmt.Sprintf("it speaks version %d, the file says %d", s.Version, v.Router.Version)
	case s.Auth != "" && s.Auth != auth(v):
		return "auth", fmt.Sprintf("it authenticates by %s, the file says %s", s.Auth, auth(v))
	case s.Interval != v.Router.Interval:
		return "interval", fmt.Sprintf("it advertises every %v, the file says %v", s.Interval, v.Router.Interval)
	case !slices.Equal(theirs, ours):
		return "vips", fmt.Sprintf("it has the VIPs %v, the file says %v", theirs, ours)
	}
	return "", ""
}

// auth is how the instance authenticates its adverts.
func auth(v config.VRRP) segment.Auth {
	switch {
	case v.Router.HMAC.Active != 0:
		return segment.AuthHMAC
	case v.Router.Password != "":
		return segment.AuthPass
	}
	return segment.AuthNone
}

// flagKind is the notice that a flag of the segment is; empty if misfit tells of
// it, or if it is none of ours.
func flagKind(code segment.Code) string {
	switch code {
	case segment.CodeTwoMasters, segment.CodeTwoOwners:
		return "two_masters"
	case segment.CodeChecksum:
		return "checksum"
	case segment.CodeTTL:
		return "ttl"
	case segment.CodeMalformed:
		return "malformed"
	}
	return ""
}

// findStrangers tells of virtual routers on the instances' interfaces that the
// file does not name.
func findStrangers(c *Case) []Finding {
	var found []Finding
	for _, s := range c.Adverts.Speakers {
		named := slices.ContainsFunc(c.Config.VRRP, func(v config.VRRP) bool { return isRouter(v, s.Router) })
		if named || s.ThisNode || s.State != segment.Master {
			continue
		}
		vips := strings.Trim(fmt.Sprint(s.VIPs), "[]")
		f := Finding{
			ID: "vrrp-other-router", Severity: Note, Subject: fmt.Sprintf("VRID %d on %s", s.VRID, s.Interface),
			What:   fmt.Sprintf("%s is MASTER of it, with the VIPs %s, and the file does not name it", s.Source, vips),
			Breaks: "nothing; the VRID is taken there",
		}
		if taken := vipsOf(c.Config, s.VIPs); len(taken) > 0 {
			f.ID, f.Severity = "vrrp-vip-elsewhere", Error
			f.What = fmt.Sprintf("%s is MASTER of it and has VIPs of the file, which names another VRID for them: %v", s.Source, taken)
			f.Breaks = "the two nodes do not know of each other, and both hold the VIPs"
			f.Edit, f.Mend, f.On = "the same vrid and interface on all nodes", reload, "this node or "+s.Source.String()
		}
		found = append(found, f)
	}
	return found
}

// vipsOf are those of the addresses that are VIPs of c.
func vipsOf(c *config.Config, addrs []netip.Addr) []netip.Addr {
	var taken []netip.Addr
	for _, addr := range addrs {
		if slices.ContainsFunc(c.VRRP, func(v config.VRRP) bool {
			return slices.ContainsFunc(v.VIPs, func(vip config.VIP) bool { return vip.Addr == addr })
		}) {
			taken = append(taken, addr)
		}
	}
	return taken
}
