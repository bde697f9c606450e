package segment

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/lvsd/lvsd/vrrp"
)

// Code names something that is wrong. The names do not change.
type Code string

// What may be wrong with one speaker.
const (
	CodeChecksum      Code = "bad_checksum"
	CodeTTL           Code = "bad_ttl"
	CodeMalformed     Code = "malformed"
	CodeClearPassword Code = "clear_password"
	CodeOwner         Code = "owner_elsewhere" // priority 255, from none of its VIPs
	CodeLinkLocal     Code = "vip_order"       // RFC 5798 section 5.2.9
)

// What may be wrong between the speakers of one virtual router.
const (
	CodeTwoMasters      Code = "two_masters"
	CodeTwoOwners       Code = "two_owners"
	CodeVersionDiffers  Code = "version_differs"
	CodeIntervalDiffers Code = "interval_differs"
	CodeAuthDiffers     Code = "auth_differs"
	CodePasswordDiffers Code = "password_differs"
	CodeVIPsDiffer      Code = "vips_differ"
	CodeChecksumDiffers Code = "checksum_differs"
)

// Flag is something wrong that stands.
type Flag struct {
	Code Code `json:"code"`
	Router
	// Source is the speaker; zero if it is about several.
	Source netip.Addr `json:"source,omitzero"`
	// Detail is for people. It holds no password.
	Detail string    `json:"detail"`
	Since  time.Time `json:"since"`
}

// String is the flag in one line.
func (f Flag) String() string {
	return fmt.Sprintf("%s: %s: %s", f.where(f.Source), f.Code, f.Detail)
}

// flagKey tells the flags of one virtual router apart.
type flagKey struct {
	code   Code
	source netip.Addr
}

// wrong is what stands at a moment, with details. It forgets mishaps that are
// long past.
func (r *router) wrong(now time.Time) map[flagKey]string {
	all := map[flagKey]string{}
	for _, s := range r.speakers {
		for code, m := range s.mishaps {
			if now.Sub(m.last) > mishapHold {
				delete(s.mishaps, code)
				continue
			}
			all[flagKey{code, s.source}] = m.detail
		}
		if s.state != Gone && s.state != Invalid {
			s.wrongByItself(all)
		}
	}
	if len(r.speakers) > 1 {
		r.wrongTogether(all, now)
	}
	return all
}

// wrongByItself adds what is wrong in one speaker's last advert.
func (s *speaker) wrongByItself(all map[flagKey]string) {
	if s.auth == AuthPass {
		all[flagKey{CodeClearPassword, s.source}] = "the password crosses the wire in the clear"
	}
	if s.priority == vrrp.Owner && !slices.Contains(s.vips, s.source) {
		all[flagKey{CodeOwner, s.source}] = fmt.Sprintf(
			"priority 255 is the address owner's, and %s, which it sends from, is none of its VIPs", s.source)
	}
	if s.source.Is6() && len(s.vips) > 0 && !s.vips[0].IsLinkLocalUnicast() {
		all[flagKey{CodeLinkLocal, s.source}] = fmt.Sprintf("the first VIP, %s, is not link-local", s.vips[0])
	}
}

// wrongTogether adds what is wrong between the speakers.
func (r *router) wrongTogether(all map[flagKey]string, now time.Time) {
	add := func(code Code, format string, args ...any) {
		if detail := fmt.Sprintf(format, args...); detail != "" {
			all[flagKey{code: code}] = detail
		}
	}
	if rivals := r.rivals(now); len(rivals) > 0 {
		add(CodeTwoMasters, "%s advertise at the same time", strings.Join(rivals, " and "))
	}
	compared := r.compared()
	if owners := slices.DeleteFunc(slices.Clone(compared), func(s *speaker) bool {
		return s.priority != vrrp.Owner
	}); len(owners) > 1 && owners[0].source != owners[1].source {
		add(CodeTwoOwners, "%s and %s have priority 255", owners[0].source, owners[1].source)
	}
	for _, property := range []struct {
		code Code
		same func(a, b *speaker) bool
		show func(s *speaker) any
	}{
		{CodeVersionDiffers, func(a, b *speaker) bool { return a.version == b.version }, func(s *speaker) any { return s.version }},
		{CodeIntervalDiffers, func(a, b *speaker) bool { return a.interval == b.interval }, func(s *speaker) any { return s.interval }},
		{CodeAuthDiffers, func(a, b *speaker) bool { return a.auth == b.auth }, func(s *speaker) any { return s.auth }},
		{CodePasswordDiffers, samePassword, func(*speaker) any { return "its own" }},
		{CodeVIPsDiffer, func(a, b *speaker) bool { return a.sameVIPs(b.parameters) }, func(s *speaker) any { return joinAddrs(s.vips) }},
		{CodeChecksumDiffers, sameChecksum, func(s *speaker) any { return s.checksum }},
	} {
		for _, s := range compared {
			if first := compared[0]; !property.same(first, s) {
				show := property.show
				add(property.code, "%s has %v, %s has %v", first.source, show(first), s.source, show(s))
				break
			}
		}
	}
}

func samePassword(a, b *speaker) bool { return a.auth != b.auth || a.password == b.password }

// sameChecksum compares within a version: they differ between versions anyway.
func sameChecksum(a, b *speaker) bool { return a.version != b.version || a.checksum == b.checksum }

// rivals are the MASTER and those that do not yield to it, in words; none if all
// do.
func (r *router) rivals(now time.Time) (all []string) {
	for _, s := range r.speakers {
		if r.master != nil && s.contends(r.master, now) {
			all = append(all, s.claim())
		}
	}
	if len(all) > 0 {
		all = append(all, r.master.claim())
		slices.Sort(all)
	}
	return all
}

func (s *speaker) claim() string { return fmt.Sprintf("%s (priority %d)", s.source, s.priority) }

// compared are the speakers whose parameters count. One that is gone does, as
// it may be back with them, unless its sender speaks differently by now.
func (r *router) compared() []*speaker {
	present := map[netip.Addr]bool{}
	for _, s := range r.speakers {
		if s.state != Gone && s.state != Invalid {
			present[s.source] = true
		}
	}
	return slices.DeleteFunc(slices.Clone(r.speakers), func(s *speaker) bool {
		return s.state == Invalid || s.state == Gone && present[s.source]
	})
}
