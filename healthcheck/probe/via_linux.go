package probe

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// towards is the request as it is asked when the Route has Toward: with this
// host's own address on the way to that server as source. Left to itself the
// kernel would take the VIP where it stands on this host, and the server would
// answer itself.
//
// A server that is this host itself is asked at the VIP if that stands here, as
// its clients are; if not, at its own address, because IPVS sends nothing of this
// host's own to itself.
func (r Request) towards() (Request, error) {
	server, vip := r.Route.Toward, r.Target.Addr()
	if family(server) != family(vip) {
		return r, &failure{SOCKERR, fmt.Sprintf("server %s is %s, the VIP %s is %s", server, family(server), vip, family(vip))}
	}
	source, err := Route{Interface: r.Route.Interface}.sourceTo(server)
	if err != nil {
		return r, err
	}
	if source != server {
		if source == vip {
			return r, &failure{SOCKERR, fmt.Sprintf("the kernel sends to %s from the VIP: this host has no other address for that", server)}
		}
		r.Route.Source = netip.AddrPortFrom(source, 0)
		return r, nil
	}
	r.Route = Route{Source: netip.AddrPortFrom(source, 0), Mark: r.Route.Mark}
	if here, _ := isHere(vip); !here { // nor is it without a way to it
		r.Target = netip.AddrPortFrom(server, r.Target.Port())
		r.Route.Mark = 0
		return r, nil
	}
	return r, nil
}

// sourceTo is the address that this host has on the way to another one.
func (r Route) sourceTo(to netip.Addr) (netip.Addr, error) {
	conn, err := r.openSocket(unix.SOCK_DGRAM, 0, netip.AddrPortFrom(to, discard), func(int) error { return nil })
	if err != nil {
		if f := (*failure)(nil); errors.As(err, &f) {
			return netip.Addr{}, f
		}
		return netip.Addr{}, &failure{SOCKERR, fmt.Sprintf("no way to %s: %s", to, describe(err))}
	}
	defer conn.Close()
	local, ok := conn.LocalAddr().(*net.UDPAddr)
	if !ok {
		return netip.Addr{}, &failure{SOCKERR, "no UDP socket"}
	}
	return local.AddrPort().Addr().Unmap().WithZone(""), nil
}

// discard is the port of a socket that sends nothing.
const discard = 9

// isHere reports whether an address is this host's own.
func isHere(a netip.Addr) (bool, error) {
	source, err := Route{}.sourceTo(a)
	return source == a, err
}

// deaf is why an answer of the VIP cannot arrive on this host, or nil. Where the
// VIP stands here, the answer comes from one of this host's own addresses, which
// IPv4 drops unless it is told otherwise, on the interface on which it arrives:
// the one that leads to the server.
func (r Request) deaf() *failure {
	if !r.Target.Addr().Unmap().Is4() || r.Route.Toward == r.Route.Source.Addr() {
		return nil
	}
	allAccept, allFilter := conf("accept_local", "all") != 0, conf("rp_filter", "all")
	if allAccept && allFilter > 1 {
		return nil // whatever the interface says
	}
	here, err := isHere(r.Target.Addr())
	if err != nil {
		return &failure{SOCKERR, err.Error()}
	}
	if !here {
		return nil
	}
	device, err := r.Route.deviceTo(r.Route.Toward)
	if err != nil {
		return &failure{SOCKERR, err.Error()}
	}
	if !allAccept && conf("accept_local", device.Name) == 0 {
		return dropped(device.Name, "net.ipv4.conf."+device.Name+".accept_local is 0")
	}
	if max(allFilter, conf("rp_filter", device.Name)) == 1 && !hasAddress(device, r.Target.Addr()) {
		return dropped(device.Name, "rp_filter is 1 and the VIP stands on another interface")
	}
	return nil
}

// notHeard is the error, or what kept the answer from this host. A refusal was
// heard.
func (r Request) notHeard(err error) error {
	var f *failure
	if !r.Route.Toward.IsValid() || !errors.As(err, &f) || f.code != L4TOUT {
		return err
	}
	if own := r.deaf(); own != nil {
		return own
	}
	return err
}

func dropped(device, why string) *failure {
	return &failure{SOCKERR, fmt.Sprintf("this host drops answers from its VIP that arrive on %s: %s", device, why)}
}

// deviceTo is the interface by which packets to an address leave.
func (r Route) deviceTo(to netip.Addr) (*net.Interface, error) {
	if r.Interface != "" {
		device, err := net.InterfaceByName(r.Interface)
		if err != nil {
			return nil, fmt.Errorf("interface %s: %w", r.Interface, err)
		}
		return device, nil
	}
	routes, err := netlink.RouteGetWithOptions(to.Unmap().AsSlice(), &netlink.RouteGetOptions{SrcAddr: r.Source.Addr().Unmap().AsSlice()})
	if err == nil && len(routes) == 0 {
		err = errors.New("no route")
	}
	if err != nil {
		return nil, fmt.Errorf("ask for the route to %s: %w", to, err)
	}
	device, err := net.InterfaceByIndex(routes[0].LinkIndex)
	if err != nil {
		return nil, fmt.Errorf("interface of the route to %s: %w", to, err)
	}
	return device, nil
}

// hasAddress reports whether the address is one of the interface's own.
func hasAddress(device *net.Interface, a netip.Addr) bool {
	addresses, err := device.Addrs()
	return err == nil && slices.ContainsFunc(addresses, func(of net.Addr) bool {
		prefix, ok := of.(*net.IPNet)
		return ok && prefix.IP.Equal(a.Unmap().AsSlice())
	})
}

// conf is a kernel parameter of an interface for IPv4; one that cannot be read
// counts as 0.
func conf(name, device string) int {
	text, err := os.ReadFile("/proc/sys/net/ipv4/conf/" + device + "/" + name)
	if err != nil {
		return 0
	}
	value, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0
	}
	return value
}

// limitHops lets packets of the socket go only so far.
func limitHops(fd int, to netip.Addr, hops uint8) error {
	level, option := unix.IPPROTO_IPV6, unix.IPV6_UNICAST_HOPS
	if to.Unmap().Is4() {
		level, option = unix.IPPROTO_IP, unix.IP_TTL
	}
	if err := unix.SetsockoptInt(fd, level, option, int(hops)); err != nil {
		return &failure{SOCKERR, fmt.Sprintf("%d hops: %s", hops, describe(err))}
	}
	return nil
}
