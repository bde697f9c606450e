package segment

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// linksHold is how long what is known of an interface is believed.
const linksHold = 5 * time.Second

// links knows which interfaces are watched.
type links struct {
	fd     int // the packet socket
	handle *netlink.Handle
	// wanted are the names asked for; empty is all that are suitable.
	wanted []string
	known  map[int]link
	joined map[int]bool
}

// link is what is known of an interface; name is empty if it is not watched.
type link struct {
	name  string
	until time.Time
}

// openLinks makes the interfaces that are there now pass all multicast. One that
// is asked for and absent is an error, so is none to watch.
func openLinks(fd int, wanted []string) (*links, error) {
	handle, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("rtnetlink: %w", err)
	}
	l := &links{fd: fd, handle: handle, wanted: wanted, known: map[int]link{}, joined: map[int]bool{}}
	if err := l.joinAll(); err != nil {
		l.close()
		return nil, err
	}
	return l, nil
}

func (l *links) close() { l.handle.Close() }

func (l *links) joinAll() error {
	all, err := l.handle.LinkList()
	if err != nil {
		return fmt.Errorf("list interfaces: %w", err)
	}
	var names []string
	for _, found := range all {
		if l.suitable(found) {
			names = append(names, found.Attrs().Name)
			if err := l.join(found.Attrs().Index); err != nil {
				return fmt.Errorf("interface %s: receive all multicast: %w", found.Attrs().Name, err)
			}
		}
	}
	for _, name := range l.wanted {
		if !slices.Contains(names, name) {
			return fmt.Errorf("interface %s: absent", name)
		}
	}
	if len(names) == 0 {
		return errors.New("no interface is up")
	}
	return nil
}

// join lets adverts to any group through a network card that filters. It ends
// with the socket.
func (l *links) join(index int) error {
	if l.joined[index] {
		return nil
	}
	l.joined[index] = true
	return unix.SetsockoptPacketMreq(l.fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP,
		&unix.PacketMreq{Ifindex: int32(index), Type: unix.PACKET_MR_ALLMULTI})
}

// watched returns the name of an interface, and whether it is watched.
func (l *links) watched(index int, now time.Time) (string, bool) {
	known, ok := l.known[index]
	if !ok || now.After(known.until) {
		known = link{until: now.Add(linksHold)}
		found, err := l.handle.LinkByIndex(index)
		if err == nil && l.suitable(found) {
			known.name = found.Attrs().Name
			// It fails only where the interface is gone again.
			_ = l.join(index)
		}
		l.known[index] = known
	}
	return known.name, known.name != ""
}

// suitable reports whether the interface is to be watched.
func (l *links) suitable(found netlink.Link) bool {
	attrs := found.Attrs()
	if len(l.wanted) > 0 {
		return slices.Contains(l.wanted, attrs.Name)
	}
	return attrs.Flags&net.FlagUp != 0 && attrs.Flags&net.FlagLoopback == 0 && !l.partOfAnother(found)
}

// partOfAnother reports whether what the interface hears is heard on another
// interface of this host too: the bond, team or bridge that it is a port of, or
// the one that it shares.
func (l *links) partOfAnother(found netlink.Link) bool {
	attrs := found.Attrs()
	switch found.Type() {
	case "macvlan", "ipvlan":
		return attrs.NetNsID < 0 // else the other is in another namespace
	}
	if attrs.MasterIndex == 0 {
		return false
	}
	master, err := l.handle.LinkByIndex(attrs.MasterIndex)
	return err == nil && slices.Contains([]string{"bond", "team", "bridge"}, master.Type())
}
