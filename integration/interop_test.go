package integration

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/lvsd/lvsd/integration/lab"
)

// peer is a host with another VRRP implementation.
type peer interface {
	host() *lab.Host
	// mac is the hardware address that its announcements of VIPs have.
	mac() string
	start()
	// stop ends it as an operator does, kill as nobody should.
	stop()
	kill()
	// revive starts it after kill, and plugs the node's cable.
	revive()
	setPriority(int)
	takesPart() bool
	// inState is nil when the peer and its kernel agree on a state.
	inState(state string) error
	// wantVIPs is an error unless the peer's kernel has all VIPs, or none.
	wantVIPs(all bool) error
	heardGoodbye() bool
	// complaints are what the peer has to say about lvsd's adverts.
	complaints() []string
}

// row is one way in which lvsd and a peer share a virtual router.
type row struct {
	name   string
	router virtualRouter
	// unicast is from address to address.
	unicast bool
	// greater: lvsd has the greater address, which wins among equals.
	greater bool
	// also is what the row has beside the stages that all rows have.
	also []func(*encounter)
}

// The virtual addresses of IPv6. The first of an advert is the link-local one
// (RFC 5798 section 5.2.9); FRR works without, and takes its own from the same
// interface.
var (
	vips6    = []string{"fe80::100", network6 + "100"}
	vips6FRR = []string{network6 + "100"}
)

// network6 is where the hosts of a virtual router of IPv6 have an address too.
const network6 = "fd99::"

// TestKeepalived: lvsd and keepalived elect one MASTER between them, whichever
// of the two it is and however it goes, and neither finds fault with the other's
// adverts.
func TestKeepalived(t *testing.T) {
	t.Parallel()
	equals, strangers, checksums := (*encounter).equals, (*encounter).strangers, (*encounter).checksums
	for _, r := range []row{
		{
			name:   "version 2 with password",
			router: virtualRouter{Version: 2, VRID: 53, Password: "1111"},
			also:   []func(*encounter){equals, strangers},
		},
		{name: "version 2", router: virtualRouter{Version: 2, VRID: 54}},
		{
			name: "version 3, IPv4", router: virtualRouter{Version: 3, VRID: 61}, greater: true,
			also: []func(*encounter){equals, checksums},
		},
		{name: "version 3, IPv6", router: virtualRouter{Version: 3, VRID: 71, VIPs: vips6}},
		{name: "version 2, unicast", router: virtualRouter{Version: 2, VRID: 81, Password: "1111"}, unicast: true},
		{name: "version 3, IPv4 unicast", router: virtualRouter{Version: 3, VRID: 82}, unicast: true},
		{
			name: "version 3, IPv6 unicast", unicast: true,
			// keepalived 2.2.7 leaves the hop limit at the kernel's default.
			router: virtualRouter{Version: 3, VRID: 83, VIPs: vips6, Keys: "min_ttl = 64\n"},
		},
	} {
		t.Run(r.name, func(t *testing.T) {
			lab.Require(t, lab.NeedNetns, lab.NeedKeepalived)
			t.Parallel()
			r.run(t, (*segment).addKeepalived)
		})
	}
}

// TestFRR is TestKeepalived with FRR's vrrpd.
func TestFRR(t *testing.T) {
	t.Parallel()
	for _, r := range []row{
		{name: "version 2", router: virtualRouter{Version: 2, VRID: 54}},
		{
			// FRR, had it the greater address, would not announce the VIP again
			// after a split: the client would go on with lvsd for a while.
			name: "version 3, IPv4", router: virtualRouter{Version: 3, VRID: 61}, greater: true,
			also: []func(*encounter){(*encounter).equals, (*encounter).checksums},
		},
		{name: "version 3, IPv6", router: virtualRouter{Version: 3, VRID: 71, VIPs: vips6FRR}},
	} {
		t.Run(r.name, func(t *testing.T) {
			lab.Require(t, lab.NeedNetns, lab.NeedFRR)
			t.Parallel()
			r.run(t, (*segment).addFRR)
		})
	}
}

// The priorities of both sides: each can be above and below the other.
const (
	peerLow  = 50
	lvsdLow  = 100
	peerHigh = 150
	lvsdHigh = 200
)

// encounter is lvsd and a peer on one segment, one virtual router.
type encounter struct {
	*segment
	lvsd *node
	peer peer
	// tracked is a file with a number that lvsd adds to its priority.
	tracked string
}

// run plays all of the row's stages.
func (r row) run(t *testing.T, addPeer func(*segment, string, virtualRouter) peer) {
	e := r.meet(t, addPeer)
	e.peerComesAndGoes()
	e.peerPriority()
	e.lvsdComesAndGoes()
	for _, stages := range r.also {
		stages(e)
	}
}

// lvsdKeys: lvsd waits for nobody's spanning tree, announces a VIP only when it
// has a reason, and adds the number in a file to its priority.
const lvsdKeys = `settle = "0s"
garp = { delay = "1s", refresh = "0s" }
track = ["priority"]
[[tracker]]
name = "priority"
type = "file"
file = %q
`

func (r row) meet(t *testing.T, addPeer func(*segment, string, virtualRouter) peer) *encounter {
	s := newSegment(t)
	e := &encounter{segment: s, tracked: filepath.Join(s.lab.Dir("lvsd"), "tracked")}
	s.writeNumber(e.tracked, 0)
	ours, theirs := "1", "2"
	if r.greater {
		ours, theirs = theirs, ours
	}
	v, other := r.router, r.router
	v.Interval, other.Interval = s.interval, s.interval
	v.Priority, other.Priority = lvsdLow, peerHigh
	v.Keys += fmt.Sprintf(lvsdKeys, e.tracked)
	if r.unicast {
		network := "10.99.0."
		if v.ipv6() {
			network = network6
		}
		v.Source, v.Peer = network+ours, network+theirs
		other.Source, other.Peer = v.Peer, v.Source
	}
	e.lvsd = s.addNode("lvsd", "10.99.0."+ours)
	e.lvsd.configure(v)
	e.peer = addPeer(s, "10.99.0."+theirs, other)
	if v.ipv6() {
		for h, address := range map[*lab.Host]string{e.lvsd.Host: ours, e.peer.host(): theirs, s.client: "3"} {
			h.Run("ip", "address", "add", network6+address+"/64", "dev", lab.LinkName, "nodad")
		}
	}
	return e
}

// ipv6 tells the family of the virtual router.
func (v virtualRouter) ipv6() bool { return netip.MustParseAddr(v.vips()[0]).Is6() }

// writeNumber writes a file that is tracked, all at once.
func (s *segment) writeNumber(path string, n int) {
	s.Helper()
	err := os.WriteFile(path+".new", []byte(strconv.Itoa(n)+"\n"), 0o644)
	if err := errors.Join(err, os.Rename(path+".new", path)); err != nil {
		s.Fatalf("%v", err)
	}
}
