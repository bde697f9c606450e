package director

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/lvsd/lvsd/config"
)

// What Explain was asked for is not there.
var (
	ErrUnknownServer  = errors.New("no such real server")
	ErrUnknownService = errors.New("no such virtual service")
)

// shownNames is how many names an error tells at most.
const shownNames = 8

// find are the real servers meant, in file order. An exact name goes before the
// beginning of one.
func (s scene) find(asked, service string) ([]member, error) {
	all := s.members()
	meant := slices.DeleteFunc(slices.Clone(all), func(m member) bool { return !m.is(asked) })
	if len(meant) == 0 {
		meant = slices.DeleteFunc(slices.Clone(all), func(m member) bool { return !m.begins(asked) })
	}
	if several := distinct(meant, member.name); len(several) > 1 && !meant[0].is(asked) {
		return nil, fmt.Errorf("%w: %q is the beginning of %s, expected one of them", ErrUnknownServer, asked, listed(several))
	}
	if len(meant) == 0 {
		return nil, fmt.Errorf("%w: %q%s", ErrUnknownServer, asked, nearestOf(asked, all))
	}
	if service == "" {
		return meant, nil
	}
	serviceOf := func(m member) string { return m.service.Name }
	there := slices.DeleteFunc(slices.Clone(meant), func(m member) bool { return m.service.Name != service })
	if len(there) > 0 {
		return there, nil
	}
	if services := distinct(all, serviceOf); !slices.Contains(services, service) {
		return nil, fmt.Errorf("%w with real servers: %q%s", ErrUnknownService, service, NearestName(service, services))
	}
	return nil, fmt.Errorf("%w in the virtual service %q: %q, which is in %s",
		ErrUnknownServer, service, asked, listed(distinct(meant, serviceOf)))
}

// members are all real servers, also those that only the kernel still has.
func (s scene) members() []member {
	var all []member
	for i := range s.facts.Config.Services {
		service := &s.facts.Config.Services[i]
		named := Set[netip.AddrPort]{}
		addTargets(named, service)
		for j := range service.RealServers {
			server := &service.RealServers[j]
			all = append(all, member{service, server.Address, server})
		}
		for _, present := range s.have.Services[service.IPVS.ServiceKey].RealServers {
			if !named.Has(present.Address) {
				all = append(all, member{service: service, address: present.Address})
			}
		}
	}
	return all
}

// name is what the user calls it, shortest: the host name or the address.
func (m member) name() string {
	if m.host() != "" {
		return m.host()
	}
	return m.address.Addr().String()
}

func (m member) host() string {
	if m.server == nil {
		return ""
	}
	return m.server.Host
}

// is reports whether the text names m: its host name, address, or both address
// and port in whatever form.
func (m member) is(text string) bool {
	if m.host() != "" && strings.EqualFold(text, m.host()) {
		return true
	}
	if address, err := netip.ParseAddr(text); err == nil {
		return address.Unmap() == m.address.Addr()
	}
	address, err := netip.ParseAddrPort(text)
	return err == nil && netip.AddrPortFrom(address.Addr().Unmap(), address.Port()) == m.address
}

// begins reports whether the text is the beginning of a name of m.
func (m member) begins(text string) bool {
	return text != "" && (strings.HasPrefix(m.host(), strings.ToLower(text)) ||
		strings.HasPrefix(m.address.String(), text) || strings.HasPrefix(m.address.Addr().String(), text))
}

// nearestOf ends an error about a name that no real server has.
func nearestOf(asked string, all []member) string {
	names := distinct(all, member.name)
	names = append(names, distinct(all, func(m member) string { return m.address.String() })...)
	return NearestName(asked, names)
}

// NearestName is what to add to an error about a name that there is none of: the one
// that was probably meant, or which there are.
func NearestName(asked string, names []string) string {
	switch near := config.Nearest(asked, names); {
	case near != "":
		return fmt.Sprintf(", nearest is %q", near)
	case len(names) == 0:
		return ", there are none"
	default:
		return ", there are " + listed(names)
	}
}

// distinct are the members' names, each once, in order.
func distinct(members []member, name func(member) string) []string {
	var all []string
	seen := Set[string]{}
	for _, m := range members {
		if n := name(m); !seen.Has(n) {
			seen.Add(n)
			all = append(all, n)
		}
	}
	return all
}

// listed are the first of the names, quoted, and how many more there are.
func listed(names []string) string {
	quoted := make([]string, 0, shownNames)
	for _, n := range names[:min(len(names), shownNames)] {
		quoted = append(quoted, fmt.Sprintf("%q", n))
	}
	text := strings.Join(quoted, ", ")
	if more := len(names) - len(quoted); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}
